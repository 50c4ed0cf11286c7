"""Connections that do not come about, or late: dropped, refused, too many at once; and what only looks so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.bulk import BulkServer
from k8scap.lab.cancel import CancelledRequests
from k8scap.lab.dial import Dial
from k8scap.lab.hosts import Host
from k8scap.lab.late_acceptor import LateAcceptor, OneRequest
from k8scap.lab.plan import Rule, chance
from k8scap.lab.scenarios.inventory import (
    BEFORE,
    CHECKOUT,
    GONE,
    NOBODY,
    OUTSIDE,
    PARTNER,
    PARTNER_PORT,
    SERVICE,
    pod,
    service,
)
from k8scap.lab.scenarios.scenario import (
    BULK,
    CLIENT,
    PAYMENTS,
    REPORTS,
    SERVER,
    Fault,
    between,
    worker,
)
from k8scap.lab.web import WebRequests, WebServer
from k8scap.model import NameEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.scenarios.scenario import Worker

_FEWEST_LATE = 4


def _silent(random: Random) -> tuple[list[Dial], dict[str, object]]:
    """Clients of a place that answers nothing: each tries once, and gives up when its SYN was repeated."""
    timeout = between(random, 1.3, 3.4)
    count = random.randrange(2, 5)
    dials = [Dial(port=PAYMENTS, attempts=1, gap_s=0.0, timeout_s=timeout) for _ in range(count)]
    return dials, {"port": PAYMENTS, "attempts": count, "timeout_s": timeout}


def _network_policy_drop(random: Random, seed: int) -> Fault:
    del seed
    dials, told = _silent(random)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "payments", dial) for dial in dials],
        services=[BulkServer(name="payments", port=PAYMENTS)],
        rules=[Rule(action="drop", protocol="tcp", port=PAYMENTS, to="server", flag="syn")],
        names=[CHECKOUT, pod(SERVER, "payments-6c4b2", workload="deploy/payments")],
        parameters=told,
    )


def _stale_endpoint(random: Random, seed: int) -> Fault:
    del seed
    dials, told = _silent(random)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(NOBODY, dial)] for dial in dials],
        names=[
            CHECKOUT,
            pod(SERVER, "payments-6c4b2", workload="deploy/payments"),
            pod(NOBODY, "payments-x9k1p", workload="deploy/payments", end=GONE),
        ],
        parameters=told,
    )


def _hairpin(random: Random, seed: int) -> Fault:
    del seed
    dials, told = _silent(random)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(SERVICE, dial)] for dial in dials],
        names=[pod(CLIENT, "payments-6c4b2", workload="deploy/payments"), service("payments")],
        parameters=told,
    )


def _host_down(random: Random, seed: int) -> Fault:
    del seed
    dials, told = _silent(random)
    node = NameEntry(address=NOBODY, name="worker-3", kind="node", start=BEFORE, source="kubernetes")
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(NOBODY, dial)] for dial in dials],
        names=[CHECKOUT, node],
        parameters=told,
    )


def _snat_port_race(random: Random, seed: int) -> Fault:
    """Connections out of the cluster, some of whose SYNs are lost where two flows got one port."""
    copies = (1,) if random.random() < 0.5 else (1, 2)
    share = between(random, 0.35, 0.6)
    rule = Rule(
        action="drop", protocol="tcp", port=PARTNER_PORT, to="server", flag="syn", copy=copies, p=share
    )
    count = _connections_until(_FEWEST_LATE, rule, seed) + random.randrange(3, 6)
    return Fault(
        rtt_ms=between(random, 4, 40),
        workers=[_one_request(PARTNER) for _ in range(count)],
        hosts=[
            Host(name="partner", address=PARTNER, services=[WebServer(name="partner", port=PARTNER_PORT)])
        ],
        rules=[rule],
        names=[CHECKOUT, OUTSIDE],
        parameters={"connections": count, "syn_loss": share, "copies": list(copies)},
    )


def _syn_retry(random: Random, seed: int) -> Fault:
    del seed
    count, late = random.randrange(6, 10), random.randrange(3, 6)
    chosen = sorted(random.sample(range(1, count + 1), late))
    rules = [
        Rule(action="drop", port=REPORTS, connection=nth, to="server", flag="syn", copy=(1,))
        for nth in chosen
    ]
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(SERVER, OneRequest(port=REPORTS, after_s=0.02 * n))] for n in range(count)],
        services=[LateAcceptor(name="reports", port=REPORTS, backlog=64, pause_s=0.0)],
        rules=rules,
        parameters={"connections": count, "late": chosen},
    )


def _listen_queue_overflow(random: Random, seed: int) -> Fault:
    """Too many clients for a server that is too busy to accept; captured where it shows, at the server."""
    del seed
    count, pause = random.randrange(6, 11), between(random, 0.9, 1.5)
    backlog = random.randrange(2)
    gap = between(random, 0.02, 0.05)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(SERVER, OneRequest(port=PAYMENTS, after_s=gap * n))] for n in range(count)],
        services=[LateAcceptor(name="payments", port=PAYMENTS, backlog=backlog, pause_s=pause)],
        captured="server",
        parameters={"port": PAYMENTS, "clients": count, "backlog": backlog, "pause_s": pause, "gap_s": gap},
    )


def _firewall_reject(random: Random, seed: int) -> Fault:
    del seed
    code = random.choice([3, 10, 13])
    attempts, gap = random.randrange(3, 7), between(random, 0.1, 0.3)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(PARTNER, Dial(port=PAYMENTS, attempts=attempts, gap_s=gap))]],
        hosts=[Host(name="partner", address=PARTNER)],
        rules=[Rule(action="reject", protocol="tcp", port=PAYMENTS, to="server", flag="syn", code=code)],
        names=[CHECKOUT, OUTSIDE],
        parameters={"port": PAYMENTS, "attempts": attempts, "gap_s": gap, "icmp_code": code},
    )


def _connection_churn(random: Random, seed: int) -> Fault:
    del seed
    count, gap = random.randrange(26, 40), between(random, 0.0, 0.01)
    paths = [f"/item/{n}?bytes={random.randrange(200, 1200)}" for n in range(count)]
    requests = WebRequests(host="reports.lab.test", port=REPORTS, paths=paths, keep_alive=False, gap_s=gap)
    return Fault(
        rtt_ms=between(random, 25, 50),
        workers=[worker(random, "reports", requests)],
        services=[WebServer(name="reports", port=REPORTS)],
        parameters={"requests": count, "gap_s": gap},
    )


def _port_probes(random: Random, seed: int) -> Fault:
    """What kubelet and load balancers do all day: connect, and close or reset at once."""
    del seed
    count, gap = random.randrange(8, 25), between(random, 0.1, 0.2)
    reset = random.random() < 0.5
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(SERVER, Dial(port=BULK, attempts=count, gap_s=gap, reset=reset))]],
        services=[BulkServer(name="bulk", port=BULK)],
        parameters={"probes": count, "period_s": gap, "reset": reset},
    )


def _cancelled_requests(random: Random, seed: int) -> Fault:
    del seed
    waits = [between(random, 0.1, 0.5) for _ in range(random.randrange(4, 9))]
    reset = random.random() < 0.5
    cancelled = CancelledRequests(
        host="reports.lab.test", port=REPORTS, path="/search?think_ms=20000", waits_s=waits, reset=reset
    )
    paths = [f"/item/{n}?bytes=900" for n in range(random.randrange(4, 10))]
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[
            worker(random, "reports", cancelled),
            worker(random, "reports", WebRequests(host="reports.lab.test", port=REPORTS, paths=paths)),
        ],
        services=[WebServer(name="reports", port=REPORTS)],
        parameters={"cancelled_after_s": waits, "reset": reset},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "cancelled-requests": _cancelled_requests,
    "connection-churn": _connection_churn,
    "firewall-reject": _firewall_reject,
    "hairpin": _hairpin,
    "host-down": _host_down,
    "listen-queue-overflow": _listen_queue_overflow,
    "network-policy-drop": _network_policy_drop,
    "port-probes": _port_probes,
    "snat-port-race": _snat_port_race,
    "stale-endpoint": _stale_endpoint,
    "syn-retry": _syn_retry,
}


def _one_request(address: str) -> Worker:
    return [
        (address, WebRequests(host="partner.example", port=PARTNER_PORT, paths=["/status"], keep_alive=False))
    ]


def _connections_until(late: int, rule: Rule, seed: int) -> int:
    """How many connections it takes for the seed to drop the first SYN of so many: known beforehand."""
    nth = 0
    while late:
        nth += 1
        late -= chance(seed, rule, PARTNER_PORT, nth, "server", "packet", 1) < rule.p
    return nth
