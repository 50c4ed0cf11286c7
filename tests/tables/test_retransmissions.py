from __future__ import annotations

import pandas as pd
import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw
from wire import Scene, Wire, shoot

from k8scap.tables.conversations import conversations
from k8scap.tables.retransmissions import retransmissions


def timer(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=100)  # 4, lost on the way
    c.send(221, "client", "PA", seq=1, ack=1, size=100)  # 5
    c.send(661, "client", "PA", seq=1, ack=1, size=100)  # 6
    c.send(681, "server", "A", seq=1, ack=101)


def duplicate_acks(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    for n in range(5):
        c.send(21 + n / 10, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)  # 4 (lost) … 8
    for n in range(4):
        c.send(41 + n / 10, "server", "A", seq=1, ack=1)
    c.send(41.5, "client", "A", seq=1, ack=1, size=1000)  # 13
    c.send(61.5, "server", "A", seq=1, ack=5001)


def selective_then_partial(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    for n in range(4):
        c.send(21, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)  # 4 lost, 5, 6 lost, 7
    c.send(41, "server", "A", seq=1, ack=1, sack=(1001, 2001))
    c.send(41.2, "server", "A", seq=1, ack=1, sack=(3001, 4001))
    c.send(41.5, "client", "A", seq=1, ack=1, size=1000)  # 10: what SACK says is missing
    c.send(61.5, "server", "A", seq=1, ack=2001)
    c.send(61.6, "client", "A", seq=2001, ack=1, size=1000)  # 12: what the partial ACK says
    c.send(81.6, "server", "A", seq=1, ack=4001)


def repeated_opening(wire: Wire) -> None:
    c = wire.connection()
    c.send(0, "client", "S", seq=0)
    c.send(1000, "client", "S", seq=0)
    c.send(3000, "client", "S", seq=0)
    c.send(3020, "server", "SA", seq=0, ack=1)
    c.send(4020, "server", "SA", seq=0, ack=1)
    c.send(4021, "client", "A", seq=1, ack=1)


def repeated_end(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(30, "client", "FA", seq=1, ack=1)  # 4
    c.send(240, "client", "FA", seq=1, ack=1)  # 5
    c.send(260, "server", "FA", seq=1, ack=2)
    c.send(261, "client", "A", seq=2, ack=2)


def tail_probe(wire: Wire) -> None:
    """The last segment arrived, its ACK was late: the probe was not needed, and D-SACK says so."""
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=500)  # 4
    c.send(63, "client", "PA", seq=1, ack=1, size=500)  # 5
    c.send(70, "server", "A", seq=1, ack=501)
    c.send(83, "server", "A", seq=1, ack=501, sack=(1, 501))


def after_acknowledgment(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=500)  # 4
    c.send(41, "server", "A", seq=1, ack=501)
    c.send(230, "client", "PA", seq=1, ack=1, size=500)  # 6


def cut_differently(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "A", seq=1, ack=1, size=4000)  # 4, a super-packet
    c.send(230, "client", "A", seq=2001, ack=1, size=1000)  # 5, the third quarter
    c.send(240, "client", "A", seq=1, ack=1, size=500)  # 6
    c.send(250, "client", "PA", seq=3501, ack=1, size=1000)  # 7, half old and half new
    c.send(460, "client", "PA", seq=1501, ack=1, size=1000)  # 8, over 4 and 5
    c.send(470, "client", "PA", seq=4501, ack=1, size=10)  # 9, all new


def keep_alives(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=300)
    c.send(41, "server", "A", seq=1, ack=301)
    for at in (10_000, 20_000):
        c.send(at, "client", "A", seq=300, ack=1, size=1)  # the old style: one byte of rubbish
        c.send(at + 20, "server", "A", seq=1, ack=301)
        c.send(at + 5000, "client", "A", seq=300, ack=1)
        c.send(at + 5020, "server", "A", seq=1, ack=301)
    c.send(30_000, "client", "PA", seq=301, ack=1, size=300)


def window_probes(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "A", seq=1, ack=1, size=1000)
    c.send(41, "server", "A", seq=1, ack=1001, window=0)
    for at in (241, 641, 1441):
        c.send(at, "client", "A", seq=1001, ack=1, size=1)  # a byte into the closed window
        c.send(at + 20, "server", "A", seq=1, ack=1001, window=0)
    c.send(1600, "server", "A", seq=1, ack=1001)
    c.send(1601, "client", "A", seq=1001, ack=1, size=1000)


def one_byte_again(wire: Wire) -> None:
    """A keystroke, lost: like a keep-alive but for the ACK that never came."""
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=1)  # 4
    c.send(231, "client", "PA", seq=1, ack=1, size=1)  # 5
    c.send(251, "server", "A", seq=1, ack=2)


def seen_twice(wire: Wire) -> None:
    """`-i any`: each packet on the veth and, 2 µs later, on the bridge."""
    c = wire.connection(stamped=True)
    before = len(wire.frames)
    c.open()
    for n in range(6):
        c.send(21 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)
        c.send(41 + n, "server", "A", seq=1, ack=1001 + 1000 * n, echo=21 + n)
    c.send(60, "client", "FA", seq=6001, ack=1)
    once = wire.frames[before:]
    again = [(at + 2000, frame) for at, frame in once]
    wire.frames[before:] = sorted([*once, *again], key=lambda f: f[0])


def seen_twice_ipv6(wire: Wire) -> None:
    c = wire.connection(client="2001:2::1", server="2001:2::2")
    before = len(wire.frames)
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=1000)
    c.send(41, "server", "PA", seq=1, ack=1001, size=700)
    wire.frames[before:] = [(at + extra, frame) for at, frame in wire.frames[before:] for extra in (0, 2000)]


