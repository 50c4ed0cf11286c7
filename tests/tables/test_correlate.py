"""Correlating captures made by hand: every delay, clock and loss is the test's own choice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from route import CLIENT, SERVER, START, Route, Talk, talk
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6MLReport2, IPv6
from scapy.packet import Raw

import k8scap
from k8scap.correlation import columns
from k8scap.errors import SchemaError, UsageError

if TYPE_CHECKING:
    from scapy.packet import Packet


def verdicts(found: Any) -> dict[tuple[str, str, str], int]:
    counts = found.missing.value_counts(["point", "absent_at", "verdict"])
    return {key: int(count) for key, count in counts.items() if count}


def test_offset_and_delays_are_those_of_the_path(tmp_path):
    path = Route(clocks={1: lambda _: 123_456_789})
    talk(path)
    found = k8scap.correlate(*path.load(tmp_path))
    clock = found.clocks.iloc[0]
    assert clock["offset_ms"] == pytest.approx(123.456789, abs=1e-3)
    assert clock["asymmetry_ms"] == pytest.approx(5, abs=1e-3)
    assert len(found.packets) == 63
    assert found.packets["delay_ms"].round(3).unique().tolist() == [5.0]
    assert len(found.missing) == 0
    assert list(found.paths["from_point"]) == ["near", "far"]


@pytest.mark.parametrize("hop", [(2.0, 9.0), (9.0, 2.0)])
def test_an_asymmetric_path_is_off_by_half_of_it_and_says_so(tmp_path, hop):
    path = Route(hops_ms=[hop], clocks={1: lambda _: -3_600 * 10**9})
    talk(path)
    clock = k8scap.correlate(*path.load(tmp_path)).clocks.iloc[0]
    wrong = clock["offset_ms"] + 3_600_000
    assert abs(wrong) == pytest.approx(3.5, abs=1e-3)
    assert abs(wrong) <= clock["asymmetry_ms"]


@pytest.mark.parametrize("ppm", [-80.0, 35.0])
def test_the_drift_of_a_long_capture_is_found_behind_jitter(tmp_path, ppm):
    draw = random.Random(f"{ppm}")
    path = Route(clocks={1: lambda time: round(2e9 + (time - START) * ppm / 1e6)})
    made = Talk(path)
    made.open()
    for nth in range(500):
        made.ask(100 + 120 * nth, nth, late_ms=draw.expovariate(4))
    clock = k8scap.correlate(*path.load(tmp_path)).clocks.iloc[0]
    assert abs(clock["drift_ppm"] - ppm) < min(2, clock["drift_error_ppm"])
    true = 2000 + (clock["time"].value - START) * ppm / 1e12
    assert clock["offset_ms"] == pytest.approx(true, abs=0.05)


def test_the_nearer_point_is_found_whatever_order_and_clocks(tmp_path):
    path = Route(clocks={0: lambda _: 10**12})
    talk(path)
    near, far = path.load(tmp_path)
    found = k8scap.correlate(far, near)
    assert set(zip(found.paths["from_point"], found.paths["to_point"], strict=True)) == {
        ("near", "far"),
        ("far", "near"),
    }
    asked = found.packets[found.packets["payload_length"] == 100]
    assert asked["from_point"].unique().tolist() == ["near"]


@pytest.mark.parametrize("stamped", [True, False])
def test_source_nat_is_seen_through(tmp_path, stamped):
    def translated(packet: Packet, *, to_server: bool) -> Packet:
        ip, tcp = packet[IP], packet[TCP]
        if to_server:
            ip.src, tcp.sport = "203.0.113.9", tcp.sport + 20_000
        else:
            ip.dst, tcp.dport = "203.0.113.9", tcp.dport + 20_000
        return packet

    path = Route(sees={1: translated}, ttl_falls=True)
    for nth in range(3):
        talk(path, port=40_000 + nth, isn=(1000 * nth + 7, 900_000 + nth), stamped=stamped)
    found = k8scap.correlate(*path.load(tmp_path))
    table = found.connections
    assert table["rewritten"].tolist() == [True] * 3
    assert (table["src_port_b"] - table["src_port_a"]).tolist() == [20_000] * 3
    assert table["src_b"].unique().tolist() == ["203.0.113.9"]
    assert (len(found.packets), len(found.missing)) == (3 * 63, 0)


def test_what_was_lost_is_placed_and_what_a_capture_missed_is_told_from_it(tmp_path):
    path = Route()
    made = talk(path, 10)
    made.send(200, "PA", 1001, 1, size=100, lost_after=0)  # lost, and sent again:
    made.send(430, "PA", 1001, 1, size=100)
    made.send(441, "A", 1, 1101, to_server=False)
    made.send(450, "PA", 1101, 1, size=100, missed_by=[1])  # came, acknowledged, and not captured
    made.send(461, "A", 1, 1201, to_server=False)
    made.send(470, "PA", 1201, 1, size=100, missed_by=[0])  # the near point missed it
    made.send(481, "A", 1, 1301, to_server=False)
    made.send(490, "A", 1301, 1)
    made.send(500, "PA", 1, 1301, size=10, to_server=False, lost_after=1)  # lost toward the client, for good
    for nth in range(13, 20):
        made.ask(300 + 20 * nth, nth)
    found = k8scap.correlate(*path.load(tmp_path))
    rows = found.missing[["point", "absent_at", "seq", "from_point", "to_point", "verdict"]]
    assert sorted(map(tuple, rows.astype(object).itertuples(index=False))) == [
        ("far", "near", 1, "far", "near", "lost"),
        ("far", "near", 1201, "near", "far", "not_captured"),
        ("near", "far", 1001, "near", "far", "lost"),
        ("near", "far", 1101, "near", "far", "not_captured"),
    ]
    assert found.paths["lost"].tolist() == [1, 1]
    assert found.paths["not_captured"].tolist() == [2, 0]


@pytest.mark.parametrize("addresses", [(CLIENT, SERVER), ("fd00::1", "fd00::2")])
def test_of_equal_packets_the_lost_one_is_found(tmp_path, addresses):
    """Acknowledgments without timestamps, all alike; IP identifications tell nothing, so time must do."""
    path = Route()
    made = talk(path, 10, ends=addresses, stamped=False)
    for nth in range(8):
        made.send(300 + 100 * nth, "A", 1001, 1, ip_id=0, **({"lost_after": 0} if nth in {3, 4} else {}))
    made.ask(1200, 10)
    near, far = path.load(tmp_path)
    found = k8scap.correlate(near, far)
    lost = found.missing[found.missing["verdict"] == "lost"]
    times = [(t.value - START) / 1e6 for t in lost["time"]]
    assert times == [600, 700]


def test_dns_through_nat_is_told_by_its_payload(tmp_path):
    def translated(packet: Packet, *, to_server: bool) -> Packet:
        if to_server:
            packet[IP].src, packet[UDP].sport = "203.0.113.9", 2000 + packet[UDP].sport % 7
        else:
            packet[IP].dst, packet[UDP].dport = "203.0.113.9", 2000 + packet[UDP].dport % 7
        del packet[UDP].chksum
        return packet

    path = Route(sees={1: translated}, ttl_falls=True)
    for nth in range(7):
        question = DNS(id=500 + nth, rd=1, qd=DNSQR(qname=f"name{nth}.lab.test"))
        answer = DNS(id=500 + nth, qr=1, qd=DNSQR(qname=f"name{nth}.lab.test"))
        ask = IP(src=CLIENT, dst=SERVER, id=0) / UDP(sport=30_000 + nth, dport=53) / question
        tell = IP(src=SERVER, dst=CLIENT, id=0) / UDP(sport=53, dport=30_000 + nth) / answer
        path.put(20 * nth, ask)
        path.put(20 * nth + 12, tell, to_server=False, lost_after=1 if nth == 4 else None)
    found = k8scap.correlate(*path.load(tmp_path))
    expected = [(30_000 + n, 2000 + (30_000 + n) % 7) for n in range(7)]
    table = found.connections
    assert sorted(zip(table["src_port_a"], table["src_port_b"], strict=True)) == expected
    lost = found.missing
    assert lost["dst_port"].tolist() == [2000 + 30_004 % 7]
    assert (lost["verdict"].tolist(), lost["to_point"].tolist()) == (["lost"], ["near"])


def test_the_same_bytes_cut_otherwise_are_not_lost(tmp_path):
    """A super-packet of the sender's, seen before segmentation, and the segments that it became."""
    path = Route()
    made = talk(path, 10)
    made.send(300, "A", 1001, 1, size=400, missed_by=[1])
    for piece in range(4):
        made.send(300, "A", 1001 + 100 * piece, 1, size=100, missed_by=[0])
    made.send(311, "A", 1, 1401, to_server=False)
    made.ask(400, 14)
    found = k8scap.correlate(*path.load(tmp_path))
    assert verdicts(found) == {("near", "far", "resegmented"): 1, ("far", "near", "resegmented"): 4}
    assert found.paths["lost"].tolist() == [0, 0]


