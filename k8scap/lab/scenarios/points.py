"""One path, captured at both of its ends at once: what `correlate` is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.plan import Rule
from k8scap.lab.scenarios.scenario import BULK, MSS, Fault, between, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.scenarios.scenario import Worker

BOTH_ENDS = "client+server"


def _two_points(random: Random, seed: int) -> Fault:
    del seed
    up, down = (round(between(random, 2, 5) / 100, 4) for _ in range(2))
    rules = [
        Rule(action="drop", protocol="tcp", to="server", data=True, p=up),
        Rule(action="drop", protocol="tcp", to="client", data=True, p=down),
        Rule(action="drop", protocol="tcp", port=BULK, p=0.01),  # bare acknowledgments too
    ]
    segments = random.randrange(350, 500)
    return Fault(
        rtt_ms=between(random, 2, 20),
        workers=_both_ways(random, segments),
        services=[BulkServer(name="bulk", port=BULK)],
        rules=rules,
        settings={},
        parameters={"loss_to_server": up, "loss_to_client": down, "segments": segments},
        captured=BOTH_ENDS,
    )


def _asymmetric_path(random: Random, seed: int) -> Fault:
    del seed
    slower, more = random.choice(["server", "client"]), between(random, 1, 12)
    return Fault(
        rtt_ms=between(random, 2, 20),
        workers=_both_ways(random, random.randrange(100, 200)),
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[Rule(action="delay", to=slower, ms=more)],
        parameters={"slower_to": slower, "asymmetry_ms": more},
        captured=BOTH_ENDS,
    )


def _both_ways(random: Random, segments: int) -> list[Worker]:
    """An upload and a download at the same time, so that either direction has data and acknowledgments."""
    up = Transfer(port=BULK, count=segments * MSS)
    down = Transfer(port=BULK, count=segments * MSS, way="down")
    return [worker(random, "bulk", up), worker(random, "bulk", down)]


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "asymmetric-path": _asymmetric_path,
    "two-points": _two_points,
}
