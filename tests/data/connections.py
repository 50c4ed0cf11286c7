"""TCP connections that show every verdict of Wireshark's sequence analysis."""

from __future__ import annotations

from typing import Any

from addresses import MAC_A, MAC_B, START, A, B
from scapy.all import IP, TCP, Ether, Packet, Raw

SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1000, 0)), ("NOP", None), ("WScale", 7)]


class Connection:
    """Builds the segments of one connection, each at its own time."""

    def __init__(self, frames: list[Packet], port: int, start: float) -> None:
        self.frames = frames
        self.port = port
        self.start = start

    def client(self, at: float, flags: str, seq: int, ack: int, **more: Any) -> None:
        self._add(at, A, B, self.port, 80, flags, 1000 + seq, 5000 + ack if "A" in flags else 0, **more)

    def server(self, at: float, flags: str, seq: int, ack: int, **more: Any) -> None:
        self._add(at, B, A, 80, self.port, flags, 5000 + seq, 1000 + ack, **more)

    def handshake(self, *, options: Any = (), window: int = 64000, seconds: float = 0.020) -> None:
        self.client(0, "S", 0, 0, options=options, window=window)
        self.server(seconds / 2, "SA", 0, 1, options=options, window=window)
        self.client(seconds, "A", 1, 1, window=window)

    def _add(  # noqa: PLR0917
        self, at: float, src: str, dst: str, sport: int, dport: int, flags: str, seq: int, ack: int,
        *, data: int = 0, window: int = 500, options: Any = (),
    ) -> None:  # fmt: skip
        macs = (MAC_A, MAC_B) if src == A else (MAC_B, MAC_A)
        ip = IP(src=src, dst=dst, id=100 + len(self.frames), flags="DF", ttl=63 if src == B else 64, tos=2)
        tcp = TCP(
            sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=window, options=list(options)
        )
        frame = Ether(src=macs[0], dst=macs[1]) / ip / tcp / Raw(b"x" * data)
        frame.time = START + self.start + at
        self.frames.append(frame)


def tcp_verdicts() -> list[Packet]:
    """Every verdict of Wireshark's sequence analysis, at least once."""
    frames: list[Packet] = []
    sack = [("NOP", None), ("NOP", None), ("SAck", (7001, 8001))]
    loss = Connection(frames, 40000, 0)
    loss.handshake(options=SYN_OPTIONS)
    loss.client(0.021, "PA", 1, 1, data=100)
    loss.server(0.031, "A", 1, 101)
    loss.server(0.040, "A", 1, 101, data=1000)
    loss.server(0.041, "A", 2001, 101, data=1000)  # a hole before it
    loss.client(0.050, "A", 101, 1001, options=sack)
    for i in range(3):
        loss.client(0.051 + i / 1000, "A", 101, 1001, options=sack)
    loss.server(0.060, "A", 1001, 101, data=1000)  # fast
    loss.client(0.070, "A", 101, 3001)
    loss.server(0.200, "A", 3001, 101, data=500)
    loss.server(0.500, "A", 3001, 101, data=500)  # after a time-out
    loss.client(0.510, "A", 101, 3501)
    loss.server(0.700, "A", 3001, 101, data=500)  # it was there already
    loss.server(0.800, "A", 4001, 101, data=500)
    loss.server(0.801, "A", 3501, 101, data=500)  # overtaken
    loss.client(0.810, "A", 101, 9001)  # acknowledges what was not captured
    slow = Connection(frames, 40001, 1)
    slow.handshake(window=1000)
    slow.server(0.030, "A", 1, 1, data=1000)
    slow.client(0.040, "A", 1, 1001, window=0)
    slow.server(0.300, "A", 1001, 1, data=1)
    slow.client(0.310, "A", 1, 1001, window=0)
    slow.client(0.400, "A", 1, 1001, window=1000)
    idle = Connection(frames, 40002, 2)
    idle.handshake()
    idle.client(0.030, "PA", 1, 1, data=10)
    idle.server(0.040, "A", 1, 11)
    idle.client(9.000, "A", 10, 1, window=64000)
    idle.server(9.010, "A", 1, 11)
    again = Connection(frames, 40002, 20)
    again.client(0, "S", 700_000, 0)
    wrapping = Connection(frames, 40003, 21)
    wrapping.client(0, "A", 2**32 - 1000 - 50, 1, data=100)
    wrapping.client(0.010, "A", 50 - 1000, 1, data=100)
    return frames