def test_a_packet_seen_twice_at_one_point_is_no_loss(tmp_path):
    path = Route()
    talk(path)
    path.frames[0] = [(time + late, frame) for time, frame in path.frames[0] for late in (0, 3_000)]
    found = k8scap.correlate(*path.load(tmp_path))
    assert verdicts(found) == {("near", "far", "duplicate"): 63}
    assert len(found.packets) == 63


def test_outside_of_what_both_recorded_nothing_is_judged(tmp_path):
    path = Route()
    talk(path, 60)
    path.frames[1] = [frame for frame in sorted(path.frames[1]) if 300 < (frame[0] - START) / 1e6 < 600]
    found = k8scap.correlate(*path.load(tmp_path))
    assert set(found.missing["verdict"]) == {"not_judged"}
    assert set(found.missing["reason"]) == {"outside the time that both recorded"}


def test_what_need_not_pass_the_other_point_is_not_lost(tmp_path):
    path = Route()
    talk(path)
    talk(path, port=40_001, isn=(77, 99), ends=(CLIENT, "198.18.0.77"))
    elsewhere = [f for f in path.frames[1] if bytes([198, 18, 0, 77]) not in f[1]]
    path.frames[1] = elsewhere
    found = k8scap.correlate(*path.load(tmp_path))
    assert verdicts(found) == {("near", "far", "not_judged"): 63}


