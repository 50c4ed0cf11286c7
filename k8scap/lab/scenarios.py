"""The faults that the lab can make, each between ordinary traffic that works. A seed draws the details."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.catalogue import check
from k8scap.lab.dial import Dial
from k8scap.lab.hosts import Host
from k8scap.lab.link import Path
from k8scap.lab.plan import Rule, chance
from k8scap.lab.resolver import Lookups, NameServer
from k8scap.lab.web import WebRequests, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from k8scap.lab.hosts import Job, Service

CLIENT = "198.18.0.10"
SERVER = "198.18.0.20"
RESOLVER = "198.18.0.53"
WEB, API, REPORTS, BULK, PAYMENTS = 80, 8080, 8081, 5001, 9000
MSS = 1448  # bytes of data in a full segment: 1500 without IPv4 and TCP headers and timestamps
_NAMES = {f"{name}.lab.test": SERVER for name in ("web", "api", "bulk", "reports", "payments")}
# TCP takes a busy machine's pause of a few milliseconds for a lost tail, and repeats it. Without its probes
# (RFC 8985, 7) it waits 200 ms: then only a fault that was planned shows. Where loss is the fault they stay.
_NO_PROBES = {"net.ipv4.tcp_early_retrans": "0"}
_FEWEST_DROPS = 8  # drops that a packet-loss run has at the least among its first transmissions

Worker = list[tuple[str, "Job"]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, drawn to its last detail: the path, the plan, the hosts. `parameters` say it to people."""

    name: str
    seed: int
    path: Path
    hosts: Sequence[Host]
    rules: Sequence[Rule] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def draw(name: str, *, seed: int) -> Scenario:
    """The scenario of that name with the details that the seed draws. Raises UsageError."""
    check(name)
    random = Random(f"{name} {seed}")  # noqa: S311 - a drawing that must be repeatable, not secret
    return _BUILDERS[name](random, seed)


def _clean(random: Random, seed: int) -> Scenario:
    up, down = random.randrange(200_000, 600_000), random.randrange(200_000, 600_000)
    transfers = [Transfer(port=BULK, count=up), Transfer(port=BULK, count=down, way="down")]
    return _scenario(
        "clean",
        random,
        seed,
        rtt_ms=_between(random, 10, 40),
        fault=_worker(random, "bulk", *transfers),
        services=[BulkServer(name="bulk", port=BULK)],
        parameters={"upload_bytes": up, "download_bytes": down},
    )


def _packet_loss(random: Random, seed: int) -> Scenario:
    loss = _between(random, 1, 5) / 100
    rule = Rule(action="drop", protocol="tcp", to="server", data=True, p=round(loss, 4))
    segments = _segments_until(_FEWEST_DROPS, rule, seed) + random.randrange(20, 120)
    return _scenario(
        "packet-loss",
        random,
        seed,
        rtt_ms=_between(random, 4, 25),
        fault=_worker(random, "bulk", Transfer(port=BULK, count=segments * MSS)),
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[rule],
        settings={},
        parameters={"loss": rule.p, "upload_bytes": segments * MSS},
    )


def _slow_server(random: Random, seed: int) -> Scenario:
    thinks = [random.randrange(150, 600) for _ in range(random.randrange(3, 6))]
    paths = [f"/report?think_ms={think}&bytes={random.randrange(500, 6000)}" for think in thinks]
    requests = WebRequests(host="reports.lab.test", port=REPORTS, paths=paths)
    return _scenario(
        "slow-server",
        random,
        seed,
        rtt_ms=_between(random, 1, 40),
        fault=_worker(random, "reports", requests),
        services=[WebServer(name="reports", port=REPORTS)],
        parameters={"think_ms": thinks},
    )


def _slow_reader(random: Random, seed: int) -> Scenario:
    pauses = [_between(random, 0.25, 0.5) for _ in range(random.randrange(3, 6))]
    buffer = random.randrange(16, 48) * 1024
    piece = 2 * buffer
    count = piece * len(pauses) + random.randrange(200_000, 400_000)
    server = BulkServer(name="bulk", port=BULK, receive_buffer=buffer, pauses_s=pauses, piece=piece)
    return _scenario(
        "slow-reader",
        random,
        seed,
        rtt_ms=_between(random, 1, 20),
        fault=_worker(random, "bulk", Transfer(port=BULK, count=count)),
        services=[server],
        parameters={"pauses_s": pauses, "receive_buffer": buffer, "upload_bytes": count},
    )


