"""DNS failures and detours made by hand: what the rules say of them, and when they keep quiet."""

from __future__ import annotations

import shlex
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, RESOLVER, START, Resolver

import k8scap
from k8scap.findings import Case, judge
from k8scap.model import NameEntry
from k8scap.names import Names

if TYPE_CHECKING:
    from conftest import Wire

    from k8scap.model import Finding

SUFFIXES = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def told(findings: list[Finding], rule: str) -> list[Finding]:
    return [f for f in findings if f.rule == rule and f.status == "found"]


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def with_names(wire: Wire, *entries: NameEntry) -> list[Finding]:
    cap = wire.load()
    parts = {field.name: getattr(cap, field.name) for field in fields(Case) if field.name != "names"}
    return judge(Case(**parts, names=Names(entries)))


def searched(resolver: Resolver, at: float, name: str, *, each: float, port: int) -> float:
    """A name asked for as a pod does: over its search list, A and AAAA together; when it was known."""
    for suffix in SUFFIXES:
        for kind in ("A", "AAAA"):
            resolver.ask(at, f"{name}.{suffix}", kind=kind, rcode=3, answer_after=each, port=port)
        at += each + 0.0001
    for kind in ("A", "AAAA"):
        resolver.ask(at, name, kind=kind, answer_after=each, port=port)
    return at + each


def test_a_search_list_that_costs_time(wire: Wire, resolver: Resolver) -> None:
    for n in range(5):
        searched(resolver, n * 1.0, f"host-{n}.example.com", each=0.012, port=30000 + n)
    findings = wire.findings()
    assert loud(findings) == ["dns-search-waste"]
    (found,) = told(findings, "dns-search-waste")
    assert (found.affected, found.total, found.severity) == (5 * 6, 5 * 8, "warning")
    assert found.seconds_lost == pytest.approx(5 * 3 * 0.012, rel=0.01)
    assert (found.destination, found.source) == (f"{RESOLVER}:53", CLIENT)
    assert found.consistent_with[0] == "ndots"
    assert "6 questions and 36 ms each" in found.title


def test_a_search_list_that_costs_next_to_nothing_is_told_without_alarm(
    wire: Wire, resolver: Resolver
) -> None:
    for n in range(50):
        searched(resolver, n * 1.0, "api.example.com", each=0.0004, port=30000 + n)
    findings = wire.findings()
    assert loud(findings) == []
    (found,) = told(findings, "dns-search-waste")
    assert (found.severity, found.affected) == ("info", 50 * 6)


def test_a_name_that_does_not_exist_wasted_no_question(wire: Wire, resolver: Resolver) -> None:
    for suffix in (*SUFFIXES, ""):
        resolver.ask(0.1, f"typo.example.com.{suffix}".rstrip("."), rcode=3)
    resolver.ask(5.0, "api.example.com")
    resolver.ask(9.0, "api.example.com")
    findings = {f.rule: f for f in wire.findings()}
    assert findings["dns-search-waste"].status == "ruled_out"
    assert findings["dns-failure"].status == "ruled_out"


def test_a_later_lookup_by_somebody_else_does_not_count(wire: Wire, resolver: Resolver) -> None:
    resolver.ask(0.1, "api.example.com.cluster.local", rcode=3)
    Resolver(wire, client="198.18.0.77").ask(0.2, "api.example.com")
    assert told(wire.findings(), "dns-search-waste") == []


@pytest.mark.parametrize(("rcode", "said"), [(2, "SERVFAIL"), (5, "REFUSED")])
def test_a_resolver_that_fails(wire: Wire, resolver: Resolver, rcode: int, said: str) -> None:
    for n in range(4):
        resolver.ask(n * 2.0, "broken.example.com", rcode=rcode, port=31000 + n)
    for n in range(16):
        resolver.ask(n * 0.5, f"host-{n}.example.com", port=32000 + n)
    findings = wire.findings()
    assert loud(findings) == ["dns-failure"]
    (found,) = told(findings, "dns-failure")
    assert (found.affected, found.total, found.severity) == (4, 20, "warning")
    assert said in found.title
    assert "broken.example.com" in found.title
    assert found.consistent_with[0] == {2: "broken-delegation", 5: "not-its-zone"}[rcode]
    assert found.frame_count == 8
    assert "+cd" in shlex.split(found.next_step)


