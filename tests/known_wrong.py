"""Six captures in which Wireshark is known to be wrong, packet by packet; what it says, and what is right.

`RIGHT` is what the tables say, or will say: the packets table's columns repeat Wireshark's verdicts.
"""

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

    def handshake(self, round_trip, time=0.0):
        """SYN, SYN-ACK and ACK, seen at the client; both start at 1,000."""
        self.add(time, "client", "S", 1000)
        self.add(time + round_trip, "server", "SA", 1000, 1001)
        return self.add(time + round_trip, "client", "A", 1001, 1001)

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
    once = Connection().handshake(0.001).data(0.01, 0).answer(0.011, MSS).data(0.02, 1).answer(0.021, 2 * MSS)
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


RIGHT = {
    "repeated_syn": "connecting took 1.02 s, counted from the first SYN",
    "no_karn": "no sample from that ACK (Karn), or 10 ms by the timestamps",
    "near_reordering": "reordering: by 100 µs, on a path where no timer is that short",
    "far_hole": "ambiguous at the receiver, with that confidence",
    "seen_twice": "a duplicate capture: IP ID and sequence numbers are the same within microseconds",
    "super_packet": "three samples: 10, 11 and 12 ms",
}
