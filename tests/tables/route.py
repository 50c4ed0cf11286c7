"""Two or three points that watch one path: captures made by hand for what compares them.

A packet is put on the path once; each point's file gets it at that point's own time, as it is seen there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

import k8scap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scapy.packet import Packet

START = pd.Timestamp("2026-01-02T03:04:05Z").value
CLIENT, SERVER = "198.18.0.1", "198.18.0.2"
NAMES = {2: ("near", "far"), 3: ("near", "middle", "far")}
RAW_IP = 101


@dataclass
class Route:
    """Points in a row between client and server, `hop_ms` (each way) apart; `clocks` are in nanoseconds.

    `clocks[i](true time)` is what point i's clock is ahead by, `sees[i](packet, to_server=)` what it sees.
    """

    hops_ms: Sequence[tuple[float, float]] = ((5.0, 5.0),)
    clocks: dict[int, Callable[[int], int]] = field(default_factory=dict)
    sees: dict[int, Callable[..., Packet]] = field(default_factory=dict)
    ttl_falls: bool = False
    frames: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    lost: list[tuple[str, int, int]] = field(default_factory=list)

    def put(
        self, at: float, packet: Packet, *, to_server: bool = True, lost_after: int | None = None,
        missed_by: Sequence[int] = (), late_ms: float = 0,
    ) -> None:  # fmt: skip
        """A packet that leaves its sender's point at `at` ms; `lost_after` is the last point that sees it."""
        order = range(len(self.hops_ms) + 1) if to_server else range(len(self.hops_ms), -1, -1)
        time = at
        for nth, point in enumerate(order):
            if nth:
                hop = self.hops_ms[min(point, order[nth - 1])]
                time += hop[0 if to_server else 1] + late_ms
            if point not in missed_by:
                self._see(point, time, packet, to_server=to_server, nth=nth)
            if point == lost_after:
                return

    def _see(self, point: int, at: float, packet: Packet, *, to_server: bool, nth: int) -> None:
        seen = packet.copy()
        if self.ttl_falls and IP in seen:
            seen[IP].ttl = 64 - nth
        seen = self.sees.get(point, lambda seen, **_: seen)(seen, to_server=to_server)
        time = START + round(at * 1e6)
        time += self.clocks.get(point, lambda _: 0)(time)
        self.frames.setdefault(point, []).append((time, bytes(seen)))

    def load(self, folder: Path) -> list[k8scap.Capture]:
        captures = []
        for point, name in enumerate(NAMES[len(self.hops_ms) + 1]):
            path = folder / f"{name}.pcap"
            with path.open("wb") as file:
                file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, RAW_IP))
                for time, frame in sorted(self.frames.get(point, ())):
                    seconds, rest = divmod(time, 10**9)
                    file.write(struct.pack("<IIII", seconds, rest, len(frame), len(frame)) + frame)
            captures.append(k8scap.load(path))
        return captures


@dataclass
class Talk:
    """A TCP connection on a path, which keeps its own numbers; `seq` are relative."""

    path: Route
    port: int = 40_000
    isn: tuple[int, int] = (3_000_000_000, 4_294_967_000)
    stamped: bool = True
    ids: dict[bool, int] = field(default_factory=lambda: {True: 100, False: 7000})
    ends: tuple[str, str] = (CLIENT, SERVER)

    def send(self, at: float, flags: str, seq: int, ack: int, *, size: int = 0, to_server: bool = True,
             ip_id: int | None = None, **fate: Any) -> None:  # fmt: skip
        mine, other = self.isn if to_server else self.isn[::-1]
        ports = (self.port, 80) if to_server else (80, self.port)
        src, dst = self.ends if to_server else self.ends[::-1]
        options = [("Timestamp", (int(at) + 1, 1))] if self.stamped else []
        tcp = TCP(
            sport=ports[0], dport=ports[1], flags=flags, seq=(mine + seq) % 2**32,
            ack=(other + ack) % 2**32 if "A" in flags else 0, window=500, options=options,
        )  # fmt: skip
        self.ids[to_server] += 1
        chosen = self.ids[to_server] if ip_id is None else ip_id
        ip = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst, id=chosen, flags="DF")
        self.path.put(at, ip / tcp / Raw(b"x" * size), to_server=to_server, **fate)

    def open(self, at: float = 0) -> None:
        self.send(at, "S", 0, 0)
        self.send(at + 11, "SA", 0, 1, to_server=False)
        self.send(at + 22, "A", 1, 1)

    def ask(self, at: float, nth: int, **fate: Any) -> None:
        """100 bytes there, and their acknowledgment 11 ms later."""
        self.send(at, "PA", 1 + 100 * nth, 1, size=100, **fate)
        if fate.get("lost_after") != 0:
            self.send(at + 11, "A", 1, 101 + 100 * nth, to_server=False)


def talk(path: Route, count: int = 30, **options: Any) -> Talk:
    """An ordinary conversation: 12 ms a turn."""
    made = Talk(path, **options)
    made.open()
    for nth in range(count):
        made.ask(40 + 12 * nth, nth)
    return made
