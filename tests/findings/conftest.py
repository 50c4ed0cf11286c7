"""Captures made by hand: what passed the capture point, to the microsecond, written with scapy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import k8scap

if TYPE_CHECKING:
    from pathlib import Path

    from k8scap.model import Finding

CLIENT, SERVER, ROUTER, RESOLVER = "198.18.0.2", "198.18.0.3", "198.18.0.1", "198.18.0.53"
START = 1_700_000_000.0
MSS = 1448


class Wire:
    """What a capture point sees: `put` packets at times (seconds after the start), then `load` them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "crafted.pcap"
        self._seen: list[tuple[float, Packet]] = []
        self._ports = itertools.count(40000)
        self._ids = itertools.count(1)

    def put(self, at: float, packet: Packet) -> Packet:
        frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
        if IP in frame and not frame[IP].id:
            frame[IP].id = next(self._ids) % 65535 + 1
        self._seen.append((at, frame))
        return frame

    def again(self, at: float, packet: Packet, *, ip_id: int | None = None) -> None:
        """The same bytes once more, sent again (a new IP identification) or seen twice (its old one)."""
        copy = packet.copy()
        if IP in copy:
            copy[IP].id = next(self._ids) % 65535 + 1 if ip_id is None else ip_id
        self._seen.append((at, copy))

    def twice(self, apart: float) -> None:
        """Every packet is seen a second time, as with `-i any`."""
        self._seen += [(at + apart, packet.copy()) for at, packet in self._seen]

    def connection(self, **options: object) -> Connection:
        return Connection(self, **({"port_of_client": next(self._ports)} | options))

    def load(self) -> k8scap.Capture:
        packets = []
        for at, packet in sorted(self._seen, key=lambda seen: seen[0]):
            packet.time = START + at
            packets.append(packet)
        wrpcap(str(self.path), packets)
        return k8scap.load(self.path)

    def findings(self) -> list[Finding]:
        return k8scap.diagnose(self.load())


class Connection:
    """A TCP connection as seen beside the client: what the server says comes a round trip later."""

    def __init__(
        self,
        wire: Wire,
        *,
        port_of_client: int,
        client: str = CLIENT,
        server: str = SERVER,
        port: int = 8080,
        rtt: float = 0.001,
        sequence: int = 0,
    ) -> None:
        """`sequence` sets its numbers apart from those of another connection between the same ports."""
        self.wire, self.rtt = wire, rtt
        self._ends = {True: (client, port_of_client), False: (server, port)}
        self._next = {True: sequence + 1000, False: sequence + 5000}

    def segment(
        self, at: float, *, client: bool, flags: str = "A", payload: int = 0, window: int = 501
    ) -> Packet:
        """One segment at `at`, acknowledging all that the other side has said so far."""
        (src, sport), (dst, dport) = self._ends[client], self._ends[not client]
        network = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst, flags="DF")
        options = [("MSS", 1460), ("WScale", 7), ("SAckOK", "")] if "S" in flags else []
        tcp = TCP(
            sport=sport,
            dport=dport,
            seq=self._next[client],
            ack=self._next[not client] if "A" in flags else 0,
            flags=flags,
            window=64240 if "S" in flags else window,
            options=options,
        )
        packet = network / tcp / Raw(b"x" * payload) if payload else network / tcp
        self._next[client] += payload + ("S" in flags) + ("F" in flags)
        return self.wire.put(at, packet)

    def open(self, at: float) -> float:
        self.segment(at, client=True, flags="S")
        self.segment(at + self.rtt, client=False, flags="SA")
        self.segment(at + self.rtt + 2e-5, client=True)
        return at + self.rtt + 3e-5

    def say(self, at: float, *, client: bool, size: int = 100) -> float:
        """`size` bytes in segments, and the other side's acknowledgment; returns when that passed."""
        for start in range(0, size, MSS):
            self.segment(at, client=client, flags="PA", payload=min(MSS, size - start))
            at += 1e-5
        acknowledged = at + (self.rtt if client else 2e-5)
        self.segment(acknowledged, client=not client)
        return acknowledged + 1e-5

    def ask(self, at: float, *, think: float, request: int = 100, answer: int = 500) -> float:
        """A request at `at`, answered a round trip and `think` later."""
        acknowledged = self.say(at, client=True, size=request)
        return self.say(acknowledged + think, client=False, size=answer)

    def close(self, at: float) -> float:
        self.segment(at, client=True, flags="FA")
        self.segment(at + self.rtt, client=False, flags="FA")
        self.segment(at + self.rtt + 2e-5, client=True)
        return at + self.rtt + 3e-5

    def refuse(self, at: float) -> float:
        self.segment(at, client=True, flags="S")
        self.segment(at + self.rtt, client=False, flags="RA")
        return at + self.rtt

    def reset(self, at: float, *, client: bool = True) -> float:
        self.segment(at, client=client, flags="RA")
        return at

    def quoted_by(self, packet: Packet, *, code: int, teller: str = ROUTER) -> Packet:
        """The ICMP error that answers `packet`."""
        return IP(src=teller, dst=packet[IP].src) / ICMP(type=3, code=code) / packet[IP]


class Resolver:
    """Lookups by UDP: `ask` puts a query, and its answer after `answer_after` seconds (None: never)."""

    def __init__(self, wire: Wire, *, client: str = CLIENT, resolver: str = RESOLVER) -> None:
        self.wire, self.client, self.resolver = wire, client, resolver
        self._ids = itertools.count(100)

    def ask(
        self,
        at: float,
        name: str,
        *,
        answer_after: float | None = 0.002,
        kind: str = "A",
        port: int = 33333,
        rcode: int = 0,
        number: int | None = None,
    ) -> None:
        number = next(self._ids) if number is None else number
        question = DNSQR(qname=name, qtype=kind)
        there = IP(src=self.client, dst=self.resolver) / UDP(sport=port, dport=53)
        self.wire.put(at, there / DNS(id=number, rd=1, qd=question))
        if answer_after is None:
            return
        back = IP(src=self.resolver, dst=self.client) / UDP(sport=53, dport=port)
        answers = [DNSRR(rrname=name, type="A", rdata="198.18.0.9")] if kind == "A" and not rcode else []
        self.wire.put(
            at + answer_after, back / DNS(id=number, qr=1, rd=1, ra=1, rcode=rcode, qd=question, an=answers)
        )


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(tmp_path)


@pytest.fixture
def resolver(wire: Wire) -> Resolver:
    return Resolver(wire)
