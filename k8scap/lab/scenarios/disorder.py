"""Paths that mistreat segments: out of order, twice, many lost in a row, or the last ones lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.dialogue import Ask, Dialogue, DialogueServer
from k8scap.lab.plan import Rule
from k8scap.lab.scenarios.established import CACHE
from k8scap.lab.scenarios.scenario import BULK, MSS, Fault, between, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random


def _reordering(random: Random, seed: int) -> Fault:
    """Some segments take a longer way, but not so long that they would be sent again before they come."""
    del seed
    share, late, rtt = random.randrange(30, 80) / 1000, between(random, 1, 4), between(random, 12, 30)
    rule = Rule(action="reorder", protocol="tcp", port=BULK, data=True, p=share, ms=late)
    return _transfers(random, rtt, rule, random.randrange(400_000, 800_000))


def _duplicate_packets(random: Random, seed: int) -> Fault:
    del seed
    share, late = random.randrange(30, 100) / 1000, between(random, 0, 2)
    rule = Rule(action="duplicate", protocol="tcp", port=BULK, data=True, p=share, ms=late)
    return _transfers(random, between(random, 4, 25), rule, random.randrange(300_000, 700_000))


def _burst_loss(random: Random, seed: int) -> Fault:
    """A queue that overflows loses what comes one after the other."""
    del seed
    bursts, at = [], random.randrange(40, 80)
    for _ in range(random.randrange(2, 5)):
        length = random.randrange(4, 10)
        bursts.append((at, length))
        at += length + random.randrange(60, 120)
    lost = tuple(start + n for start, length in bursts for n in range(length))
    rule = Rule(action="drop", protocol="tcp", port=BULK, to="server", segment=lost, copy=(1,))
    return Fault(
        rtt_ms=between(random, 4, 25),
        workers=[worker(random, "bulk", Transfer(port=BULK, count=at * MSS))],
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[rule],
        settings={},
        parameters={"bursts": bursts, "upload_bytes": at * MSS},
    )


def _tail_loss(random: Random, seed: int) -> Fault:
    """Nothing comes after a request's last segment to tell that it is missing: only a timer repeats it."""
    del seed
    count = random.randrange(8, 14)
    lost = tuple(sorted(random.sample(range(2, count + 1), random.randrange(3, 6))))
    asks = [Ask(body=random.randrange(50, 900)) for _ in range(count)]
    rule = Rule(action="drop", protocol="tcp", port=CACHE, to="server", segment=lost, copy=(1,))
    return Fault(
        rtt_ms=between(random, 2, 25),
        workers=[worker(random, "bulk", Dialogue(port=CACHE, asks=asks))],
        services=[DialogueServer(name="cache", port=CACHE)],
        rules=[rule],
        settings={},
        parameters={"requests": count, "lost_requests": list(lost)},
    )


def _transfers(random: Random, rtt: float, rule: Rule, count: int) -> Fault:
    jobs = [Transfer(port=BULK, count=count), Transfer(port=BULK, count=count, way="down")]
    return Fault(
        rtt_ms=rtt,
        workers=[worker(random, "bulk", *jobs)],
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[rule],
        parameters={"share": rule.p, "ms": rule.ms, "bytes": count},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "burst-loss": _burst_loss,
    "duplicate-packets": _duplicate_packets,
    "reordering": _reordering,
    "tail-loss": _tail_loss,
}
