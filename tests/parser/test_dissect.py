"""Any field, and whole frames as pyshark's packets."""

import os
import subprocess
from pathlib import Path

import pytest
from scapy.all import DNS, DNSQR, IP, TCP, UDP, Ether, Raw, wrpcap

from k8scap import load
from k8scap.errors import FilterError, UsageError

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
HEADER = b'GET /a\tb HTTP/1.1\r\nHost: x\ty\x1f|"q\r\nCookie: a=1\r\n\r\n'


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A lookup and a request, their text full of what separates things."""
    path = tmp_path_factory.mktemp("web") / "web.pcap"
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="198.18.0.1", dst="198.18.0.2")
    wrpcap(
        str(path),
        [
            frame / UDP(sport=5353, dport=53) / DNS(id=7, rd=1, qd=DNSQR(qname="a.example")),
            frame / TCP(sport=4000, dport=80, flags="PA") / Raw(HEADER),
            frame / UDP(sport=5353, dport=4321) / DNS(id=8, rd=1, qd=DNSQR(qname="b.example")),
            frame / IP(src="198.18.1.1", dst="198.18.1.2") / UDP(sport=1, dport=2),
        ],
    )
    return path


def ask_tshark(path, *words):
    env = {**os.environ, "WIRESHARK_CONFIG_DIR": str(path.parent)}
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", *words]
    return subprocess.run(argv, capture_output=True, check=True, env=env, text=True).stdout.splitlines()


def test_fields_are_as_wireshark_prints_them(web):
    table = load(web).fields("dns.qry.name", "http.host", "ip.src")
    assert list(table.columns) == ["dns.qry.name", "http.host", "ip.src"]
    for name in table:
        assert list(table[name].fillna("")) == ask_tshark(web, "-e", name)
    assert table["dns.qry.name"].to_dict()[1] == "a.example"
    assert table["ip.src"].to_dict()[4] == "198.18.0.1,198.18.1.1"


def test_text_from_the_wire_cannot_add_a_row_or_a_cell(web):
    table = load(web).fields("http.request.line", "http.cookie")
    assert list(table["http.cookie"].dropna()) == ["a=1"]
    assert len(table) == 4


def test_fields_of_some_frames_keep_their_numbers(web):
    assert list(load(web).fields("ip.src", where="udp").index) == [1, 3, 4]
    assert list(load(web, where="udp").fields("ip.src", where="dns").index) == [1]


def test_no_fields_are_the_numbers_alone(web):
    table = load(web).fields()
    assert (list(table.index), list(table.columns)) == ([1, 2, 3, 4], [])


def test_decode_as_reaches_fields_and_frames(web):
    cap = load(web, decode_as={"udp.port==4321": "dns"})
    assert list(cap.fields("dns.qry.name").dropna().index) == [1, 3]
    assert cap.dissect(3).dns.qry_name == "b.example"


def test_several_points_stand_in_a_column(web):
    table = load(web, CAPTURES / "verdicts.pcap").fields("ip.src", where="tcp.flags.syn == 0")
    assert list(table.columns) == ["point", "ip.src"]
    assert dict(table["point"].value_counts()) == {"web": 1, "verdicts": 31}


@pytest.mark.parametrize(
    ("name", "near"), [("http.hst", "http.host"), ("tcp.analysis.retransmision", "retransmission")]
)
def test_an_unknown_field_is_refused_with_its_neighbours(web, name, near):
    with pytest.raises(UsageError, match=near) as refused:
        load(web).fields("ip.src", name)
    assert name in str(refused.value)


@pytest.mark.parametrize("name", ["", "-x", "a\0b", "a\tb"])
def test_what_is_no_field_at_all_is_refused(web, name):
    with pytest.raises(UsageError):
        load(web).fields(name)


def test_a_filter_that_is_off_is_refused(web):
    with pytest.raises(FilterError):
        load(web).fields("ip.src", where="tcp.prot")


def test_a_frame_is_a_pyshark_packet(web):
    packet = load(web).dissect(2)
    assert (packet.number, packet.highest_layer, packet.transport_layer) == ("2", "HTTP", "TCP")
    assert (packet.http.request_method, packet.ip.src, packet.http.cookie) == ("GET", "198.18.0.1", "a=1")
    assert [layer.layer_name for layer in load(web).dissect(4).layers] == ["eth", "ip", "ip", "udp"]


def test_a_frame_is_dissected_with_what_went_before_it():
    packet = load(CAPTURES / "verdicts.pcap").dissect(15)
    assert float(packet.tcp.analysis_rto) == pytest.approx(0.3)


@pytest.mark.parametrize("number", [0, -1, 5, 10**12])
def test_a_frame_that_is_not_there_is_refused(web, number):
    with pytest.raises(UsageError, match=f"no frame {number} in web"):
        load(web).dissect(number)


def test_with_several_points_one_must_be_named(web):
    cap = load(web, CAPTURES / "verdicts.pcap")
    assert cap.dissect(2, point="web").highest_layer == "HTTP"
    assert cap.dissect(2, point="verdicts").highest_layer == "TCP"
    for point in (None, "nobody"):
        with pytest.raises(UsageError, match="web, verdicts"):
            cap.dissect(2, point=point)


def test_a_selections_frames_are_still_numbered_as_in_the_file(web):
    assert load(web).select("tcp").dissect(2).highest_layer == "HTTP"
