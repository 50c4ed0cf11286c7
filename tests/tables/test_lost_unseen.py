"""Losses that leave no gap at the receiver, and repeats that only look needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wire import Connection, Scene, Wire, shoot

from k8scap.tables.loss import losses
from k8scap.tables.retransmissions import retransmissions

if TYPE_CHECKING:
    import pandas as pd


def arriving(wire: Wire, rtt: float = 20) -> Connection:
    """A connection as its server sees it: the SYN-ACK at once, its acknowledgment a round trip later."""
    c = wire.connection()
    c.send(0, "client", "S", seq=0, ip_id=100)
    c.send(0.01, "server", "SA", seq=0, ack=1)
    c.send(rtt, "client", "A", seq=1, ack=1, ip_id=101)
    return c


def flights(c: Connection, *, step_over_silence: int = 1) -> int:
    """Three flights of four segments, a silence of 30 ms between; acknowledged at once. The next number."""
    ip_id = 102
    for n in range(12):
        at = 30 + 30 * (n // 4) + n % 4 / 10
        ip_id += step_over_silence - 1 if n and n % 4 == 0 else 0
        c.send(at, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, ip_id=ip_id)
        c.send(at + 0.01, "server", "A", seq=1, ack=1001 + 1000 * n)
        ip_id += 1
    return ip_id


def tail(wire: Wire) -> None:
    """The last segment is lost; its repeat comes in order, 45 ms after the one before it."""
    c = arriving(wire)
    lost = flights(c)
    c.send(135, "client", "PA", seq=12_001, ack=1, size=300, ip_id=lost + 1)  # 28


def tail_by_timer(wire: Wire) -> None:
    c = arriving(wire)
    lost = flights(c)
    c.send(330, "client", "PA", seq=12_001, ack=1, size=300, ip_id=lost + 1)  # 28


def new_after_a_silence(wire: Wire) -> None:
    """No number is missing: the application had nothing to say."""
    c = arriving(wire)
    c.send(330, "client", "PA", seq=12_001, ack=1, size=300, ip_id=flights(c))


def number_of_an_acknowledgment(wire: Wire) -> None:
    """The packet that is missing had something to acknowledge."""
    c = arriving(wire)
    lost = flights(c)
    c.send(100, "server", "PA", seq=1, ack=12_001, size=50)
    c.send(330, "client", "PA", seq=12_001, ack=51, size=300, ip_id=lost + 1)


def numbers_of_the_whole_host(wire: Wire) -> None:
    """One counter for all that a host sends: it goes on during silences."""
    c = arriving(wire)
    lost = flights(c, step_over_silence=3)
    c.send(330, "client", "PA", seq=12_001, ack=1, size=300, ip_id=lost + 2)


def number_of_a_lost_repeat(wire: Wire) -> None:
    """Two gaps; the lower one's repeat is lost, so that it is filled last. Then new bytes."""
    c = arriving(wire)
    after = flights(c)
    for n in (1, 3):  # 0 and 2 are lost
        c.send(120 + n, "client", "A", seq=12_001 + 1000 * n, ack=1, size=1000, ip_id=after + n)
        c.send(120.1 + n, "server", "A", seq=1, ack=12_001, sack=(12_001 + 1000 * n, 13_001 + 1000 * n))
    c.send(145, "client", "A", seq=14_001, ack=1, size=1000, ip_id=after + 5)  # 32; 4 was for the lower
    c.send(145.1, "server", "A", seq=1, ack=12_001, sack=(13_001, 16_001))
    c.send(166, "client", "A", seq=12_001, ack=1, size=1000, ip_id=after + 6)  # 34
    c.send(166.1, "server", "A", seq=1, ack=16_001)
    c.send(187, "client", "PA", seq=16_001, ack=1, size=300, ip_id=after + 7)


def repeat_overtaken_by_its_repeat(wire: Wire) -> None:
    """A segment is lost, its repeat is late, and the repeat of that comes first."""
    c = arriving(wire)
    for n in (0, 2, 3, 4):
        c.send(30 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, ip_id=102 + n)
        c.send(30.05 + n / 10, "server", "A", seq=1, ack=1001, sack=(2001, 1001 + 1000 * n) if n else None)
    c.send(75, "client", "A", seq=1001, ack=1, size=1000, ip_id=109)  # 12
    c.send(75.1, "server", "A", seq=1, ack=5001)
    c.send(76, "client", "A", seq=1001, ack=1, size=1000, ip_id=107)  # 14


def gap_whose_edge_came_again(wire: Wire) -> None:
    """What stands behind the gap has been sent again since, later than the repeat that fills it."""
    c = arriving(wire)
    for n in (0, 2, 3, 4):
        c.send(30 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, ip_id=102 + n)
        c.send(30.05 + n / 10, "server", "A", seq=1, ack=1001, sack=(2001, 1001 + 1000 * n) if n else None)
    c.send(60, "client", "A", seq=2001, ack=1, size=1000, ip_id=108)  # 12
    c.send(60.1, "server", "A", seq=1, ack=1001, sack=(2001, 3001))
    c.send(62, "client", "A", seq=1001, ack=1, size=1000, ip_id=107)  # 14
    c.send(62.1, "server", "A", seq=1, ack=5001)


def needless_where_it_arrives(wire: Wire) -> None:
    """At the receiver, which reports nothing twice: it has the segment, and gets it once more."""
    c = arriving(wire, rtt=100)
    for n in (0, 2, 3, 4):
        c.send(130 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000, ip_id=102 + n)
        c.send(130.1 + n, "server", "A", seq=1, ack=1001)
    c.send(232, "client", "A", seq=3001, ack=1, size=1000, ip_id=107)  # 12
    c.send(232.1, "server", "A", seq=1, ack=1001)


