"""Connections whose addresses a node or a gateway replaces: what its table forgets, or has no room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.dialogue import Ask, Dialogue, DialogueServer
from k8scap.lab.held import HeldConnection
from k8scap.lab.hosts import Host
from k8scap.lab.plan import Rule
from k8scap.lab.scenarios.inventory import (
    CACHE_SERVICE,
    CHECKOUT,
    ORDERS_SERVICE,
    OUTSIDE,
    PARTNER,
    PARTNER_PORT,
    pod,
    service,
)
from k8scap.lab.scenarios.scenario import MSS, SERVER, Fault, between
from k8scap.lab.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.scenarios.scenario import Worker

CACHE, ORDERS = 6379, 8090
SHOPS = (8082, 8083, 8084, 8085, 8086)
_BEHIND = 20  # segments that still follow one: the server must hear of them that its client is gone
_ROUND_S = 0.5  # between one round of connections and the next: all of a round have come about by then


def _conntrack_invalid(random: Random, seed: int) -> Fault:
    """Of some answers a segment comes from the pod's own address: the client resets whom it does not know."""
    del seed
    count = random.randrange(2, 6)
    struck = sorted(random.sample(range(1, count + 1), random.randrange(1, count)))
    sizes = [random.randrange(90_000, 250_000) for _ in range(count)]
    asks = [Ask(answer=random.randrange(100, 1400)) for _ in range(random.randrange(2, 5))]
    segments = [random.randrange(len(asks) + 2, min(sizes) // MSS - _BEHIND) for _ in struck]
    return Fault(
        rtt_ms=between(random, 2, 25),
        workers=[[(CACHE_SERVICE, Dialogue(port=CACHE, asks=[*asks, Ask(answer=size)]))] for size in sizes],
        services=[DialogueServer(name="cache", port=CACHE)],
        rules=[_untranslated(nth, segment) for nth, segment in zip(struck, segments, strict=True)],
        names=[
            CHECKOUT,
            pod(SERVER, "cache-0", workload="sts/cache"),
            service("cache", address=CACHE_SERVICE),
        ],
        translated={CACHE_SERVICE: SERVER},
        parameters={"port": CACHE, "connections": count, "struck": struck, "answer_bytes": sizes},
    )


def _untranslated(nth: int, segment: int) -> Rule:
    return Rule(
        action="untranslated",
        protocol="tcp",
        port=CACHE,
        connection=nth,
        to="client",
        segment=(segment,),
        copy=(1,),
    )


def _snat_exhaustion(random: Random, seed: int) -> Fault:
    """A gateway with few ports for each place outside: who comes when all are held waits for a free one."""
    del seed
    ports, more = random.randrange(64, 97), random.randrange(4, 8)
    timeout = between(random, 1.3, 1.9)
    freed = random.randrange(more, 2 * more) if random.random() < 0.5 else 0
    begin = 1.2
    held = [begin + 0.5 if n < freed else begin + timeout + 0.3 for n in range(ports)]
    pool = [_held(PARTNER, PARTNER_PORT, after_s=0.004 * n, hold_s=s) for n, s in enumerate(held)]
    late = [
        _held(PARTNER, PARTNER_PORT, after_s=begin + 0.03 * n, timeout_s=timeout + (5.0 if freed else 0.0))
        for n in range(more)
    ]
    return Fault(
        rtt_ms=between(random, 4, 40),
        workers=[*pool, *late],
        hosts=[
            Host(name="partner", address=PARTNER, services=[WebServer(name="partner", port=PARTNER_PORT)])
        ],
        rules=[Rule(action="drop", protocol="tcp", port=PARTNER_PORT, to="server", flag="syn", full=ports)],
        names=[CHECKOUT, OUTSIDE],
        parameters={"ports": ports, "freed": freed, "late": more, "timeout_s": timeout},
    )


def _ipvs_port_reuse(random: Random, seed: int) -> Fault:
    """Of a port that was used before the first SYN is dropped; new ports get through (kernels before 5.9)."""
    del seed
    count, fresh = random.randrange(3, 7), random.randrange(3, 7)
    ports = random.sample(range(33_000, 60_000), count + fresh)
    rounds = (ports[:count], ports[:count], ports[count:])
    rules = [
        Rule(action="drop", port=ORDERS, connection=nth, to="server", flag="syn", copy=(1,))
        for nth in range(count + 1, 2 * count + 1)
    ]
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[
            _held(ORDERS_SERVICE, ORDERS, after_s=_ROUND_S * later + 0.02 * n, client_port=port)
            for later, each in enumerate(rounds)
            for n, port in enumerate(each)
        ],
        services=[WebServer(name="orders", port=ORDERS)],
        rules=rules,
        names=[
            CHECKOUT,
            pod(SERVER, "orders-6c4b2", workload="deploy/orders"),
            service("orders", address=ORDERS_SERVICE),
        ],
        translated={ORDERS_SERVICE: SERVER},
        parameters={"port": ORDERS, "reused": ports[:count], "fresh": ports[count:]},
    )


def _conntrack_full(random: Random, seed: int) -> Fault:
    """All answer at first; then a node's table is full, and only the connection that is in it goes on."""
    del seed
    shops = random.sample(SHOPS, random.randrange(3, 6))
    attempts, timeout = random.randrange(1, 3), between(random, 1.3, 2.2)
    begin = 2.4  # when ordinary traffic has ended: it would not come about either
    old = Dialogue(port=CACHE, asks=[Ask(pause_s=0.2) for _ in range(int((begin + timeout + 0.8) / 0.2))])
    first = [_held(SERVER, port, after_s=0.05 * n) for n, port in enumerate(shops)]
    then = [
        _held(SERVER, port, after_s=begin + 0.05 * n + 0.1 * k, timeout_s=timeout)
        for n, port in enumerate(shops)
        for k in range(attempts)
    ]
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(SERVER, old)], *first, *then],
        services=[
            DialogueServer(name="cache", port=CACHE),
            *(WebServer(name=f"shop-{p}", port=p) for p in shops),
        ],
        rules=[
            Rule(action="drop", protocol="tcp", port=port, connection=nth, to="server", flag="syn")
            for port in shops
            for nth in range(2, 2 + attempts)
        ],
        names=[CHECKOUT, pod(SERVER, "shops-6c4b2", workload="deploy/shops")],
        parameters={"ports": shops, "attempts": attempts, "timeout_s": timeout},
    )


def _held(
    address: str,
    port: int,
    *,
    after_s: float,
    hold_s: float = 0.0,
    client_port: int = 0,
    timeout_s: float = 5.0,
) -> Worker:
    after = round(after_s, 3)
    return [
        (
            address,
            HeldConnection(
                port=port, after_s=after, hold_s=hold_s, client_port=client_port, timeout_s=timeout_s
            ),
        )
    ]


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "conntrack-full": _conntrack_full,
    "conntrack-invalid": _conntrack_invalid,
    "ipvs-port-reuse": _ipvs_port_reuse,
    "snat-exhaustion": _snat_exhaustion,
}
