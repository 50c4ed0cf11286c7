"""The link: passes packets between TUN devices, does to them what the plan says, and writes all of it down.

One process holds every device. It sleeps in select(2) until a packet comes or one is due, so that it costs
nothing while nothing happens; select takes microseconds where epoll takes milliseconds.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import os
import select
from dataclasses import dataclass
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING

from k8scap.lab.flows import Flow, Flows
from k8scap.lab.kernel import ask_to_be_prompt
from k8scap.lab.packets import damaged, inner, rejection, reset_back, reset_on, too_big
from k8scap.lab.plan import ENDING, Plan, Rule, Sight, chance
from k8scap.lab.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Mapping

_AT_ONCE = 32  # packets taken from one device before the others have their turn
_LARGEST = 65_536
_KEPT = 192  # bytes of each packet that the log keeps: headers, and a DNS question
_MILLISECOND = 1_000_000
_IPV4 = 0x45  # without options


@dataclass(frozen=True, kw_only=True)
class Path:
    """What every packet meets, half of the round trip each way; jitter (0 to `jitter_ms`) keeps the order."""

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0


@dataclass(slots=True)
class Entry:
    """What the link wrote down of one packet. Times are CLOCK_REALTIME in ns; `time_out` 0: never left.

    `made_of` is set for packets that the link itself made (a duplicate, an ICMP error): the entry that
    caused it.
    """

    time_in: int
    data: bytes
    length: int
    flow: Flow | None
    packet: int = 0
    segment: int = 0
    copy: int = 0
    action: str = "pass"
    rule: int | None = None
    time_out: int = 0
    made_of: Entry | None = None


class Link:
    """`devices` maps an IPv4 address (4 bytes) to the file descriptor of the TUN device that leads there.

    `services` maps the address of a Service to that of its server; see `lab.translation`.
    """

    def __init__(
        self,
        devices: Mapping[bytes, int],
        *,
        path: Path,
        plan: Plan,
        services: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.log: list[Entry] = []
        self._translation = Translation(services) if services else None
        self._devices = {**devices, **{name: devices[server] for name, server in (services or {}).items()}}
        self._plan = plan
        self._flows = Flows(plan)
        self._one_way = int(path.rtt_ms * _MILLISECOND / 2)
        self._jitter = path.jitter_ms * _MILLISECOND
        self._waiting: list[tuple[int, int, int, bytes, Entry]] = []
        self._serial = itertools.count()

    def serve(self, stop: int) -> None:
        """Pass packets until the descriptor `stop` can be read; then only what is under way."""
        gc.disable()  # the log grows by objects that stay: collecting them is a pause for every packet
        ask_to_be_prompt()
        readers = [stop, *set(self._devices.values())]
        while True:
            ready, _, _ = select.select(readers, [], [], self._until_due())
            for descriptor in ready:
                if descriptor == stop:
                    return
                self._take_from(descriptor)
            self._deliver_due()

    def _until_due(self) -> float | None:
        if not self._waiting:
            return None
        return max(0, self._waiting[0][0] - monotonic_ns()) / 1e9

    def _take_from(self, descriptor: int) -> None:
        try:
            for _ in range(_AT_ONCE):
                self._admit(os.read(descriptor, _LARGEST))
        except BlockingIOError:
            return

    def _admit(self, data: bytes) -> None:
        now = monotonic_ns()
        if self._translation and data[0] == _IPV4:
            data = self._translation.back(data)
        carried = inner(data) if data[0] == _IPV4 else data
        entry = Entry(time_ns(), carried[:_KEPT], len(carried), None)
        self.log.append(entry)
        if data[0] != _IPV4 or data[16:20] not in self._devices:  # no IPv4, or for nobody here
            entry.action = "unroutable"
            return
        flow = entry.flow = self._flows.of(carried)
        flow.packets = entry.packet = flow.packets + 1
        flags = self._count_segment(flow, entry, carried) if carried[9] == 6 else 0
        silent = 0.0 if flow.silence is None else flow.silence.hear(now)
        due = now + self._one_way
        if self._jitter:
            place = (flow.server_port, flow.nth, flow.to, flow.packets)
            due += int(chance(self._plan.seed, "jitter", *place) * self._jitter)
        decision = None
        if flow.rules:
            others = 0 if flow.room is None else flow.room.others(flow)
            sight = Sight(flow, entry.packet, entry.segment, entry.copy, flags, carried, silent, others)
            decision = self._plan.decide(sight)
        if flow.room is not None and (decision is None or decision[1].action not in ENDING):
            flow.room.hear(flow, flags)
        if decision is None:
            self._send_in_order(data, entry, due)
        else:
            self._obey(decision, data, entry, due)

    def _count_segment(self, flow: Flow, entry: Entry, data: bytes) -> int:
        flags = data[33]
        payload = len(data) - 20 - (data[32] >> 4) * 4
        span = payload + (flags & 1) + (flags >> 1 & 1)
        if span:
            entry.segment, entry.copy = flow.place(int.from_bytes(data[24:28]), span, payload)
        return flags

    def _obey(self, decision: tuple[int, Rule], data: bytes, entry: Entry, due: int) -> None:
        entry.rule, rule = decision
        entry.action = rule.action
        later = due + int(rule.ms * _MILLISECOND)
        match rule.action:
            case "delay":
                self._send_in_order(data, entry, later)
            case "reorder":
                self._send(self._devices[data[16:20]], data, entry, later)
            case "duplicate":
                self._send_in_order(data, entry, due)
                self._send(self._devices[data[16:20]], data, self._doubled(data, entry), later)
            case "mtu" if rule.icmp:
                self._answer(too_big(data, rule.bytes), entry, None, due)
            case "reject":
                self._answer(rejection(data, rule.code), entry, None, due)
            case "reset":
                self._answer(reset_back(data), entry, entry.flow and entry.flow.peer, due)
                if rule.both:
                    self._answer(reset_on(data), entry, entry.flow, due)
            case "damage":
                self._send_in_order(damaged(data), entry, due)
            case "untranslated":
                self._send_in_order(self._translation.bare(data) if self._translation else data, entry, due)
            case _:  # drop, or an MTU's black hole: it ends here
                return

    def _doubled(self, data: bytes, cause: Entry) -> Entry:
        entry = self._made(data, cause, cause.flow)
        entry.packet, entry.segment, entry.copy = cause.packet, cause.segment, cause.copy
        return entry

    def _answer(self, answer: bytes, cause: Entry, flow: Flow | None, due: int) -> None:
        """Send what the link itself says of a packet: to whom `answer` is addressed; b"": nothing."""
        if answer:
            self._send_in_order(answer, self._made(answer, cause, flow), due)

    def _made(self, data: bytes, cause: Entry, flow: Flow | None) -> Entry:
        entry = Entry(cause.time_in, data[:_KEPT], len(data), flow, action="made", made_of=cause)
        self.log.append(entry)
        return entry

    def _send_in_order(self, data: bytes, entry: Entry, due: int) -> None:
        flow = entry.flow
        if flow is not None:
            flow.last_due = due = max(due, flow.last_due)
        self._send(self._devices[data[16:20]], data, entry, due)

    def _send(self, descriptor: int, data: bytes, entry: Entry, due: int) -> None:
        if self._translation:
            data = self._translation.there(data)
        heapq.heappush(self._waiting, (due, next(self._serial), descriptor, data, entry))

    def _deliver_due(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= monotonic_ns():
            _, _, descriptor, data, entry = heapq.heappop(waiting)
            entry.time_out = time_ns()
            try:
                os.write(descriptor, data)
            except OSError:  # the device is down or full: the log must not say that it passed
                entry.time_out = 0
                entry.action = "lost"