def test_a_connection_of_which_nothing_arrives_is_lost_between_two_that_others_pass(tmp_path):
    path = Route()
    talk(path, 200)
    made = Talk(path, port=40_001, isn=(1, 2))
    for at in (100, 1100):
        made.send(at, "S", 0, 0, lost_after=0)
    found = k8scap.correlate(*path.load(tmp_path))
    assert verdicts(found) == {("near", "far", "lost"): 2}


def test_a_reset_made_on_the_way_is_not_a_loss(tmp_path):
    path = Route()
    made = talk(path)
    made.send(300, "R", 3001, 0, missed_by=[0])
    made.send(310, "R", 1, 0, to_server=False, missed_by=[1])
    found = k8scap.correlate(*path.load(tmp_path))
    assert verdicts(found) == {("near", "far", "made_between"): 1, ("far", "near", "made_between"): 1}


def test_three_points_are_a_chain_and_each_loss_is_on_its_leg(tmp_path):
    path = Route(hops_ms=[(1.0, 1.0), (4.0, 4.0)], clocks={1: lambda _: 5 * 10**8, 2: lambda _: -(10**9)})
    made = talk(path, 20)
    for nth, fate in enumerate(({"lost_after": 0}, {"lost_after": 1}, {"missed_by": [1]})):
        made.send(300 + 10 * nth, "A", 2001, 1, ip_id=5000 + nth, **fate)
    for nth in range(20, 25):
        made.ask(500 + 12 * nth, nth)
    captures = path.load(tmp_path)
    found = k8scap.correlate(*[captures[n] for n in (0, 2, 1)])  # in no order
    assert {
        frozenset(pair) for pair in zip(found.paths["from_point"], found.paths["to_point"], strict=True)
    } == {
        frozenset({"near", "middle"}),
        frozenset({"middle", "far"}),
    }
    told = found.missing[["point", "absent_at", "verdict"]].astype(object).itertuples(index=False)
    assert sorted(map(tuple, told)) == [
        ("far", "middle", "not_captured"),
        ("middle", "far", "lost"),
        ("near", "middle", "lost"),
        ("near", "middle", "not_captured"),
    ]


def test_one_direction_only_gives_no_offset_and_says_so(tmp_path):
    path = Route(ttl_falls=True)
    for nth in range(30):
        path.put(
            10 * nth, IP(src=CLIENT, dst=SERVER, id=nth + 1) / UDP(sport=9, dport=9999) / Raw(bytes([nth]))
        )
    found = k8scap.correlate(*path.load(tmp_path))
    assert len(found.packets) == 30
    assert pd.isna(found.clocks["offset_ms"].iloc[0])
    assert "one way only" in " ".join(found.sentences)


@pytest.mark.parametrize("point", [0, 1])
def test_a_capture_of_one_direction_is_not_a_loss_of_the_other(tmp_path, point):
    path = Route(ttl_falls=True)
    talk(path)
    toward_server = bytes([198, 18, 0, 2])
    path.frames[point] = [frame for frame in path.frames[point] if frame[1][16:20] == toward_server]
    found = k8scap.correlate(*path.load(tmp_path))
    assert len(found.packets) == 32
    assert len(found.missing) == 31
    assert "lost" not in set(found.missing["verdict"])


def test_a_clock_that_is_set_meanwhile_is_noticed(tmp_path):
    path = Route(clocks={1: lambda time: 10**9 if time > START + 200 * 10**6 else 0})
    talk(path, 40)
    found = k8scap.correlate(*path.load(tmp_path))
    assert found.clocks["stepped"].tolist() == [True]
    assert verdicts(found) == {}


