"""What goes wrong above TCP: handshakes of TLS, answers of HTTP and gRPC; and what only looks like it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from k8scap.lab.http2 import GrpcCalls, GrpcServer
from k8scap.lab.scenarios.scenario import REPORTS, SERVER, WEB, Fault, between, worker
from k8scap.lab.secure import SecureRequests, SecureServer
from k8scap.lab.web import WebRequests, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.secure import Version

_SHOP = "shop.lab.test"  # the name in the certificates
_GRPC = 50051
_HTTPS = (443, 8443)
_SERVER_ERRORS = (500, 502, 503, 504)
_QUICK_PATHS, _QUICK_CALLS = ("orders", "items"), ("Reserve", "Release")
_GRPC_ERRORS = {4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 13: "INTERNAL", 14: "UNAVAILABLE"}


def _expired_certificate(random: Random, seed: int) -> Fault:
    """TLS 1.2, in which certificates can be read, or 1.3, in which only OpenSSL's alert can."""
    del seed
    highest: Version = random.choice(["TLSv1.2", "TLSv1.3"])
    port, times = random.choice(_HTTPS), random.randrange(3, 9)
    asking = SecureRequests(
        host=_SHOP, port=port, times=times, gap_s=between(random, 0.05, 0.3), highest=highest
    )
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "shop", asking)],
        services=[SecureServer(name="shop", port=port, certificate="expired")],
        records={_SHOP: SERVER},
        parameters={"port": port, "times": times, "version": highest},
    )


def _tls_failure(random: Random, seed: int) -> Fault:
    del seed
    port, times = random.choice(_HTTPS), random.randrange(3, 9)
    kind = random.choice(["unknown-ca", "tls-version-mismatch", "sni-mismatch", "plain-http-on-tls-port"])
    highest: Version = random.choice(["TLSv1.2", "TLSv1.3"])
    gap = between(random, 0.05, 0.3)
    good = SecureRequests(host=_SHOP, port=port, times=2, gap_s=0.1)
    bad = SecureRequests(host=_SHOP, port=port, times=times, gap_s=gap, highest=highest)
    server = SecureServer(name="shop", port=port)
    if kind == "unknown-ca":
        server = SecureServer(name="shop", port=port, certificate="stranger")
    elif kind == "tls-version-mismatch":
        server = SecureServer(name="shop", port=port, lowest="TLSv1.3")
        bad = SecureRequests(host=_SHOP, port=port, times=times, gap_s=gap, highest="TLSv1.2")
    elif kind == "sni-mismatch":
        server = SecureServer(name="shop", port=port, only_for=_SHOP)
        bad = SecureRequests(host="store.lab.test", port=port, times=times, gap_s=gap, highest=highest)
    else:
        bad = SecureRequests(host=_SHOP, port=port, times=times, gap_s=gap, plain=True)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "shop", good), worker(random, "shop", bad)],
        services=[server],
        records={_SHOP: SERVER},
        parameters={"kind": kind, "port": port, "times": times},
    )


