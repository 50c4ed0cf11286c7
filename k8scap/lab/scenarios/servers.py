"""Servers that are slow for a reason that the host knows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from k8scap.lab.scenarios.scenario import REPORTS, Fault, between, worker
from k8scap.lab.sidecar import Sidecar
from k8scap.lab.throttled import ThrottledServer
from k8scap.lab.web import WebRequests, WebServer

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


def _sidecar(random: Random, seed: int) -> Fault:
    """The client's requests go through a proxy beside it, which holds each of them up."""
    del seed
    return _behind_a_proxy(random, delay=random.randrange(40, 250))


def _quick_sidecar(random: Random, seed: int) -> Fault:
    """The same with a proxy that passes on at once."""
    del seed
    return _behind_a_proxy(random, delay=0)


def _behind_a_proxy(random: Random, *, delay: int) -> Fault:
    thinks = [random.randrange(5, 30) for _ in range(random.randrange(6, 11))]
    paths = [f"/report?think_ms={think}&bytes={random.randrange(500, 6000)}" for think in thinks]
    kept, closed = paths[: len(paths) // 2], paths[len(paths) // 2 :]
    ask = partial(WebRequests, host="reports.lab.test", port=REPORTS)
    jobs = [ask(paths=kept), ask(paths=closed, keep_alive=False)]
    return Fault(
        rtt_ms=between(random, 1, 15),
        workers=[worker(random, "reports", *jobs)],
        services=[WebServer(name="reports", port=REPORTS)],
        client_services=[Sidecar(name="sidecar", port=REPORTS, delay_ms=delay)],
        interface="any",
        parameters={"think_ms": thinks, "proxy_delay_ms": delay, "connections": 1 + len(closed)},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "cpu-throttling": _cpu_throttling,
    "quick-sidecar": _quick_sidecar,
    "sidecar": _sidecar,
}