def test_a_failure_that_the_next_resolver_made_good(wire: Wire, resolver: Resolver) -> None:
    second = Resolver(wire, resolver="198.18.0.54")
    for n in range(6):
        resolver.ask(n * 1.0, f"host-{n}.example.com", rcode=2, port=31000 + n)
        second.ask(n * 1.0 + 0.003, f"host-{n}.example.com", port=31000 + n)
    findings = wire.findings()
    assert loud(findings) == []
    (found,) = told(findings, "dns-failure")
    assert (found.severity, found.affected, found.total) == ("info", 6, 6)
    assert "answered at once" in found.title


def test_a_resolver_that_fails_for_all(wire: Wire, resolver: Resolver) -> None:
    for n in range(8):
        resolver.ask(n * 2.0, f"host-{n}.example.com", rcode=2, port=31000 + n)
    (found,) = told(wire.findings(), "dns-failure")
    assert (found.severity, found.consistent_with[0]) == ("critical", "upstream-failure")


def test_a_socket_whose_conntrack_entry_is_stale(wire: Wire, resolver: Resolver) -> None:
    """One long-lived socket asks one thing after another in vain, new sockets are answered."""
    resolver.ask(0.0, "cart.shop.svc", port=40000)
    for n in range(1, 6):
        resolver.ask(n * 2.0, f"host-{n}.shop.svc", port=40000, answer_after=None)
        resolver.ask(n * 2.0 + 0.5, f"host-{n}.shop.svc", port=41000 + n)
    resolver.ask(20.0, "cart.shop.svc", port=42000)
    (found,) = told(wire.findings(), "dns-timeout")
    assert (found.affected, found.consistent_with[0]) == (5, "stale-conntrack-entry")


def test_a_socket_that_is_answered_again_has_no_stale_entry(wire: Wire, resolver: Resolver) -> None:
    for n in range(1, 6):
        resolver.ask(n * 2.0, f"host-{n}.shop.svc", port=40000, answer_after=None if n < 4 else 0.002)
        resolver.ask(n * 2.0 + 0.5, f"host-{n}.shop.svc", port=41000 + n)
    (found,) = told(wire.findings(), "dns-timeout")
    assert "stale-conntrack-entry" not in found.consistent_with


def silence(wire: Wire, resolver: Resolver) -> None:
    for n in range(4):
        resolver.ask(n * 2.0, f"host-{n}.shop.svc", port=31000 + n, answer_after=None)
    wire.connection().close(wire.connection().open(9.0))


def test_silence_from_an_address_whose_pod_was_gone(wire: Wire, resolver: Resolver) -> None:
    silence(wire, resolver)
    gone = datetime.fromtimestamp(START - 60, tz=UTC)
    pod = NameEntry(address=RESOLVER, name="coredns-7d", kind="pod", namespace="kube-system", end=gone)
    (found,) = told(with_names(wire, pod), "dns-timeout")
    assert found.consistent_with[0] == "stale-conntrack-entry"
    (found,) = told(k8scap.diagnose(wire.load()), "dns-timeout")
    assert found.consistent_with[0] == "resolver-down"


def raced(resolver: Resolver) -> None:
    for n in range(6):
        resolver.ask(n * 6.0, "db.shop.svc", port=30000 + n)
        resolver.ask(n * 6.0 + 1e-5, "db.shop.svc", kind="AAAA", port=30000 + n, answer_after=None)
        resolver.ask(n * 6.0 + 5.0, "db.shop.svc", port=30000 + n)
        resolver.ask(n * 6.0 + 5.01, "db.shop.svc", kind="AAAA", port=30000 + n)


def test_the_race_is_counted_on_the_clients_node(wire: Wire, resolver: Resolver) -> None:
    raced(resolver)
    pod = NameEntry(address=CLIENT, name="cart-0", kind="pod", namespace="shop", node="worker-1")
    service = NameEntry(address=RESOLVER, name="kube-dns", kind="service", namespace="kube-system")
    (found,) = told(with_names(wire, pod, service), "dns-timeout")
    assert found.consistent_with[0] == "conntrack-race"
    assert found.next_step == "k8scap enter node/worker-1 -- conntrack -S"
    assert "its twin" in found.title


def test_nothing_races_for_a_pods_own_address(wire: Wire, resolver: Resolver) -> None:
    raced(resolver)
    pod = NameEntry(address=RESOLVER, name="coredns-7d", kind="pod", namespace="kube-system")
    (found,) = told(with_names(wire, pod), "dns-timeout")
    assert found.consistent_with[0] == "packet-loss"