def _connection_refused(random: Random, seed: int) -> Scenario:
    attempts, gap = random.randrange(4, 9), _between(random, 0.1, 0.3)
    dial = Dial(port=PAYMENTS, attempts=attempts, gap_s=gap)
    return _scenario(
        "connection-refused",
        random,
        seed,
        rtt_ms=_between(random, 1, 40),
        fault=_worker(random, "payments", dial),
        parameters={"port": PAYMENTS, "attempts": attempts, "gap_s": gap},
    )


def _dns_timeout(random: Random, seed: int) -> Scenario:
    lost = random.choice(["question", "answer"])
    timeout, attempts = _between(random, 0.5, 0.8), random.randrange(3, 5)
    name = "payments.lab.test"
    rule = Rule(action="drop", dns=name, to="server" if lost == "question" else "client")
    lookups = Lookups(names=[name], first_id=_dns_id(random), timeout_s=timeout, attempts=attempts)
    return _scenario(
        "dns-timeout",
        random,
        seed,
        rtt_ms=_between(random, 1, 40),
        fault=[(RESOLVER, lookups)],
        rules=[rule],
        parameters={"name": name, "lost": lost, "timeout_s": timeout, "attempts": attempts},
    )


_BUILDERS: Mapping[str, Callable[[Random, int], Scenario]] = {
    "clean": _clean,
    "connection-refused": _connection_refused,
    "dns-timeout": _dns_timeout,
    "packet-loss": _packet_loss,
    "slow-reader": _slow_reader,
    "slow-server": _slow_server,
}


def _scenario(
    name: str,
    random: Random,
    seed: int,
    *,
    rtt_ms: float,
    fault: Worker,
    services: Sequence[Service] = (),
    rules: Sequence[Rule] = (),
    settings: Mapping[str, str] = _NO_PROBES,
    parameters: Mapping[str, Any],
) -> Scenario:
    background, facts = _background(random)
    web: list[Service] = [WebServer(name="web", port=WEB), WebServer(name="api", port=API)]
    return Scenario(
        name=name,
        seed=seed,
        path=Path(rtt_ms=rtt_ms),
        rules=tuple(rules),
        parameters={"rtt_ms": rtt_ms, **parameters, "settings": dict(settings), "background": facts},
        hosts=(
            Host(name="client", address=CLIENT, workers=[fault, *background], settings=settings),
            Host(name="server", address=SERVER, services=[*web, *services], settings=settings),
            Host(name="resolver", address=RESOLVER, services=[NameServer(records=_NAMES)]),
        ),
    )


def _background(random: Random) -> tuple[list[Worker], dict[str, int]]:
    kept, closed = random.randrange(5, 9), random.randrange(3, 5)
    web = WebRequests(host="web.lab.test", port=WEB, paths=_paths(random, kept), gap_s=0.08)
    api = WebRequests(
        host="api.lab.test", port=API, paths=_paths(random, closed), keep_alive=False, gap_s=0.12
    )
    facts = {"keep_alive_requests": kept, "closed_requests": closed}
    return [_worker(random, "web", web), _worker(random, "api", api)], facts


def _worker(random: Random, name: str, *jobs: Job) -> Worker:
    """Jobs with the server, after looking its name up as any client does."""
    lookup = Lookups(names=[f"{name}.lab.test"], first_id=_dns_id(random))
    return [(RESOLVER, lookup), *((SERVER, job) for job in jobs)]


def _dns_id(random: Random) -> int:
    return random.randrange(65_536)


def _paths(random: Random, count: int) -> list[str]:
    return [f"/item/{n}?bytes={random.randrange(500, 8000)}" for n in range(count)]


def _between(random: Random, low: float, high: float) -> float:
    return round(random.uniform(low, high), 2)


def _segments_until(drops: int, rule: Rule, seed: int) -> int:
    """How many segments the upload needs for the seed to drop so many: its plan is known beforehand."""
    segment = 0
    while drops:
        segment += 1
        drops -= chance(seed, rule, BULK, 1, "server", "segment", segment, 1) < rule.p
    return segment