def _http_errors(random: Random, seed: int) -> Fault:
    """Of two paths at one server the one fails again and again."""
    del seed
    status = random.choice(_SERVER_ERRORS)
    count = random.randrange(20, 40)
    failing = set(random.sample(range(count), random.randrange(4, count // 2)))
    paths = [
        f"/orders/{random.randrange(1000, 9999)}?status={status}"
        if n in failing
        else f"/{random.choice(['orders', 'items'])}/{random.randrange(1000, 9999)}?bytes=300"
        for n in range(count)
    ]
    asking = WebRequests(host="reports.lab.test", port=REPORTS, paths=paths, gap_s=0.03)
    return Fault(
        rtt_ms=between(random, 1, 30),
        workers=[worker(random, "reports", asking)],
        services=[WebServer(name="reports", port=REPORTS)],
        parameters={"status": status, "requests": count, "failing": len(failing)},
    )


def _grpc_errors(random: Random, seed: int) -> Fault:
    del seed
    status = random.choice(sorted(_GRPC_ERRORS))
    statuses = random.sample([0] * random.randrange(8, 20) + [status] * random.randrange(4, 9), k=12)
    statuses += [status] * max(0, 3 - statuses.count(status))
    calls = GrpcCalls(
        port=_GRPC, authority="stock.lab.test", paths=["/shop.Stock/Reserve"] * len(statuses), gap_s=0.08
    )
    return Fault(
        rtt_ms=between(random, 1, 30),
        workers=[worker(random, "stock", calls)],
        services=[GrpcServer(name="stock", port=_GRPC, statuses=statuses)],
        records={"stock.lab.test": SERVER},
        parameters={"status": status, "calls": len(statuses), "failing": statuses.count(status)},
    )


def _slow_endpoint(random: Random, seed: int) -> Fault:
    """One path of a server, over HTTP/1.1 or gRPC, is slow each time; the others are answered at once."""
    del seed
    slow = [random.randrange(150, 700) for _ in range(random.randrange(4, 8))]
    thinks = [*slow, *[0] * random.randrange(12, 24)]
    random.shuffle(thinks)
    kind = random.choice(["HTTP/1", "gRPC"])
    rtt_ms = between(random, 1, 40)
    parameters = {"protocol": kind, "think_ms": slow, "requests": len(thinks)}
    if kind == "gRPC":
        paths = ["/shop.Stock/Search" if t else f"/shop.Stock/{random.choice(_QUICK_CALLS)}" for t in thinks]
        calls = GrpcCalls(port=_GRPC, authority="stock.lab.test", paths=paths, gap_s=0.03)
        return Fault(
            rtt_ms=rtt_ms,
            workers=[worker(random, "stock", calls)],
            services=[GrpcServer(name="stock", port=_GRPC, thinks_ms=thinks)],
            records={"stock.lab.test": SERVER},
            parameters=parameters,
        )
    number = partial(random.randrange, 1000, 9999)
    paths = [
        f"/search/{number()}?think_ms={t}&bytes=900" if t else f"/{random.choice(_QUICK_PATHS)}/{number()}"
        for t in thinks
    ]
    asking = WebRequests(host="reports.lab.test", port=REPORTS, paths=paths, gap_s=0.03)
    return Fault(
        rtt_ms=rtt_ms,
        workers=[worker(random, "reports", asking)],
        services=[WebServer(name="reports", port=REPORTS)],
        parameters=parameters,
    )


def _long_poll(random: Random, seed: int) -> Fault:
    """A client that waits for news beside one whose requests the same server answers at once."""
    del seed
    waits = [random.randrange(1200, 1800) for _ in range(random.randrange(2, 4))]
    paths = [f"/events?think_ms={wait}&bytes={random.randrange(100, 900)}" for wait in waits]
    asking = WebRequests(host="web.lab.test", port=WEB, paths=paths, gap_s=0.01)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "web", asking)],
        parameters={"waits_ms": waits},
    )


def _idle_grpc(random: Random, seed: int) -> Fault:
    """A few calls, then only PINGs, by which both sides make sure of each other."""
    del seed
    calls, pings = random.randrange(1, 4), random.randrange(3, 6)
    asking = GrpcCalls(
        port=_GRPC,
        authority="stock.lab.test",
        paths=["/shop.Stock/Reserve"] * calls,
        pings=pings,
        ping_gap_s=between(random, 0.4, 0.8),
    )
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "stock", asking)],
        services=[GrpcServer(name="stock", port=_GRPC)],
        records={"stock.lab.test": SERVER},
        parameters={"calls": calls, "pings": pings},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "expired-certificate": _expired_certificate,
    "grpc-errors": _grpc_errors,
    "http-errors": _http_errors,
    "idle-grpc": _idle_grpc,
    "long-poll": _long_poll,
    "slow-endpoint": _slow_endpoint,
    "tls-failure": _tls_failure,
}
