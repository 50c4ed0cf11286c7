"""Six captures in which Wireshark is known to be wrong, packet by packet; what it says, and what is right.

`RIGHT` is what the tables say, or will say: the packets table's columns repeat Wireshark's verdicts.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from scapy.all import IP, TCP, Ether, Raw, wrpcap

CLIENT, SERVER = ("198.18.0.1", 40000), ("198.18.0.2", 8080)
MSS = 1448
BEGIN = 1_700_000_000
"""A time of 0 is no time to Wireshark."""


class Connection:
    """Packets of one connection, at given times in seconds."""

    def __init__(self):
        self.packets = []

    def add(self, time, sender, flags, seq, ack=0, *, length=0):
        source, destination = (CLIENT, SERVER) if sender == "client" else (SERVER, CLIENT)
        packet = (
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            / IP(src=source[0], dst=destination[0], id=len(self.packets))
            / TCP(sport=source[1], dport=destination[1], flags=flags, seq=seq, ack=ack, window=60000)
        )
        if length:
            packet /= Raw(b"x" * length)
        packet.time = BEGIN + Decimal(str(time))
        self.packets.append(packet)
        return self

    def handshake(self, round_trip, client_takes=0):
        """SYN, SYN-ACK and ACK, seen at the client; both start at 1,000."""
        self.add(0, "client", "S", 1000)
        self.add(round_trip, "server", "SA", 1000, 1001)
        return self.add(round_trip + client_takes, "client", "A", 1001, 1001)

    def data(self, time, number, length=MSS, sender="client"):
        """The segment `number` (from 0) of the sender's data."""
        return self.add(time, sender, "PA", 1001 + number * MSS, 1001, length=length)

    def answer(self, time, ack, sender="server"):
        return self.add(time, sender, "A", 1001, 1001 + ack)

    def write(self, path):
        wrpcap(str(path), self.packets, nano=True)
        return path


def repeated_syn():
    """The first SYN is lost, the second comes after a second, the path has 20 ms."""
    return (
        Connection()
        .add(0, "client", "S", 1000)
        .add(1, "client", "S", 1000)
        .add(1.02, "server", "SA", 1000, 1001)
        .add(1.02, "client", "A", 1001, 1001)
    )


def no_karn():
    """A path of 10 ms; the segment is sent again after 200 ms, and acknowledged 10 ms later."""
    return Connection().handshake(0.01).data(0.02, 0).data(0.22, 0).answer(0.23, MSS)


def near_reordering():
    """Two pods on one node, 30 µs apart; a segment is overtaken and comes 100 µs late."""
    return Connection().handshake(0.00003).data(0.001, 0).data(0.00101, 2).data(0.00111, 1)


def far_hole():
    """A path of 100 ms; a hole is filled after 60 ms: reordered, or lost and sent again before our eyes."""
    return Connection().handshake(0.1).data(0.2, 0).data(0.201, 2).data(0.261, 1)


def seen_twice():
    """Every packet is captured twice, 2 µs apart, as `-i any` does on a bridge."""
    once = Connection().handshake(0.001, client_takes=0.00001)
    once.data(0.01, 0).answer(0.011, MSS).data(0.02, 1).answer(0.021, 2 * MSS)
    twice = Connection()
    for packet in once.packets:
        copy = packet.copy()
        copy.time = packet.time + Decimal("0.000002")
        twice.packets += [packet, copy]
    return twice


def super_packet():
    """Three segments that the card joined to one, acknowledged one by one."""
    connection = Connection().handshake(0.01).data(0.02, 0, 3 * MSS)
    return connection.answer(0.03, MSS).answer(0.031, 2 * MSS).answer(0.032, 3 * MSS)


@dataclass(frozen=True)
class Right:
    """What is right of one case, and why.

    `connect_seconds` counts from the first SYN to the end of the handshake; `round_trips` are the samples
    that ACKs of data give, in seconds by the ACK's frame; `loss_class` by the segment's frame (only those
    that Wireshark, or the table, has something to say about).
    """

    why: str
    connect_seconds: float
    round_trips: dict[int, float] = field(default_factory=dict)
    loss_class: dict[int, str] = field(default_factory=dict)


RIGHT = {
    "repeated_syn": Right(
        "whoever connects waits from the first SYN on, not from the one that was answered",
        connect_seconds=1.02,
        loss_class={2: "syn"},
    ),
    "no_karn": Right(
        "nobody knows which sending the ACK answers, so it is no sample (Karn's rule)",
        connect_seconds=0.01,
        loss_class={5: "rto"},
    ),
    "near_reordering": Right(
        "no sender's timer is as short as 110 µs, and no ACK came that could have told it of a loss",
        connect_seconds=0.00003,
        loss_class={6: "reordering"},
    ),
    "far_hole": Right(
        "60 ms after its successor: late on the way, or lost and sent again: both look like this",
        connect_seconds=0.1,
        loss_class={6: "ambiguous"},
    ),
    "seen_twice": Right(
        "same IP ID, same sequence number, 2 µs: one packet, seen at two places",
        connect_seconds=0.00101,
        round_trips={9: 0.001, 13: 0.001},
        loss_class=dict.fromkeys((2, 4, 6, 8, 10, 12, 14), "duplicate_capture"),
    ),
    "super_packet": Right(
        "what the card joined were three segments, each of which got its ACK",
        connect_seconds=0.01,
        round_trips={5: 0.01, 6: 0.011, 7: 0.012},
    ),
}
