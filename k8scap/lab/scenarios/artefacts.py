"""What only looks wrong: peculiarities of where and how a capture is made. All of it is innocent traffic.

A pod on the client's host talks to the server, over a veth pair, as pods do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.hosts import Host
from k8scap.lab.scenarios.scenario import BULK, NO_PROBES, REPORTS, Fault, between, worker
from k8scap.lab.veth import NODE_SETTINGS
from k8scap.lab.web import WebRequests, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.hosts import Job, Service

POD = "198.18.0.30"


def _duplicate_capture(random: Random, seed: int) -> Fault:
    """Captured on all interfaces of the pod's host: on the veth, and on eth0 again."""
    del seed
    count = random.randrange(12, 25)
    requests = _requests(random, count)
    return _with_pod(
        random,
        "reports",
        requests,
        services=[WebServer(name="reports", port=REPORTS)],
        captured="client",
        interface="any",
        parameters={"pod_requests": count},
    )


def _checksum_offload(random: Random, seed: int) -> Fault:
    """Captured in the pod: what it sends has no checksum yet."""
    del seed
    count = random.randrange(12, 25)
    return _with_pod(
        random,
        "reports",
        _requests(random, count),
        services=[WebServer(name="reports", port=REPORTS)],
        captured="pod",
        parameters={"pod_requests": count},
    )


def _super_packets(random: Random, seed: int) -> Fault:
    """Captured in the pod: an upload, in pieces longer than any link's."""
    del seed
    count = random.randrange(300_000, 900_000)
    return _with_pod(
        random,
        "bulk",
        Transfer(port=BULK, count=count),
        services=[BulkServer(name="bulk", port=BULK)],
        captured="pod",
        parameters={"upload_bytes": count},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "checksum-offload": _checksum_offload,
    "duplicate-capture": _duplicate_capture,
    "super-packets": _super_packets,
}


def _with_pod(
    random: Random,
    name: str,
    job: Job,
    *,
    services: list[Service],
    captured: str,
    parameters: dict[str, int],
    interface: str = "eth0",
) -> Fault:
    pod = Host(
        name="pod", address=POD, node="client", settings=NO_PROBES, workers=[worker(random, name, job)]
    )
    return Fault(
        rtt_ms=between(random, 2, 40),
        hosts=[pod],
        services=services,
        settings=NO_PROBES | NODE_SETTINGS,
        captured=captured,
        interface=interface,
        parameters=parameters,
    )


def _requests(random: Random, count: int) -> WebRequests:
    """Requests on one connection, each of one segment: nothing that offload could join."""
    paths = [f"/note/{n}?bytes={random.randrange(100, 1200)}" for n in range(count)]
    return WebRequests(host="reports.lab.test", port=REPORTS, paths=paths, gap_s=0.03)
