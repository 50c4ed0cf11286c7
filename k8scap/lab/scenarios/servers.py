"""Servers that are slow for a reason that the host knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.scenarios.scenario import REPORTS, Fault, between, worker
from k8scap.lab.throttled import ThrottledServer
from k8scap.lab.web import WebRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random


def _cpu_throttling(random: Random, seed: int) -> Fault:
    """Captured at the server, whose cgroup's account is evidence."""
    del seed
    quota = random.randrange(6, 13)
    burn = random.randrange(3 * quota, 6 * quota)  # three to six periods for each answer
    count = random.randrange(4, 7)
    requests = WebRequests(
        host="reports.lab.test", port=REPORTS, paths=[f"/report/{n}" for n in range(count)], gap_s=0.05
    )
    server = ThrottledServer(name="reports", port=REPORTS, burn_ms=burn, quota_ms=quota)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "reports", requests)],
        services=[server],
        captured="server",
        parameters={"burn_ms": burn, "quota_ms": quota, "requests": count},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "cpu-throttling": _cpu_throttling,
}
