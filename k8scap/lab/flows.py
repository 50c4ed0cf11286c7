"""Connections as the link counts them, and the bytes it has seen of each: which segment is a repetition."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8scap.lab.plan import Concern, Plan

FIN, SYN, RST = 0x01, 0x02, 0x04
ACK = 0x10
_TURN = 1 << 32


class Silence:
    """How long a connection was silent: what a middlebox that forgets goes by. Times are ns."""

    __slots__ = ("_last", "longest")

    def __init__(self) -> None:
        self.longest = 0
        self._last = 0

    def hear(self, now: int) -> float:
        """A packet of either direction came; the longest silence so far, in ms."""
        if self._last:
            self.longest = max(self.longest, now - self._last)
        self._last = now
        return self.longest / 1e6


class Room:
    """Which connections to one server are open: what a gateway goes by that has a port for so many."""

    __slots__ = ("_closed", "_open")

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._closed: set[tuple[int, str]] = set()

    def others(self, flow: Flow) -> int:
        """How many are open beside a connection that is not; 0 for one that is."""
        return 0 if flow.number in self._open else len(self._open)

    def hear(self, flow: Flow, flags: int) -> None:
        """A segment passed: a connection is open from its SYN until a RST, or both sides' FIN."""
        if flags & SYN:
            self._open.add(flow.number)
        if flags & FIN:
            self._closed.add((flow.number, flow.to))
        if flags & RST or {(flow.number, side) for side in ("server", "client")} <= self._closed:
            self._open.discard(flow.number)


class Flow:
    """One direction of one connection (for UDP and ICMP: of one pair of addresses and ports).

    `number` counts all connections of a run in the order of their first packets. `nth` counts those to
    one server address and port, which stays the same from run to run although others come in between.
    `silence` is both directions' own, `room` that of all connections to the server, there where a rule asks
    for them.
    """

    __slots__ = (
        "_base",
        "_copies",
        "_ends",
        "_next",
        "_numbers",
        "_starts",
        "data_segments",
        "last_due",
        "nth",
        "number",
        "packets",
        "peer",
        "protocol",
        "room",
        "rules",
        "server_port",
        "silence",
        "to",
    )

    def __init__(self, *, number: int, nth: int, protocol: int, server_port: int, to: str) -> None:
        self.number = number
        self.nth = nth
        self.protocol = protocol
        self.server_port = server_port
        self.to = to
        self.rules: tuple[Concern, ...] = ()
        self.peer: Flow = self
        self.silence: Silence | None = None
        self.room: Room | None = None
        self.packets = 0
        self.data_segments = 0
        self.last_due = 0
        self._base: int | None = None
        self._next = 0
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._numbers: list[int] = []
        self._copies: list[int] = []

    @property
    def base(self) -> int:
        """The first sequence number seen (the SYN's, where there was one)."""
        return self._base or 0

    def begins_anew(self, sequence: int) -> bool:
        """Whether a SYN with this sequence number is another connection between the same ports."""
        return self._base is not None and self._base != sequence

    def place(self, sequence: int, span: int, payload: int) -> tuple[int, int]:
        """Count a segment in: its data segment number (0: no data) and how often its bytes were sent.

        `span` is its length in sequence space: payload, plus one for a SYN or FIN (RFC 9293, 3.4).
        A repetition bears the number of the first data segment that it repeats.
        """
        if self._base is None:
            self._base = sequence
        ahead = (sequence - self._base - self._next) % _TURN
        if ahead == 0:
            return self._first_time(self._next, span, payload)
        if ahead < _TURN // 2:  # something was sent that never came by here
            return self._first_time(self._next + ahead, span, payload)
        return self._once_more(self._next + ahead - _TURN, span, payload)

    def _first_time(self, start: int, span: int, payload: int) -> tuple[int, int]:
        number = 0
        if payload:
            self.data_segments = number = self.data_segments + 1
        self._starts.append(start)
        self._ends.append(start + span)
        self._numbers.append(number)
        self._copies.append(1)
        self._next = start + span
        return number, 1

    def _once_more(self, start: int, span: int, payload: int) -> tuple[int, int]:
        end = start + span
        at = max(bisect_right(self._starts, start) - 1, 0)
        number = copy = 0
        while at < len(self._starts) and self._starts[at] < end:
            if self._ends[at] > start:
                self._copies[at] += 1
                copy = max(copy, self._copies[at])
                number = number or self._numbers[at]
            at += 1
        if end > self._next:  # old bytes and new ones in one segment
            new, _ = self._first_time(self._next, end - self._next, payload)
            number = number or new
        return number if payload else 0, max(copy, 1)


class Flows:
    """All connections of a link. The side that sends first is the client."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[tuple[int, bytes], Flow] = {}
        self._by_service: dict[tuple[int, bytes], int] = {}
        self._rooms: dict[tuple[int, bytes], Room] = {}
        self._count = 0

    def of(self, data: bytes) -> Flow:
        """The flow of an IPv4 packet without options; `data` begins with the IP header."""
        key = (data[9], data[12:24] if data[9] in {6, 17} else data[12:20])
        flow = self._known.get(key)
        if flow is None or (data[9] == 6 and _is_first_syn(data) and flow.begins_anew(_sequence(data))):
            flow = self._begin(key)
        return flow

    def _begin(self, key: tuple[int, bytes]) -> Flow:
        protocol, ends = key
        service = (protocol, ends[4:8] + ends[10:12])
        self._count += 1
        self._by_service[service] = nth = self._by_service.get(service, 0) + 1
        back = (protocol, ends[4:8] + ends[:4] + ends[10:12] + ends[8:10])
        forth_flow, back_flow = (
            Flow(
                number=self._count,
                nth=nth,
                protocol=protocol,
                server_port=int.from_bytes(ends[10:12]),
                to=to,
            )
            for to in ("server", "client")
        )
        forth_flow.peer, back_flow.peer = back_flow, forth_flow
        for flow in (forth_flow, back_flow):
            flow.rules = self._plan.rules_for(flow)
        if any(concern.rule.idle for flow in (forth_flow, back_flow) for concern in flow.rules):
            forth_flow.silence = back_flow.silence = Silence()
        if any(concern.rule.full for flow in (forth_flow, back_flow) for concern in flow.rules):
            forth_flow.room = back_flow.room = self._rooms.setdefault(service, Room())
        self._known |= {key: forth_flow, back: back_flow}
        return forth_flow


def _is_first_syn(data: bytes) -> bool:
    return data[33] & (SYN | ACK) == SYN


def _sequence(data: bytes) -> int:
    return int.from_bytes(data[24:28])
