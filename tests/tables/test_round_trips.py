from __future__ import annotations

import random

import pandas as pd
import pytest
from wire import Scene, Wire, shoot

from k8scap.tables.conversations import conversations
from k8scap.tables.round_trips import round_trips


def plain(wire: Wire) -> None:
    """A capture between the two: 15 ms from here to the server and back, 5 ms to the client and back."""
    c = wire.connection()
    c.send(0, "client", "S", seq=0)
    c.send(15, "server", "SA", seq=0, ack=1)
    c.send(20, "client", "A", seq=1, ack=1)
    c.send(21, "client", "PA", seq=1, ack=1, size=100)
    c.send(36.5, "server", "PA", seq=1, ack=101, size=3000)
    c.send(42, "client", "A", seq=101, ack=3001)
    c.send(50, "client", "FA", seq=101, ack=3001)
    c.send(65, "server", "FA", seq=3001, ack=102)
    c.send(70, "client", "A", seq=102, ack=3002)


def syn_again(*, stamped: bool) -> object:
    """The first SYN is lost; the second, a second later, is answered after 20 ms."""

    def scene(wire: Wire) -> None:
        c = wire.connection(stamped=stamped)
        c.send(0, "client", "S", seq=0)
        c.send(1000, "client", "S", seq=0)
        c.send(1020, "server", "SA", seq=0, ack=1, echo=1000)
        c.send(1020.5, "client", "A", seq=1, ack=1, echo=1020)

    return scene


def late_answer(wire: Wire) -> None:
    """The SYN-ACK took 1.2 s: its timestamp tells that it answers the first SYN, not the one just sent."""
    c = wire.connection(stamped=True)
    c.send(0, "client", "S", seq=0)
    c.send(1000, "client", "S", seq=0)
    c.send(1200, "server", "SA", seq=0, ack=1, echo=0)
    c.send(1201, "client", "A", seq=1, ack=1, echo=1200)


def sent_again(*, stamped: bool) -> object:
    """A 10 ms path; a segment is lost and sent again after 200 ms, and its ACK comes 10 ms later."""

    def scene(wire: Wire) -> None:
        c = wire.connection(stamped=stamped)
        c.open(rtt=10)
        c.send(20, "client", "PA", seq=1, ack=1, size=500, echo=10)  # 4
        c.send(220, "client", "PA", seq=1, ack=1, size=500, echo=10)  # 5
        c.send(230, "server", "A", seq=1, ack=501, echo=220)  # 6
        c.send(300, "client", "PA", seq=501, ack=1, size=500, echo=230)  # 7
        c.send(310, "server", "A", seq=1, ack=1001, echo=300)  # 8

    return scene


def held_up(wire: Wire) -> None:
    """Sent once, but acknowledged only when the gap before it was filled: no round trip of 210 ms."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "A", seq=1, ack=1, size=1000)  # 4, lost
    c.send(20.1, "client", "A", seq=1001, ack=1, size=1000)  # 5
    c.send(30.1, "server", "A", seq=1, ack=1, sack=(1001, 2001))
    c.send(220, "client", "A", seq=1, ack=1, size=1000)  # 7
    c.send(230, "server", "A", seq=1, ack=2001)  # 8: for 7, 10 ms ago


def filled_at_the_receiver(wire: Wire) -> None:
    """The same, captured at the receiver: the lost copy was never seen."""
    c = wire.connection(ip_id=0)
    c.open(rtt=0.05)
    c.send(20, "client", "A", seq=1, ack=1, size=1000)
    c.send(20.01, "server", "A", seq=1, ack=1001)
    c.send(20.1, "client", "A", seq=2001, ack=1, size=1000)
    c.send(20.15, "server", "A", seq=1, ack=1001, sack=(2001, 3001))
    c.send(240, "client", "A", seq=1001, ack=1, size=1000)
    c.send(240.05, "server", "A", seq=1, ack=3001)


def super_packet(wire: Wire) -> None:
    """GSO: one frame of 6,000 bytes, acknowledged in three parts."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "PA", seq=1, ack=1, size=6000)  # 4
    for n, at in enumerate((30, 30.4, 31)):
        c.send(at, "server", "A", seq=1, ack=2001 + 2000 * n)  # 5, 6, 7


def seen_twice(wire: Wire) -> None:
    c = wire.connection()
    before = len(wire.frames)
    c.open(rtt=10)
    c.send(20, "client", "PA", seq=1, ack=1, size=500)
    c.send(30, "server", "A", seq=1, ack=501)
    wire.frames[before:] = [(at + more, f) for at, f in wire.frames[before:] for more in (0, 2000)]


def refused(wire: Wire) -> None:
    c = wire.connection()
    c.send(0, "client", "S", seq=0)
    c.send(7, "server", "RA", seq=0, ack=1)


def unseen(wire: Wire) -> None:
    """Midstream, and an acknowledgment of bytes that were not captured: neither tells a round trip."""
    c = wire.connection()
    c.send(0, "server", "A", seq=1, ack=5001)
    c.send(1, "client", "PA", seq=5001, ack=1, size=100)
    c.send(11, "server", "A", seq=1, ack=9001)


SCENES = {
    name: scene
    for name, scene in globals().items()
    if callable(scene) and getattr(scene, "__annotations__", {}).get("wire") == "Wire"
}


def busy(wire: Wire) -> None:
    """Forty loss-free conversations of random sizes and pauses."""
    random.seed(7)
    for _ in range(40):
        c = wire.connection()
        at, seq, ack = 0.0, 1, 1
        c.open(rtt=random.uniform(0.1, 80))
        at = 200.0
        for _ in range(8):
            size, answer = random.randint(1, 1400), random.randint(0, 1400)
            c.send(at, "client", "PA", seq=seq, ack=ack, size=size)
            at += random.uniform(0.1, 80)
            seq += size
            c.send(at, "server", "PA", seq=ack, ack=seq, size=answer)
            at += random.uniform(0.1, 80)
            ack += answer