def same_identification(wire: Wire) -> None:
    """A sender that keeps the IP identification when it sends again (RFC 1122 allows it)."""
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=100, ip_id=777)
    c.send(221, "client", "PA", seq=1, ack=1, size=100, ip_id=777)


def near_neighbours(ip_id: int | None) -> object:
    """Two pods on one node (round trip 30 µs); at the receiver two segments changed places, 100 µs apart."""

    def scene(wire: Wire) -> None:
        c = wire.connection(ip_id=None if ip_id is None else ip_id)
        c.open(rtt=0.03)
        first, second = (201, 202) if ip_id is None else (ip_id, ip_id)
        c.send(1, "client", "A", seq=1, ack=1, size=1000)
        c.send(1.2, "client", "A", seq=2001, ack=1, size=1000, ip_id=second)
        c.send(1.3, "client", "A", seq=1001, ack=1, size=1000, ip_id=first)  # 6
        c.send(1.33, "server", "A", seq=1, ack=3001)

    return scene


def far_hole(stamp: float | None) -> object:
    """At the receiver, round trip 100 ms: a gap is filled after 60 ms; `stamp` is when that was sent."""

    def scene(wire: Wire) -> None:
        c = wire.connection(stamped=stamp is not None, ip_id=0)
        c.open(rtt=100)
        c.send(150, "client", "A", seq=1, ack=1, size=1000)
        c.send(150.5, "client", "A", seq=2001, ack=1, size=1000)
        at = 210.5
        if stamp is None:
            c.send(at, "client", "A", seq=1001, ack=1, size=1000)  # 6
        else:
            c.send(stamp, "client", "A", seq=1001, ack=1, size=1000)  # 6
            wire.frames[-1] = (round(at * 1e6), wire.frames[-1][1])

    return scene


def wrapping(wire: Wire) -> None:
    c = wire.connection(client_isn=2**32 - 1500)
    c.open()
    for n in range(4):
        c.send(21 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)  # 4 to 7, over the wrap in 5
    c.send(230, "client", "A", seq=1001, ack=1, size=1000)  # 8
    c.send(250, "server", "A", seq=1, ack=4001)


