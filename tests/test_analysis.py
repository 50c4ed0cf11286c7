"""The capture as people meet it: its tables together, its card, its selections."""

import re
from functools import cache
from pathlib import Path

import pytest
from scapy.all import DNS, DNSQR, DNSRR, ICMP, IP, UDP, Ether, IPerror, UDPerror, wrpcap

import k8scap
from k8scap import load
from k8scap.errors import SchemaError, UsageError
from k8scap.model import Counters, Manifest, NameEntry
from k8scap.names import Names
from k8scap.recording import write_manifest

CAPTURES = Path(__file__).parent / "data" / "captures"
VERDICTS = CAPTURES / "verdicts.pcap"
TABLES = (
    "packets",
    "conversations",
    "round_trips",
    "retransmissions",
    "exchanges",
    "lookups",
    "protocols",
    "quality",
)


@cache
def verdicts():
    return load(VERDICTS)


def recorded(folder, **manifest):
    """VERDICTS beside a manifest."""
    (folder / "web.pcap").write_bytes(VERDICTS.read_bytes())
    write_manifest(folder / "web.json", Manifest(name="web", **{"point": "web", **manifest}))
    return folder / "web.pcap"


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_made_once_and_kept(table):
    assert getattr(verdicts(), table) is getattr(verdicts(), table)


def test_conversations_are_those_of_the_capture():
    table = verdicts().conversations
    assert sorted(table["src_port"]) == [40000, 40001, 40002, 40002, 40003]
    assert table["packets"].sum() == 38


def test_throughput_takes_its_interval():
    table = verdicts().throughput("10ms")
    assert table["bytes"].sum() == verdicts().packets["length"].sum()


def test_protocols_count_every_frame():
    table = verdicts().protocols
    assert table["packets"].max() == 38


def test_diagnose_is_the_captures_findings_and_speaks_of_every_rule():
    findings = k8scap.diagnose(verdicts())
    assert {f.rule for f in findings} >= {"packet-loss", "slow-server", "slow-reader", "connection-refused"}
    assert findings == verdicts().findings


def test_a_selection_is_a_capture_of_fewer_frames_numbered_as_before():
    part = verdicts().select("tcp.stream == 1").select("tcp.len == 0")
    assert list(part.packets.index) == [21, 22, 23, 25, 27, 28]
    assert (len(part.conversations), part.points) == (1, verdicts().points)


def test_tables_that_lack_columns_say_so():
    with pytest.raises(SchemaError, match="conversations needs"):
        _ = load(VERDICTS, columns=["src", "dst"]).conversations


def test_an_unknown_engine_and_no_file_are_refused():
    for call in (lambda: load(VERDICTS, engine="magic"), load):
        with pytest.raises(UsageError):
            call()


# ---- manifests and names ----


def test_the_manifest_beside_a_file_gives_point_names_and_account(tmp_path):
    path = recorded(
        tmp_path,
        point="checkout",
        names=(NameEntry(address="198.18.0.2", name="redis", namespace="shop"),),
        counters=Counters(captured=38, received=38, dropped=0, on_disk=38),
    )
    cap = load(path)
    assert (cap.points, cap.manifest.name, cap.names.of("198.18.0.2")) == (("checkout",), "web", "shop/redis")
    assert (cap.quality.complete, cap.quality.dropped, cap.quality.frames) == (True, 0, 38)


def test_names_that_are_given_win(tmp_path):
    path = recorded(tmp_path, names=(NameEntry(address="198.18.0.2", name="old"),))
    cap = load(path, names=Names([NameEntry(address="198.18.0.2", name="new")]))
    assert cap.names.of("198.18.0.2") == "new"


def test_without_a_manifest_nobody_knows_whether_it_is_complete():
    assert (verdicts().manifest, verdicts().manifests, verdicts().quality.complete) == (None, (), None)


# ---- lookups ----


def test_lookups_come_from_the_dns_frames_alone(tmp_path):
    ask = UDP(sport=5000, dport=53) / DNS(id=7, rd=1, qd=DNSQR(qname="redis.shop"))
    answer = UDP(sport=53, dport=5000) / DNS(
        id=7, qr=1, qd=DNSQR(qname="redis.shop"), an=DNSRR(rrname="redis.shop", rdata="198.18.0.9")
    )
    frame, out, back = Ether(), IP(src="198.18.0.1", dst="198.18.0.2"), IP(src="198.18.0.2", dst="198.18.0.1")
    quoted = ICMP(type=3, code=3) / IPerror(bytes(out / ask)[:20]) / UDPerror(bytes(ask))
    frames = [frame / out / ask, frame / back / answer, frame / back / quoted]
    for i, packet in enumerate(frames):
        packet.time = 1_700_000_000 + i / 100
    wrpcap(str(tmp_path / "dns.pcap"), frames)
    table = load(tmp_path / "dns.pcap").lookups
    assert list(zip(table["number"], table["query"], table["response"], strict=True)) == [
        (1, "redis.shop", 2)
    ]
    assert table["response_ms"].iloc[0] == pytest.approx(10, abs=0.01)


# ---- the card ----


def test_the_card_says_where_when_how_complete_and_what_was_found(tmp_path):
    path = recorded(
        tmp_path,
        target={"text": "docker/web", "node": "node-7"},
        interface="eth0",
        counters=Counters(captured=40, received=40, dropped=2, on_disk=38),
    )
    for card in (repr(load(path)), plain(load(path)._repr_html_())):
        for words in (
            "node-7",
            "eth0",
            "web.pcap",
            "2023-11-14 22:13:20",
            "38",
            "5 conversations",
            "dropped 2 packets",
        ):
            assert words in card
        assert "packet-loss" in card
        assert re.search(r"Found|Ruled out|Not judged", card)


def test_the_card_escapes_whatever_comes_from_outside(tmp_path):
    evil = "<img src=x onerror=alert(1)>\x1b[2J"
    cap = load(
        recorded(tmp_path, point=evil, interface=evil, names=(NameEntry(address="198.18.0.2", name=evil),))
    )
    assert "<img" not in cap._repr_html_()
    assert "\x1b" not in repr(cap)


def test_the_card_of_a_capture_with_few_columns_says_what_it_cannot_tell():
    card = repr(load(VERDICTS, columns=["time"]))
    assert "verdicts" in card
    assert "needs the columns" in card


def test_the_card_of_an_empty_capture_stands(tmp_path):
    path = tmp_path / "none.pcap"
    path.write_bytes(VERDICTS.read_bytes()[:24])
    assert "packets   0" in repr(load(path))


def plain(html):
    return re.sub(r"<[^>]+>", " ", html)