SCENES |= {
    "busy": busy,
    "SYN again": syn_again(stamped=False),
    "SYN again, stamped": syn_again(stamped=True),
    "sent again": sent_again(stamped=False),
    "sent again, stamped": sent_again(stamped=True),
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def samples(scene: Scene) -> list[tuple[int, int, str, float]]:
    """(frame that answered, frame measured, kind, milliseconds)."""
    table = round_trips(scene.packets)
    return [
        (row.number, row.segment, str(row.kind), round(row.rtt_ms, 6))
        for row in table[["number", "segment", "kind", "rtt_ms"]].itertuples()
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "plain",
            [
                (2, 1, "handshake", 15.0),
                (3, 2, "handshake", 5.0),
                (5, 4, "ack", 15.5),
                (6, 5, "ack", 5.5),
                (8, 7, "ack", 15.0),
                (9, 8, "ack", 5.0),
            ],
        ),
        ("SYN again", [(4, 3, "handshake", 0.5)]),
        ("SYN again, stamped", [(3, 2, "timestamp", 20.0), (4, 3, "handshake", 0.5)]),
        ("late_answer", [(3, 1, "timestamp", 1200.0), (4, 3, "handshake", 1.0)]),
        ("sent again", [(2, 1, "handshake", 10.0), (3, 2, "handshake", 0.0), (8, 7, "ack", 10.0)]),
        (
            "sent again, stamped",
            [
                (2, 1, "handshake", 10.0),
                (3, 2, "handshake", 0.0),
                (6, 5, "timestamp", 10.0),
                (8, 7, "ack", 10.0),
            ],
        ),
        ("held_up", [(2, 1, "handshake", 10.0), (3, 2, "handshake", 0.0)]),
        (
            "filled_at_the_receiver",
            [(2, 1, "handshake", 0.05), (3, 2, "handshake", 0.0), (5, 4, "ack", 0.01)],
        ),
        (
            "super_packet",
            [
                (2, 1, "handshake", 10.0),
                (3, 2, "handshake", 0.0),
                (5, 4, "ack", 10.0),
                (6, 4, "ack", 10.4),
                (7, 4, "ack", 11.0),
            ],
        ),
        ("seen_twice", [(3, 1, "handshake", 10.0), (5, 3, "handshake", 0.0), (9, 7, "ack", 10.0)]),
        ("refused", [(2, 1, "handshake", 7.0)]),
        ("unseen", []),
    ],
)
def test_samples(scenes: dict[str, Scene], name: str, expected: list[tuple[int, int, str, float]]) -> None:
    assert samples(scenes[name]) == expected


def test_src_sent_what_was_measured_and_dst_acknowledged_it(scenes: dict[str, Scene]) -> None:
    scene = scenes["plain"]
    table = round_trips(scene.packets)
    assert table["src"].tolist() == ["198.18.0.1", "198.18.0.2"] * 3
    assert table["dst_port"].tolist()[::2] == [80, 80, 80]
    assert scene.ms(table["time"]) == [15.0, 20.0, 36.5, 42.0, 65.0, 70.0]


def test_connecting_took_as_long_as_the_client_waited(scenes: dict[str, Scene]) -> None:
    """Wireshark's initial RTT of a SYN repeated after 1 s is 20 ms; connecting took 1,020.5 ms."""
    packets = scenes["SYN again"].packets
    row = conversations(packets).iloc[0]
    assert packets["initial_rtt"].dropna().round(6).unique().tolist() == [0.0205]
    assert round(row["connect_ms"], 6) == 1020.5
    assert round(row["handshake_rtt_ms"], 6) == 20.5


def test_an_echoed_timestamp_tells_which_syn_was_answered(scenes: dict[str, Scene]) -> None:
    row = conversations(scenes["late_answer"].packets).iloc[0]
    assert round(row["handshake_rtt_ms"], 6) == 1201.0
    assert round(row["connect_ms"], 6) == 1201.0


def test_wireshark_measures_what_was_sent_twice_and_we_do_not(scenes: dict[str, Scene]) -> None:
    theirs = scenes["held_up"].packets["ack_rtt"]
    assert round(theirs[8] * 1000, 6) == 209.9
    assert round_trips(scenes["held_up"].packets)["rtt_ms"].max() == pytest.approx(10)


def test_wireshark_has_only_the_last_part_of_a_super_packet(scenes: dict[str, Scene]) -> None:
    assert scenes["super_packet"].packets["ack_rtt"].dropna().index.tolist() == [2, 7]


def test_without_loss_the_samples_are_wiresharks(scenes: dict[str, Scene]) -> None:
    packets = scenes["busy"].packets
    theirs = packets["ack_rtt"].dropna() * 1000
    ours = round_trips(packets).set_index("number")["rtt_ms"]
    assert len(theirs) > 600
    pd.testing.assert_series_equal(ours[ours > 0], theirs, check_names=False, atol=1e-6)


def test_samples_of_several_points_stay_apart(scenes: dict[str, Scene]) -> None:
    packets = scenes["plain"].packets
    later = packets["time"] + pd.Timedelta("3s")
    both = pd.concat([packets.assign(point="node-b"), packets.assign(point="node-a", time=later)])
    table = round_trips(both)
    assert table["point"].tolist() == ["node-a"] * 6 + ["node-b"] * 6
    assert table["rtt_ms"].round(6).tolist() == [15.0, 5.0, 15.5, 5.5, 15.0, 5.0] * 2
