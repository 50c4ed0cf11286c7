"""A scenario down to its last detail, made of a fault and ordinary traffic beside it that works."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8scap.lab.hosts import Host
from k8scap.lab.link import Path
from k8scap.lab.resolver import Lookups, NameServer
from k8scap.lab.tun import INTERFACE
from k8scap.lab.web import WebRequests, WebServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from k8scap.lab.hosts import Job, Service
    from k8scap.lab.overlay import Overlay
    from k8scap.lab.plan import Rule
    from k8scap.model import NameEntry

CLIENT = "198.18.0.10"
SERVER = "198.18.0.20"
RESOLVER = "198.18.0.53"
WEB, API, REPORTS, BULK, PAYMENTS = 80, 8080, 8081, 5001, 9000
MSS = 1448  # bytes of data in a full segment: 1500 without IPv4 and TCP headers and timestamps
RECORDS = {f"{name}.lab.test": SERVER for name in ("web", "api", "bulk", "reports", "payments")}
# TCP takes a busy machine's pause of a few milliseconds for a lost tail, and repeats it. Without its probes
# (RFC 8985, 7) it waits 200 ms: then only a fault that was planned shows. Where loss is the fault they stay.
NO_PROBES = {"net.ipv4.tcp_early_retrans": "0"}

Worker = list[tuple[str, "Job"]]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, drawn to its last detail: the path, the plan, the hosts. `parameters` say it to people.

    It is captured in the namespace of the host `captured`, on `interface`; `names` are told to the capture
    beside the hosts' own. `services` are addresses of Services, with that of the host behind each.
    """

    name: str
    seed: int
    path: Path
    hosts: Sequence[Host]
    rules: Sequence[Rule] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    captured: str = "client"
    interface: str = INTERFACE
    names: Sequence[NameEntry] = ()
    services: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a scenario has beyond ordinary traffic, as its builder draws it.

    `workers` are the client's, at work at the same time; `services` the server's, `client_services` the
    client's; `hosts` more hosts on the link; `records` more names for the resolver, which `resolver`
    replaces where it must be another one; `translated` are addresses of Services, with that of the host
    behind each; `overlays` the tunnel's ends at client and server. `settings` are sysctls of both.
    """

    rtt_ms: float
    workers: Sequence[Worker] = ()
    services: Sequence[Service] = ()
    client_services: Sequence[Service] = ()
    hosts: Sequence[Host] = ()
    rules: Sequence[Rule] = ()
    settings: Mapping[str, str] = field(default_factory=lambda: NO_PROBES)
    records: Mapping[str, str] = field(default_factory=dict)
    resolver: Sequence[Service] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    captured: str = "client"
    interface: str = INTERFACE
    names: Sequence[NameEntry] = ()
    translated: Mapping[str, str] = field(default_factory=dict)
    overlays: Mapping[str, Overlay] = field(default_factory=dict)
    jitter_ms: float = 0.0


def staged(name: str, seed: int, random: Random, faults: Sequence[Fault]) -> Scenario:
    """Faults that happen at once, on the longest of their paths, between ordinary traffic."""
    path = Path(
        rtt_ms=max(fault.rtt_ms for fault in faults), jitter_ms=max(fault.jitter_ms for fault in faults)
    )
    settings = _settings(faults)
    background, facts = _background(random)
    told: dict[str, Any] = {key: value for fault in faults for key, value in fault.parameters.items()}
    records = {key: value for fault in faults for key, value in fault.records.items()}
    overlays = {name: overlay for fault in faults for name, overlay in fault.overlays.items()}
    resolver = [service for fault in faults for service in fault.resolver]
    web: list[Service] = [WebServer(name="web", port=WEB), WebServer(name="api", port=API)]
    client = Host(
        name="client",
        address=CLIENT,
        services=[service for fault in faults for service in fault.client_services],
        workers=[*(worker for fault in faults for worker in fault.workers), *background],
        settings=settings,
        overlay=overlays.get("client"),
    )
    server = Host(
        name="server",
        address=SERVER,
        services=[*web, *(service for fault in faults for service in fault.services)],
        settings=settings,
        overlay=overlays.get("server"),
    )
    named = Host(
        name="resolver", address=RESOLVER, services=resolver or [NameServer(records=RECORDS | records)]
    )
    return Scenario(
        name=name,
        seed=seed,
        path=path,
        rules=[rule for fault in faults for rule in fault.rules],
        parameters={"rtt_ms": path.rtt_ms, **told, "settings": dict(settings), "background": facts},
        hosts=(client, server, named, *(host for fault in faults for host in fault.hosts)),
        captured=faults[0].captured,
        interface=faults[0].interface,
        names=[entry for fault in faults for entry in fault.names],
        services={key: value for fault in faults for key, value in fault.translated.items()},
    )


def _settings(faults: Sequence[Fault]) -> dict[str, str]:
    """All that some fault sets; probes stay on where one fault wants them (it sets none)."""
    settings = {key: value for fault in faults for key, value in fault.settings.items()}
    if any(not NO_PROBES.keys() <= fault.settings.keys() for fault in faults):
        settings = {key: value for key, value in settings.items() if key not in NO_PROBES}
    return settings


def _background(random: Random) -> tuple[list[Worker], dict[str, int]]:
    kept, closed = random.randrange(5, 9), random.randrange(3, 5)
    web = WebRequests(host="web.lab.test", port=WEB, paths=_paths(random, kept), gap_s=0.08)
    api = WebRequests(
        host="api.lab.test", port=API, paths=_paths(random, closed), keep_alive=False, gap_s=0.12
    )
    facts = {"keep_alive_requests": kept, "closed_requests": closed}
    return [worker(random, "web", web), worker(random, "api", api)], facts


def worker(random: Random, name: str, *jobs: Job) -> Worker:
    """Jobs with the server, after looking its name up as any client does."""
    lookup = Lookups(names=[f"{name}.lab.test"], first_id=dns_id(random))
    return [(RESOLVER, lookup), *((SERVER, job) for job in jobs)]


def dns_id(random: Random) -> int:
    return random.randrange(65_536)


def between(random: Random, low: float, high: float) -> float:
    return round(random.uniform(low, high), 2)


def _paths(random: Random, count: int) -> list[str]:
    return [f"/item/{n}?bytes={random.randrange(500, 8000)}" for n in range(count)]
