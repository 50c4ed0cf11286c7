"""Captures made by hand: every time, byte and flag is the test's own choice.

A scene is a function that puts packets on a `Wire`. All scenes of a test module are written to one
capture file, read once, and handed out one by one: frames numbered from 1, times from the scene's start.
"""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import k8scap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scapy.packet import Packet

START = pd.Timestamp("2026-01-02T03:04:05Z")
CLIENT, SERVER = "198.18.0.1", "198.18.0.2"
_MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


@dataclass
class Wire:
    """Frames in the order they are captured; `at` is milliseconds since the scene's start."""

    port: int = 40_000
    frames: list[tuple[int, bytes]] = field(default_factory=list)

    def put(self, at: float, packet: Packet) -> None:
        self.frames.append((round(at * 1e6), bytes(Ether(**_MACS) / packet)))

    def connection(self, **options: Any) -> Connection:
        """A TCP connection of its own client port."""
        self.port += 1
        return Connection(self, **{"client_port": self.port, **options})


@dataclass
class Connection:
    """A TCP connection; sequence numbers given are relative: a SYN has 0.

    With `stamped`, the sender's timestamp is the millisecond plus 1000. IP identifications count up for
    each sender, as Linux has them, unless `ip_id` is given.
    """

    wire: Wire
    client_port: int
    client: str = CLIENT
    server: str = SERVER
    server_port: int = 80
    client_isn: int = 1_000_000
    server_isn: int = 9_000_000
    stamped: bool = False
    ip_id: int | None = None
    _ids: dict[str, int] = field(default_factory=lambda: {"client": 100, "server": 500})

    def send(
        self,
        at: float,
        sender: str,
        flags: str = "A",
        *,
        seq: int,
        ack: int = 0,
        size: int = 0,
        window: int = 60_000,
        echo: float | None = None,
        ip_id: int | None = None,
        sack: tuple[int, int] | None = None,
        options: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        """One segment of `size` bytes; `echo` is the millisecond whose timestamp it echoes."""
        mine = sender == "client"
        isns = (self.client_isn, self.server_isn)
        own, other = isns if mine else isns[::-1]
        ports = (self.client_port, self.server_port)
        source, destination = ports if mine else ports[::-1]
        extra: list[tuple[str, Any]] = list(options)
        if self.stamped:
            extra.append(("Timestamp", (int(at) + 1000, 0 if echo is None else int(echo) + 1000)))
        if sack:
            extra.append(("SAck", tuple((other + edge) % 2**32 for edge in sack)))
        header = TCP(
            sport=source,
            dport=destination,
            flags=flags,
            seq=(own + seq) % 2**32,
            ack=(other + ack) % 2**32 if "A" in flags else 0,
            window=window,
            options=extra,
        )
        self.wire.put(at, self._network(sender, ip_id) / header / Raw(b"x" * size))

    def open(self, at: float = 0, rtt: float = 20, **options: Any) -> None:
        """SYN, SYN-ACK, ACK as the client sees them: the SYN-ACK after `rtt`, the ACK at once."""
        self.send(at, "client", "S", seq=0, **options)
        self.send(at + rtt, "server", "SA", seq=0, ack=1, echo=at, **options)
        self.send(at + rtt, "client", "A", seq=1, ack=1, echo=at + rtt)

    def _network(self, sender: str, ip_id: int | None) -> Packet:
        ends = (self.client, self.server) if sender == "client" else (self.server, self.client)
        if ":" in ends[0]:
            return IPv6(src=ends[0], dst=ends[1])
        self._ids[sender] += 1
        chosen = ip_id if ip_id is not None else self.ip_id if self.ip_id is not None else self._ids[sender]
        return IP(src=ends[0], dst=ends[1], flags="DF", id=chosen)


@dataclass(frozen=True)
class Scene:
    """What was captured of one scene."""

    packets: pd.DataFrame
    path: Path

    def ms(self, times: pd.Series) -> list[float]:
        """Times as milliseconds since the scene's start."""
        return [round((t - START).total_seconds() * 1000, 6) for t in times]

    def tshark(self, *arguments: str) -> str:
        """Wireshark's own word on the whole file (all scenes of the module)."""
        argv = ["tshark", "-n", "-r", str(self.path), *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def write_pcap(path: Path, frames: list[tuple[int, bytes]]) -> None:
    """Ethernet frames with their nanoseconds since `START`, as a pcap of nanosecond times."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for nanoseconds, frame in frames:
            seconds, rest = divmod(START.value + nanoseconds, 10**9)
            file.write(struct.pack("<IIII", seconds, rest, len(frame), len(frame)) + frame)


def shoot(path: Path, scenes: Mapping[str, Callable[[Wire], None]]) -> dict[str, Scene]:
    """Write all scenes to one file at `path`, load it, and cut the packets table into the scenes again."""
    wire = Wire()
    bounds = {}
    for name, scene in scenes.items():
        first = len(wire.frames)
        scene(wire)
        bounds[name] = (first, len(wire.frames))
    write_pcap(path, wire.frames)
    packets = k8scap.load(path).packets
    return {name: Scene(_cut(packets, first, last), path) for name, (first, last) in bounds.items()}


def _cut(packets: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    part = packets.iloc[first:last]
    return part.set_index((part.index - first).rename("number"))
