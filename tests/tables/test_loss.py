"""What was lost and what was not; first of all where Wireshark is known to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wire import Scene, Wire, shoot

from k8scap.tables.conversations import conversations
from k8scap.tables.loss import losses
from k8scap.tables.round_trips import round_trips

if TYPE_CHECKING:
    import pandas as pd


def syn_repeated(wire: Wire) -> None:
    """1: the SYN comes again after a second. Wireshark: an initial RTT of 20 ms, connected."""
    c = wire.connection()
    c.send(0, "client", "S", seq=0)
    c.send(1000, "client", "S", seq=0)
    c.send(1020, "server", "SA", seq=0, ack=1)
    c.send(1020, "client", "A", seq=1, ack=1)


def karn(wire: Wire) -> None:
    """2: a 10 ms path; a segment is sent again after 200 ms. Wireshark: an RTT of 210 ms."""
    c = wire.connection()
    c.open(0, 10)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)
    c.send(220, "client", "PA", seq=1, ack=1, size=100)  # 5
    c.send(230, "server", "A", seq=1, ack=101)


def neighbours(wire: Wire) -> None:
    """3: pods on one node (RTT 30 µs), two segments change places. Wireshark: a retransmission."""
    c = wire.connection()
    c.open(0, 0.03)
    c.send(1, "client", "A", seq=1, ack=1, size=1000, ip_id=700)
    c.send(1.01, "client", "A", seq=2001, ack=1, size=1000, ip_id=702)
    c.send(1.11, "client", "A", seq=1001, ack=1, size=1000, ip_id=701)  # 6
    c.send(1.15, "server", "A", seq=1, ack=3001)


def neighbours_without_identification(wire: Wire) -> None:
    """3, where no IP identification tells: nobody had asked, and no timer is that short."""
    c = wire.connection(ip_id=0)
    c.open(0, 0.03)
    c.send(1, "client", "A", seq=1, ack=1, size=1000)
    c.send(1.01, "client", "A", seq=2001, ack=1, size=1000)
    c.send(1.11, "client", "A", seq=1001, ack=1, size=1000)  # 6
    c.send(1.15, "server", "A", seq=1, ack=3001)


def hole_at_the_receiver(wire: Wire) -> None:
    """4: RTT 100 ms, a hole is filled after 60 ms, nothing tells how. Wireshark: out of order."""
    c = wire.connection(ip_id=0)
    c.open(0, 100)
    c.send(200, "client", "A", seq=1, ack=1, size=1000)
    for n in (2, 3, 4):
        c.send(200 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
        c.send(200.1 + n, "server", "A", seq=1, ack=1001, sack=(2001, 1001 + 1000 * n))
    c.send(262, "client", "A", seq=1001, ack=1, size=1000)  # 11
    c.send(262.1, "server", "A", seq=1, ack=5001)


def everything_twice(wire: Wire) -> None:
    """5: `-i any`: each packet again 2 µs later. Wireshark: retransmissions and duplicate ACKs."""
    c = wire.connection(stamped=True)
    before = len(wire.frames)
    c.open(0, 10)
    for n in range(4):
        c.send(20 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, echo=10)
        c.send(30 + n, "server", "A", seq=1, ack=1001 + 1000 * n, echo=20 + n)
    once = wire.frames[before:]
    wire.frames[before:] = sorted([*once, *((at + 2000, frame) for at, frame in once)], key=lambda f: f[0])


def super_packet(wire: Wire) -> None:
    """6: a GRO super-packet acknowledged in parts. Wireshark: an RTT for the last part alone."""
    c = wire.connection()
    c.open(0, 10)
    c.send(20, "client", "PA", seq=1, ack=1, size=4344)
    c.send(30, "server", "A", seq=1, ack=1449)
    c.send(31, "server", "A", seq=1, ack=2897)
    c.send(32, "server", "A", seq=1, ack=4345)


def retransmitted_and_then_the_original(wire: Wire) -> None:
    """At the receiver: what was sent for want of a segment comes first, then that segment after all."""
    c = wire.connection()
    c.open(0, 20)
    c.send(40, "client", "A", seq=1, ack=1, size=1000, ip_id=300)
    for n in (2, 3, 4):
        c.send(40 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, ip_id=300 + n)
        c.send(40.1 + n, "server", "A", seq=1, ack=1001, sack=(2001, 1001 + 1000 * n))
    c.send(64, "client", "A", seq=1001, ack=1, size=1000, ip_id=305)  # 11
    c.send(64.1, "server", "A", seq=1, ack=5001)
    c.send(70, "client", "A", seq=1001, ack=1, size=1000, ip_id=301)  # 13: late
    c.send(70.1, "server", "A", seq=1, ack=5001, sack=(1001, 2001))


def reported_above_the_acknowledgment(wire: Wire) -> None:
    """D-SACK of a segment beyond a hole (RFC 2883, 4.2): the block lies within one reported before."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(5):
        c.send(40 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)  # 4 (lost) … 8
    for n in range(1, 5):
        c.send(60 + n / 10, "server", "A", seq=1, ack=1, sack=(1001, 1001 + 1000 * n))
    c.send(61, "client", "A", seq=2001, ack=1, size=1000)  # 13: it had arrived
    c.send(81, "server", "A", seq=1, ack=1, sack=(2001, 3001))
    c.send(82, "client", "A", seq=1, ack=1, size=1000)  # 15
    c.send(102, "server", "A", seq=1, ack=5001)


