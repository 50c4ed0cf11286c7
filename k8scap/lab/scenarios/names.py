"""What goes wrong between a name and its address: lost halves of a pair, detours, failures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8scap.lab.plan import Rule
from k8scap.lab.resolver import Lookups, NameServer
from k8scap.lab.scenarios.inventory import DNS_SERVICE, GONE, NOBODY, pod, service
from k8scap.lab.scenarios.scenario import RECORDS, RESOLVER, SERVER, Fault, between, dns_id
from k8scap.lab.sticky_resolver import OneSocketLookups
from k8scap.lab.stub_resolver import StubLookups
from k8scap.model import NameEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from k8scap.lab.scenarios.scenario import Worker

_KUBE_DNS = NameEntry(
    address=RESOLVER,
    name="kube-dns",
    kind="service",
    namespace="kube-system",
    start=datetime(2020, 1, 1, tzinfo=UTC),  # after the host's own name, which has no beginning
)
_SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
_COMPANY = ("example.internal",)
_OUTSIDE = ("api", "auth", "cdn", "events", "hooks", "images", "mail", "maps", "push", "storage")
_INSIDE = ("cart", "catalog", "checkout", "ledger", "orders", "stock", "users", "vouchers")
_SERVFAIL, _REFUSED = 2, 5


def _conntrack_race(random: Random, seed: int) -> Fault:
    """Of A and AAAA from one socket one is lost, as when both race for one conntrack entry."""
    del seed
    names = [f"{name}.shop.svc.cluster.local" for name in random.sample(_INSIDE, random.randrange(5, 9))]
    raced = random.sample(names, random.randrange(2, 5))
    loser = random.choice([1, 2])  # of the two first packets of the socket
    timeout = between(random, 0.5, 0.8)
    lookups = StubLookups(names=names, first_id=dns_id(random), timeout_s=timeout, gap_s=0.05)
    return Fault(
        rtt_ms=between(random, 0.5, 20),
        workers=[[(RESOLVER, lookups)]],
        rules=[Rule(action="drop", dns=name, to="server", packet=(loser,)) for name in raced],
        records=dict.fromkeys(names, SERVER),
        names=[_KUBE_DNS],
        parameters={"names": names, "raced": raced, "timeout_s": timeout},
    )


def _ndots_storm(random: Random, seed: int) -> Fault:
    """Names outside the cluster, with a pod's resolv.conf: each is asked with every suffix first."""
    del seed
    outside = random.sample(_OUTSIDE, random.randrange(4, 8))
    names = [f"{name}.example.com" for name in outside]
    search = _SEARCH + (_COMPANY if random.random() < 0.5 else ())
    lookups = StubLookups(names=names, first_id=dns_id(random), search=search, ndots=5, gap_s=0.05)
    return Fault(
        rtt_ms=between(random, 6, 25),
        workers=[[(RESOLVER, lookups)]],
        records=dict.fromkeys(names, SERVER),
        names=[_KUBE_DNS],
        parameters={"names": names, "search": search, "ndots": 5},
    )


def _dns_servfail(random: Random, seed: int) -> Fault:
    del seed
    code = random.choice([_SERVFAIL, _REFUSED])
    names = [f"{name}.example.com" for name in random.sample(_OUTSIDE, random.randrange(1, 4))]
    times = random.randrange(2, 5)
    lookups = StubLookups(names=names * times, first_id=dns_id(random), gap_s=0.2)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(RESOLVER, lookups)]],
        resolver=[NameServer(records=RECORDS, failures=dict.fromkeys(names, code))],
        parameters={"names": names, "code": code, "times": times},
    )


def _nxdomain_once(random: Random, seed: int) -> Fault:
    """A name that nobody has, asked for once: a typing mistake, a feature that is not installed."""
    del seed
    name = f"{random.choice(_INSIDE)}.lab.test"
    if random.random() < 0.5:
        stub = StubLookups(names=[name], first_id=dns_id(random), search=_SEARCH, ndots=5)
        return Fault(rtt_ms=between(random, 1, 40), workers=[[(RESOLVER, stub)]], parameters={"name": name})
    lookup = Lookups(names=[name], first_id=dns_id(random))
    return Fault(rtt_ms=between(random, 1, 40), workers=[[(RESOLVER, lookup)]], parameters={"name": name})


def _stale_conntrack_entry(random: Random, seed: int) -> Fault:
    """A socket's UDP entry leads to a pod that is gone, as long as it goes on asking; others are answered.

    Half of the seeds see it as the client does, which asks the Service; half behind the NAT, where the
    question goes to the pod's old address, and names tell that nobody has it any more.
    """
    del seed
    before, after = random.randrange(2, 5), random.randrange(4, 7)
    names = [f"{name}.shop.svc.cluster.local" for name in random.sample(_INSIDE, after)]
    behind_nat = random.random() < 0.5
    stuck = OneSocketLookups(
        names=names if behind_nat else [*names[:before], *names],
        first_id=dns_id(random),
        timeout_s=between(random, 0.4, 0.7),
    )
    ordinary = Lookups(names=names, first_id=dns_id(random), gap_s=0.3)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(NOBODY if behind_nat else DNS_SERVICE, stuck)], _later(random, ordinary)],
        rules=[
            Rule(
                action="drop",
                dns=name,
                connection=1,
                to="server",
                packet=tuple(range(before + 1, before + after + 1)),
            )
            for name in names
        ],
        records=dict.fromkeys(names, SERVER),
        names=[
            service("kube-dns", address=DNS_SERVICE),
            pod(RESOLVER, "coredns-7d9f4", workload="deploy/coredns"),
            pod(NOBODY, "coredns-x2k8q", workload="deploy/coredns", end=GONE),
        ],
        translated={DNS_SERVICE: RESOLVER},
        parameters={
            "names": names,
            "answered_before": before,
            "timeout_s": stuck.timeout_s,
            "behind_nat": behind_nat,
        },
    )


def _later(random: Random, lookups: Lookups) -> Worker:
    """Lookups by the Service's address after one elsewhere: the other socket is the first to come there."""
    first = Lookups(names=["web.lab.test"], first_id=dns_id(random), gap_s=0.4)
    return [(RESOLVER, first), (DNS_SERVICE, lookups)]


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "conntrack-race": _conntrack_race,
    "dns-nxdomain-once": _nxdomain_once,
    "dns-servfail": _dns_servfail,
    "ndots-storm": _ndots_storm,
    "stale-conntrack-entry": _stale_conntrack_entry,
}