def answered_too_soon(wire: Wire) -> None:
    """At the sender, round trip 100 ms: the acknowledgment comes 70 ms after the repeat."""
    c = wire.connection()
    c.open(0, 100)
    c.send(200, "client", "A", seq=1, ack=1, size=1000)
    c.send(300, "server", "A", seq=1, ack=1001)
    for n in range(1, 6):
        c.send(310 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
    for n in range(2, 6):
        c.send(410 + n, "server", "A", seq=1, ack=1001, sack=(2001, 1001 + 1000 * n))
    c.send(420, "client", "A", seq=1001, ack=1, size=1000)  # 15
    c.send(490, "server", "A", seq=1, ack=6001)


def answered_in_time(wire: Wire) -> None:
    """The same, but a round trip after the repeat: it was needed."""
    answered_too_soon(wire)
    at, frame = wire.frames.pop()
    wire.frames.append((at + 35_000_000, frame))


def reported(c: Connection, at: float, left: int, right: int, *, ack: int = 1) -> None:
    c.send(at, "server", "A", seq=1, ack=ack, sack=(left, right))


def six_with_two_gaps(wire: Wire) -> Connection:
    """At the sender: of six segments the first and the fourth are missing."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(6):
        c.send(40 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
    for right in (2001, 3001):
        reported(c, 60 + right / 10_000, 1001, right)
    for right in (5001, 6001):
        reported(c, 60 + right / 10_000, 4001, right)
    return c


def reported_without_its_neighbours(wire: Wire) -> None:
    """A receiver that forgets its blocks, or got it twice; the sender repeats needlessly elsewhere."""
    c = six_with_two_gaps(wire)
    for n, seq in enumerate((2001, 3001, 1)):  # 14, 15, 16
        c.send(61 + n / 10, "client", "A", seq=seq, ack=1, size=1000)
    reported(c, 81, 2001, 3001)
    reported(c, 81.1, 3001, 4001)
    c.send(82, "server", "A", seq=1, ack=6001)


def reported_without_its_neighbours_where_all_were_lost(wire: Wire) -> None:
    c = six_with_two_gaps(wire)
    for n, seq in enumerate((3001, 1)):  # 14, 15
        c.send(61 + n / 10, "client", "A", seq=seq, ack=1, size=1000)
    reported(c, 81.1, 3001, 4001)
    c.send(82, "server", "A", seq=1, ack=6001)


def nothing_pointed_at_it(wire: Wire) -> None:
    """Amid repeats for nothing one of a segment behind which nothing was reported: nothing tells."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(5):
        c.send(40 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
    for n in range(4):
        reported(c, 60 + n / 10, 1001, 2001)
    for n, seq in enumerate((1001, 2001, 3001, 1)):  # 13 … 16
        c.send(61 + n / 10, "client", "A", seq=seq, ack=1, size=1000)
    reported(c, 62, 1001, 5001)
    reported(c, 81, 3001, 4001)
    c.send(82, "server", "A", seq=1, ack=5001)


SCENES = {
    f.__name__: f
    for f in (
        tail,
        tail_by_timer,
        new_after_a_silence,
        number_of_an_acknowledgment,
        numbers_of_the_whole_host,
        number_of_a_lost_repeat,
        repeat_overtaken_by_its_repeat,
        gap_whose_edge_came_again,
        needless_where_it_arrives,
        answered_too_soon,
        answered_in_time,
        reported_without_its_neighbours,
        reported_without_its_neighbours_where_all_were_lost,
        nothing_pointed_at_it,
    )
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("unseen") / "scenes.pcap", SCENES)


def told(packets: pd.DataFrame) -> dict[int, str]:
    first = int(packets.index[0])
    table = losses(packets)
    numbers = (table["number"].astype(int) - first + 1).tolist()
    return dict(zip(numbers, table["loss_class"].astype(str), strict=True))


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("tail", {28: "tail_probe"}),
        ("tail_by_timer", {28: "rto"}),
        ("new_after_a_silence", {}),
        ("number_of_an_acknowledgment", {}),
        ("numbers_of_the_whole_host", {}),
        ("number_of_a_lost_repeat", {32: "fast", 34: "fast"}),
        ("repeat_overtaken_by_its_repeat", {12: "spurious", 14: "fast"}),
        ("gap_whose_edge_came_again", {12: "spurious", 14: "fast"}),
        ("needless_where_it_arrives", {12: "spurious"}),
        ("answered_too_soon", {15: "spurious"}),
        ("answered_in_time", {15: "fast"}),
        ("reported_without_its_neighbours", {14: "spurious", 15: "ambiguous", 16: "fast"}),
        ("reported_without_its_neighbours_where_all_were_lost", {14: "fast", 15: "fast"}),
        ("nothing_pointed_at_it", {13: "spurious", 14: "ambiguous", 15: "spurious", 16: "fast"}),
    ],
)
def test_each_segment_is_what_it_was(scenes: dict[str, Scene], scene: str, expected: dict[int, str]) -> None:
    assert told(scenes[scene].packets) == expected


def test_a_lost_tail_is_a_retransmission_whose_first_copy_was_not_captured(scenes: dict[str, Scene]) -> None:
    (row,) = retransmissions(scenes["tail_by_timer"].packets).to_dict("records")
    assert (row["kind"], row["copy"], row["loss_class"], row["seq"]) == ("timeout", 1, "rto", 12_001)
    assert row["confidence"] <= 0.7