def test_points_with_nothing_in_common_are_told_so(tmp_path):
    one, other = Route(), Route()
    talk(one)
    talk(other, isn=(1, 2), port=50_000, ends=("192.0.2.1", "192.0.2.2"))
    one.frames[1] = other.frames[1]
    found = k8scap.correlate(*one.load(tmp_path))
    assert len(found.packets) == 0
    assert "near has no packet in common with any other point." in found.sentences
    assert set(found.missing["verdict"]) == {"not_judged"}


def test_traffic_that_is_all_alike_neither_hangs_nor_matches_twice(tmp_path):
    path = Route()
    flood = IP(src=CLIENT, dst=SERVER, id=0) / UDP(sport=1, dport=2) / Raw(b"x")
    echo = IP(src=CLIENT, dst=SERVER, id=0) / ICMP()
    for nth in range(600):
        path.put(nth / 10, flood, lost_after=0 if nth % 3 == 0 else None)
        path.put(nth / 10, echo)
    found = k8scap.correlate(*path.load(tmp_path))
    for name in ("number_a", "number_b"):
        assert found.packets[name].is_unique


def test_what_neighbours_say_on_two_links_is_not_one_conversation(tmp_path):
    """Multicast listener reports are alike wherever they are sent, and no router passes them on."""
    path = Route()
    talk(path)
    for point, host in ((0, "fe80::1"), (1, "fe80::2")):
        for at in (50, 150):
            report = IPv6(src=host, dst="ff02::16") / ICMPv6MLReport2()
            path.frames[point].append((START + at * 10**6, bytes(report)))
    found = k8scap.correlate(*path.load(tmp_path))
    assert found.connections["protocol"].tolist() == ["TCP"]


def test_of_heartbeats_that_are_all_alike_the_lost_ones_are_found_beside_other_traffic(tmp_path):
    path = Route()
    talk(path, 100)
    beat = IP(src=CLIENT, dst=SERVER, id=0) / UDP(sport=1, dport=2) / Raw(b"alive")
    for nth in range(12):
        path.put(20 + 100 * nth, beat, lost_after=0 if nth in {2, 7, 8} else None)
    found = k8scap.correlate(*path.load(tmp_path))
    lost = found.missing[found.missing["verdict"] == "lost"]
    assert [(time.value - START) / 1e6 for time in lost["time"]] == [220, 720, 820]


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        (name, getattr(columns, name.upper()))
        for name in ("packets", "missing", "connections", "clocks", "paths")
    ],
)
def test_tables_are_exactly_as_declared_full_or_empty(tmp_path, name, declared):
    empty, full = Route(), Route()
    talk(full).send(500, "A", 1, 1, lost_after=0)
    empty.put(0, IP(src=CLIENT, dst=SERVER) / ICMP(), missed_by=[1])
    empty.put(0, IP(src=SERVER, dst=CLIENT, proto=132), missed_by=[0])
    for folder, path in (("empty", empty), ("full", full)):
        (tmp_path / folder).mkdir()
        table = getattr(k8scap.correlate(*path.load(tmp_path / folder)), name)
        assert [(c.name, str(table[c.name].dtype)) for c in declared] == [(c.name, c.dtype) for c in declared]
        assert list(table.columns) == [c.name for c in declared]


def test_what_people_read_is_escaped_and_printable(tmp_path):
    path = Route()
    talk(path).send(300, "A", 3001, 1, lost_after=0)
    path.load(tmp_path)
    odd = tmp_path / "<b>\x1b[31m.pcap"
    (tmp_path / "far.pcap").rename(odd)
    found = k8scap.correlate(k8scap.load(tmp_path / "near.pcap", odd))
    assert "<b>" not in found._repr_html_()
    assert "&lt;b&gt;" in found._repr_html_()
    assert "\x1b" not in repr(found)


def test_one_point_is_refused_and_missing_columns_are_named(tmp_path):
    path = Route()
    talk(path)
    near, far = path.load(tmp_path)
    with pytest.raises(UsageError, match="1 capture point"):
        k8scap.correlate(near)
    with pytest.raises(SchemaError, match="tsval"):
        k8scap.correlate(near, k8scap.load(tmp_path / "far.pcap", columns=["time", "point", "src", "dst"]))
    assert len(far.packets) == 63


def test_an_answer_says_that_nothing_was_lost_and_looks_at_the_ends(tmp_path):
    path = Route()
    talk(path)
    answer = k8scap.correlate(*path.load(tmp_path)).answer("Is it lost between <the two>?")
    assert answer.answer.startswith("The path between the two loses nothing: near → far ")
    assert "5 ms in the median" in answer.answer
    assert "k8scap diagnose" in answer.next_step
    assert "&lt;the two&gt;" in answer._repr_html_()