def claimed_by_a_bare_ack(wire: Wire) -> None:
    """The bare ACK's sequence number tells that 500 bytes were sent before, which were not captured."""
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=100)
    c.send(300, "client", "A", seq=601, ack=1)
    c.send(310, "client", "PA", seq=101, ack=1, size=500)  # 6


SCENES = {
    name: scene
    for name, scene in globals().items()
    if callable(scene) and getattr(scene, "__annotations__", {}).get("wire") == "Wire"
}
SCENES |= {
    "reordered, told by IDs": near_neighbours(None),
    "reordered, untold": near_neighbours(1),
    "far hole, untold": far_hole(None),
    "far hole, sent late": far_hole(205.0),
    "far hole, sent in order": far_hole(149.0),
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def told(scene: Scene) -> list[tuple[object, ...]]:
    """(frame, frame it repeats, kind, milliseconds since, copy) of each event."""
    table = retransmissions(scene.packets)
    columns = table[["number", "repeats", "kind", "waited_ms", "copy"]]
    return [tuple(None if pd.isna(v) else v for v in row) for row in columns.itertuples(index=False)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timer", [(5, 4, "timeout", 200.0, 2), (6, 5, "timeout", 440.0, 3)]),
        ("duplicate_acks", [(13, 4, "fast", 20.5, 2)]),
        ("selective_then_partial", [(10, 4, "fast", 20.5, 2), (12, 6, "fast", 40.6, 2)]),
        ("repeated_opening", [(2, 1, "syn", 1000.0, 2), (3, 2, "syn", 2000.0, 3), (5, 4, "syn", 1000.0, 2)]),
        ("repeated_end", [(5, 4, "fin", 210.0, 2)]),
        ("tail_probe", [(5, 4, "spurious", 42.0, 2)]),
        ("after_acknowledgment", [(6, 4, "spurious", 209.0, 2)]),
        (
            "cut_differently",
            [
                (5, 4, "timeout", 209.0, 2),
                (6, 4, "timeout", 219.0, 2),
                (7, 4, "timeout", 229.0, 2),
                (8, 5, "timeout", 230.0, 3),
            ],
        ),
        ("one_byte_again", [(5, 4, "timeout", 210.0, 2)]),
        ("same_identification", [(5, 4, "timeout", 200.0, 2)]),
        ("wrapping", [(8, 5, "timeout", 208.0, 2)]),
        ("claimed_by_a_bare_ack", [(6, None, "timeout", None, 1)]),
        ("far hole, sent late", [(6, None, "timeout", None, 1)]),
        ("far hole, untold", [(6, None, "ambiguous", None, 1)]),
        ("reordered, untold", [(6, None, "ambiguous", None, 1)]),
    ],
)
def test_a_segment_sent_again_is_an_event(
    scenes: dict[str, Scene], name: str, expected: list[tuple[object, ...]]
) -> None:
    assert told(scenes[name]) == expected


@pytest.mark.parametrize(
    "name",
    [
        "keep_alives",
        "window_probes",
        "seen_twice",
        "seen_twice_ipv6",
        "reordered, told by IDs",
        "far hole, sent in order",
    ],
)
def test_what_was_not_sent_again_is_none(scenes: dict[str, Scene], name: str) -> None:
    assert told(scenes[name]) == []


def test_wireshark_is_wrong_on_packets_seen_twice_and_its_verdict_is_not_ours(
    scenes: dict[str, Scene],
) -> None:
    packets = scenes["seen_twice"].packets
    assert packets["retransmission"].sum() >= 6
    row = conversations(packets).iloc[0]
    assert (row["retransmissions"], row["state"], row["history"]) == (0, "S2", "ShADaF")


