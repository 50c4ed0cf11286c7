"""SYNs that get lost for their ports: none left, or used before; and what only looks like that."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER
from scapy.layers.inet import IP, TCP

from k8scap.findings import Case, judge
from k8scap.model import Manifest, NameEntry
from k8scap.names import Names

if TYPE_CHECKING:
    from conftest import Connection, Wire

    from k8scap.model import Finding

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # the captures are of 2023
SERVICE = NameEntry(address=SERVER, name="orders", kind="service", namespace="shop", start=LONG_AGO)
OUTSIDE = NameEntry(address=SERVER, name="partner", kind="external", start=LONG_AGO)


def judged(wire: Wire, *names: NameEntry, **counters: int) -> Finding:
    """The one finding, with those names, and a host whose conntrack counted so much meanwhile."""
    cap = wire.load()
    parts = {field.name: getattr(cap, field.name) for field in fields(Case)} | {"names": Names(names)}
    if counters:
        start = {f"conntrack.{name}": 3 for name in counters}
        end = {f"conntrack.{name}": 3 + count for name, count in counters.items()}
        parts["manifests"] = (
            Manifest(name="crafted", point="crafted", evidence={"start": start, "end": end}),
        )
    loud = [f for f in judge(Case(**parts)) if f.status == "found" and f.severity != "info"]
    assert [f.rule for f in loud] == ["connect-timeout"], [f.title for f in loud]
    return loud[0]


def dial(
    wire: Wire, at: float, *, again: tuple[float, ...] = (), answered: bool = True, **options: object
) -> Connection:
    """A connection whose SYN is repeated so much later; the last one is answered, and so is a request."""
    connection = wire.connection(**options)
    first = connection.segment(at, client=True, flags="S")
    for later in again:
        wire.again(at + later, first)
    if answered:
        opened = at + (again[-1] if again else 0.0) + connection.rtt
        connection.segment(opened, client=False, flags="SA")
        connection.segment(opened + 2e-5, client=True)
        connection.ask(opened + 3e-5, think=0.002)
    return connection


def pool(wire: Wire, size: int, *, until: float = 60.0) -> None:
    for n in range(size):
        held = wire.connection()
        held.open(n * 0.01)
        held.close(until + n * 0.001)


@pytest.mark.parametrize("answered", [True, False], ids=["late", "never"])
def test_where_all_ports_are_held_who_comes_waits(wire: Wire, *, answered: bool) -> None:
    pool(wire, 70)
    for n in range(5):
        dial(wire, 5.0 + n * 0.1, again=(1.0, 3.0), answered=answered)
    found = judged(wire, OUTSIDE)
    assert (found.affected, found.total, found.consistent_with[0]) == (5, 75, "snat-exhaustion")
    assert found.next_step == "conntrack -S"


def test_a_full_gateways_own_count_does_not_make_it_a_race(wire: Wire) -> None:
    pool(wire, 70)
    for n in range(5):
        dial(wire, 5.0 + n * 0.1, again=(1.0, 3.0))
    assert judged(wire, OUTSIDE, insert_failed=10).consistent_with[0] == "snat-exhaustion"


def test_a_race_lets_some_through_however_many_are_open(wire: Wire) -> None:
    pool(wire, 70)
    for n in range(10):
        dial(wire, 5.0 + n * 0.1, again=(1.0,) if n % 2 else ())
    causes = judged(wire, OUTSIDE).consistent_with
    assert causes[0] == "snat-port-race"
    assert "snat-exhaustion" not in causes


@pytest.mark.parametrize(("size", "name"), [(40, OUTSIDE), (70, SERVICE)], ids=["few", "inside"])
def test_few_connections_or_those_inside_exhaust_nothing(wire: Wire, size: int, name: NameEntry) -> None:
    pool(wire, size)
    for n in range(5):
        dial(wire, 5.0 + n * 0.1, again=(1.0, 3.0), answered=False)
    assert "snat-exhaustion" not in judged(wire, name).consistent_with


def reuse(
    wire: Wire, *, again: tuple[float, ...] = (1.0,), fresh: tuple[float, ...] = (), told: bool = False
) -> None:
    """Four ports that are used twice, the second time with SYNs lost; then four others."""
    for n, port in enumerate(range(41_000, 41_004)):
        dial(wire, n, port_of_client=port).close(n + 0.5)
        connection = dial(wire, 10.0 + n, again=again, port_of_client=port, sequence=70_000)
        connection.close(12.0 + again[-1] + n)
        if told:  # "I still have one, and expect its next byte"
            held = TCP(sport=8080, dport=port, seq=5501, ack=1102, flags="A")
            wire.put(10.001 + n, IP(src=SERVER, dst=CLIENT) / held)
    for n, port in enumerate(range(42_000, 42_004)):
        dial(wire, 30.0 + n, port_of_client=port, again=fresh)


def test_ports_that_were_used_before_wait_for_their_second_syn(wire: Wire) -> None:
    reuse(wire)
    found = judged(wire, SERVICE)
    assert (found.affected, found.total, found.consistent_with[0]) == (4, 12, "ipvs-port-reuse")
    assert found.next_step == "sysctl net.ipv4.vs.conn_reuse_mode"
    assert judged(wire).consistent_with[0] == "ipvs-port-reuse"  # where nobody has a name


def test_it_is_no_reuse_where_new_ports_wait_as_well(wire: Wire) -> None:
    reuse(wire, fresh=(1.0,))
    assert "ipvs-port-reuse" not in judged(wire, SERVICE).consistent_with


def test_it_is_no_reuse_where_the_third_syn_is_answered(wire: Wire) -> None:
    reuse(wire, again=(1.0, 3.0))
    assert "ipvs-port-reuse" not in judged(wire, SERVICE).consistent_with


def test_a_server_in_time_wait_says_so(wire: Wire) -> None:
    reuse(wire, told=True)
    assert "ipvs-port-reuse" not in judged(wire, SERVICE).consistent_with


def test_outside_the_cluster_is_no_ipvs(wire: Wire) -> None:
    reuse(wire)
    assert "ipvs-port-reuse" not in judged(wire, OUTSIDE).consistent_with