def eifel(wire: Wire) -> None:
    """The ACK echoes the time of the first copy, so that is what it answers (RFC 3522)."""
    c = wire.connection(stamped=True)
    c.open(0, 20)
    c.send(40, "client", "PA", seq=1, ack=1, size=100, echo=20)
    c.send(260, "client", "PA", seq=1, ack=1, size=100, echo=20)  # 5
    c.send(270, "server", "A", seq=1, ack=101, echo=40)


def tail(wire: Wire) -> None:
    """The last of three segments is lost; a probe after two round trips brings it again."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(3):
        c.send(40 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
    c.send(60, "server", "A", seq=1, ack=2001)
    c.send(82, "client", "A", seq=2001, ack=1, size=1000)  # 8
    c.send(102, "server", "A", seq=1, ack=3001)


def probe_for_life(wire: Wire) -> None:
    c = wire.connection()
    c.open(0, 20)
    c.send(40, "client", "PA", seq=1, ack=1, size=100)
    c.send(60, "server", "A", seq=1, ack=101)
    c.send(15_060, "client", "A", seq=100, ack=1)  # 6
    c.send(15_080, "server", "A", seq=1, ack=101)


SCENES = {
    f.__name__: f
    for f in (
        syn_repeated,
        karn,
        neighbours,
        neighbours_without_identification,
        hole_at_the_receiver,
        everything_twice,
        super_packet,
        retransmitted_and_then_the_original,
        reported_above_the_acknowledgment,
        eifel,
        tail,
        probe_for_life,
    )
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("loss") / "scenes.pcap", SCENES)


def told(packets: pd.DataFrame) -> dict[int, str]:
    first = int(packets.index[0])
    table = losses(packets)
    return {
        int(number) - first + 1: str(word)
        for number, word in zip(table["number"], table["loss_class"], strict=True)
    }


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("syn_repeated", {2: "syn"}),
        ("karn", {5: "rto"}),
        ("neighbours", {6: "reordering"}),
        ("neighbours_without_identification", {6: "reordering"}),
        ("hole_at_the_receiver", {11: "ambiguous"}),
        ("super_packet", {}),
        ("retransmitted_and_then_the_original", {11: "spurious", 13: "reordering"}),
        ("reported_above_the_acknowledgment", {13: "spurious", 15: "fast"}),
        ("eifel", {5: "spurious"}),
        ("tail", {8: "tail_probe"}),
        ("probe_for_life", {6: "keep_alive"}),
    ],
)
def test_each_segment_is_what_it_was(scenes: dict[str, Scene], scene: str, expected: dict[int, str]) -> None:
    assert told(scenes[scene].packets) == expected


def test_one_connecting_took_as_long_as_the_client_waited(scenes: dict[str, Scene]) -> None:
    (row,) = conversations(scenes["syn_repeated"].packets).to_dict("records")
    assert row["connect_ms"] == pytest.approx(1020)
    assert row["handshake_rtt_ms"] == pytest.approx(20)
    assert scenes["syn_repeated"].packets["initial_rtt"].max() == pytest.approx(0.02)  # Wireshark's


def test_two_no_round_trip_is_measured_over_a_repeat(scenes: dict[str, Scene]) -> None:
    samples = round_trips(scenes["karn"].packets)
    assert samples["rtt_ms"].max() == pytest.approx(10)
    assert scenes["karn"].packets["ack_rtt"].max() == pytest.approx(0.21)  # Wireshark's


def test_three_and_four_differ_from_wireshark_and_say_so(scenes: dict[str, Scene]) -> None:
    for scene, theirs in (("neighbours", "retransmission"), ("hole_at_the_receiver", "out_of_order")):
        (row,) = losses(scenes[scene].packets).to_dict("records")
        assert (row["wireshark"], row["differs"]) == (theirs, True)
    assert losses(scenes["hole_at_the_receiver"].packets)["confidence"].max() <= 0.5


def test_five_a_packet_seen_twice_is_one(scenes: dict[str, Scene]) -> None:
    packets = scenes["everything_twice"].packets
    table = losses(packets)
    assert set(table["loss_class"]) == {"duplicate_capture"}
    assert len(table) == len(packets) / 2
    theirs = packets["retransmission"] | packets["spurious_retransmission"] | packets["duplicate_ack"]
    assert theirs.sum() >= 8  # Wireshark's
    assert conversations(packets)["retransmissions"].sum() == 0


def test_six_each_part_of_a_super_packet_has_its_round_trip(scenes: dict[str, Scene]) -> None:
    samples = round_trips(scenes["super_packet"].packets)
    acks = samples[samples["kind"] == "ack"]
    assert acks["rtt_ms"].tolist() == pytest.approx([10, 11, 12])
    assert acks["half"].tolist() == ["server"] * 3
    assert scenes["super_packet"].packets["ack_rtt"].iloc[3:].notna().sum() == 1  # Wireshark's