def test_each_row_tells_who_sent_what_again(scenes: dict[str, Scene]) -> None:
    scene = scenes["repeated_opening"]
    table = retransmissions(scene.packets)
    assert table["src"].tolist() == ["198.18.0.1", "198.18.0.1", "198.18.0.2"]
    assert table["dst_port"].tolist()[:2] == [80, 80]
    assert table["src_port"].tolist()[2] == 80
    assert scene.ms(table["time"]) == [1000.0, 3000.0, 4020.0]
    assert table["seq"].tolist() == [0, 0, 0]
    assert retransmissions(scenes["cut_differently"].packets)["payload_length"].tolist() == [
        1000,
        500,
        1000,
        1000,
    ]


def test_wiresharks_verdict_stands_beside_ours(scenes: dict[str, Scene]) -> None:
    verdicts = {
        name: retransmissions(scenes[name].packets)["wireshark"].tolist()
        for name in ("timer", "duplicate_acks", "after_acknowledgment", "far hole, untold")
    }
    assert verdicts == {
        "timer": ["retransmission"] * 2,
        "duplicate_acks": ["fast_retransmission"],
        "after_acknowledgment": ["spurious_retransmission"],
        "far hole, untold": ["out_of_order"],
    }


def test_tshark_flags_the_same_frames_where_it_is_right(scenes: dict[str, Scene]) -> None:
    flags = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order")
    for name in ("timer", "duplicate_acks", "selective_then_partial", "repeated_end", "wrapping"):
        packets = scenes[name].packets
        flagged = packets.index[packets[list(flags)].any(axis=1)].tolist()
        assert retransmissions(packets)["number"].tolist() == flagged


def test_beyond_four_gibibytes_bytes_are_not_taken_for_those_of_the_first_round(
    scenes: dict[str, Scene],
) -> None:
    """Five segments of 900 MB: the fifth passes the place where the raw numbers began."""
    size = 900_000_000
    template = scenes["timer"].packets.iloc[[3]]
    packets = pd.concat([template] * 6)
    packets.index = pd.RangeIndex(1, 7, name="number")
    starts = pd.Series([*(1 + size * n for n in range(5)), 1 + size * 3], index=packets.index)
    packets["seq"] = (starts % 2**32).astype("Int64")
    packets["seq_raw"] = ((starts + 1_000_000) % 2**32).astype("Int64")
    packets["payload_length"] = pd.Series(size, index=packets.index, dtype="Int32")
    packets["time"] = packets["time"] + pd.to_timedelta([*range(5), 9], unit="s")
    table = retransmissions(packets)
    assert table[["number", "repeats", "seq"]].to_numpy().tolist() == [[6, 4, 1 + size * 3]]


def test_capture_points_are_told_apart(scenes: dict[str, Scene]) -> None:
    """The same connection at two points is no repeat; each point has its own events."""
    packets = scenes["timer"].packets
    both = pd.concat([packets.assign(point="node-a"), packets.assign(point="node-b")])
    both["point"] = both["point"].astype("category")
    table = retransmissions(both)
    assert table[["point", "number", "copy"]].to_numpy().tolist() == [
        ["node-a", 5, 2],
        ["node-a", 6, 3],
        ["node-b", 5, 2],
        ["node-b", 6, 3],
    ]


def test_the_order_of_the_rows_does_not_matter(scenes: dict[str, Scene]) -> None:
    packets = scenes["cut_differently"].packets
    pd.testing.assert_frame_equal(
        retransmissions(packets.sample(frac=1, random_state=3)), retransmissions(packets)
    )


def test_a_reset_repeats_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Resets occupy no sequence space, whatever text they bear (RFC 9293, 3.10.7)."""

    def scene(wire: Wire) -> None:
        c = wire.connection()
        c.open()
        c.send(21, "client", "PA", seq=1, ack=1, size=100)
        port = {"sport": c.client_port, "dport": 80, "seq": 1_000_001}
        wire.put(30, IP(src=c.client, dst=c.server) / TCP(flags="R", **port) / Raw(b"gone"))

    made = shoot(tmp_path_factory.mktemp("reset") / "reset.pcap", {"reset": scene})
    assert told(made["reset"]) == []
