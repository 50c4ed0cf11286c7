"""Connections that come late, or never, or one for each request: made by hand, packet by packet."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from k8scap.findings import Case, judge
from k8scap.model import Manifest, NameEntry
from k8scap.names import Names

if TYPE_CHECKING:
    from conftest import Connection, Wire

    import k8scap
    from k8scap.model import Finding

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # the captures are of 2023


def judged(cap: k8scap.Capture, **changes: object) -> list[Finding]:
    parts = {table.name: getattr(cap, table.name) for table in fields(Case)}
    return judge(Case(**{**parts, **changes}))


def only(findings: list[Finding], rule: str) -> Finding:
    """The one finding of `rule`; nothing else may have been found."""
    found = [f for f in findings if f.status == "found"]
    assert [f.rule for f in found] == [rule], [f.title for f in found]
    return found[0]


def status(findings: list[Finding], rule: str) -> Finding:
    return next(f for f in findings if f.rule == rule)


def loud(findings: list[Finding]) -> list[str]:
    return [f.title for f in findings if f.status == "found" and f.severity != "info"]


def evidence(**counters: int) -> tuple[Manifest, ...]:
    """A manifest whose host counted so much during the capture; `_` stands for the dot in a name."""
    names = {name.replace("__", "."): count for name, count in counters.items()}
    start = dict.fromkeys(names, 7)
    end = {name: 7 + count for name, count in names.items()}
    return (Manifest(name="crafted", point="crafted", evidence={"start": start, "end": end}),)


def silent(wire: Wire, at: float, *, repeats: tuple[float, ...] = (1.0, 3.0), **options: object) -> None:
    first = wire.connection(**options).segment(at, client=True, flags="S")
    for later in repeats:
        wire.again(at + later, first)


def late(wire: Wire, at: float, *, repeats: tuple[float, ...] = (1.0,), **options: object) -> float:
    """A connection whose SYN is answered the last time it is sent; then a request, and its end."""
    connection = wire.connection(**options)
    first = connection.segment(at, client=True, flags="S")
    for again in repeats:
        wire.again(at + again, first)
    connected = at + repeats[-1] + connection.rtt
    connection.segment(connected, client=False, flags="SA")
    connection.segment(connected + 2e-5, client=True)
    return connection.close(connection.ask(connected + 3e-5, think=0.002))


def quick(wire: Wire, at: float, **options: object) -> float:
    connection = wire.connection(**options)
    return connection.close(connection.ask(connection.open(at), think=0.002))


def test_attempts_that_nobody_answers(wire: Wire) -> None:
    for n in range(3):
        silent(wire, n * 0.2, repeats=(1.0, 3.0, 7.0), port=6379)
    quick(wire, 0.5, port=80)
    found = only(wire.findings(), "connect-timeout")
    assert (found.affected, found.total, found.severity) == (3, 3, "critical")
    assert "none of 12 SYNs, in 3 connections" in found.title
    assert found.destination == f"{SERVER}:6379"
    assert found.consistent_with[0] == "network-policy-drop"
    assert found.seconds_lost == pytest.approx(7.4)  # 0.0 … 7.4: together, not 21
    assert found.frame_count == 12
    assert found.next_step == f"ip route get {SERVER}"


def test_connections_late_by_the_ladder(wire: Wire) -> None:
    for n in range(3):
        late(wire, n * 10.0)
    late(wire, 30.0, repeats=(1.0, 3.0))
    for n in range(6):
        quick(wire, 40.0 + n)
    findings = wire.findings()
    found = only(findings, "connect-timeout")
    assert (found.affected, found.total, found.severity) == (4, 10, "warning")
    assert "connecting took 1.0 to 3.0 s (6 others were answered at once)" in found.title
    assert found.seconds_lost == pytest.approx(6.0, abs=0.01)
    assert status(findings, "packet-loss").status == "ruled_out"


def test_loopback_is_nobodys_hairpin(wire: Wire) -> None:
    silent(wire, 0.0, client="127.0.0.1", server="127.0.0.1")
    silent(wire, 0.0, client="10.9.0.7", server="10.9.0.7")
    first = {f.destination: f.consistent_with[0] for f in wire.findings() if f.status == "found"}
    assert first["10.9.0.7:8080"] == "hairpin"
    assert first["127.0.0.1:8080"] != "hairpin"


def test_a_single_late_connection_is_no_alarm(wire: Wire) -> None:
    late(wire, 0.0)
    quick(wire, 3.0)
    assert only(wire.findings(), "connect-timeout").severity == "info"


def test_no_policy_of_the_cluster_is_blamed_first_for_a_public_address(wire: Wire) -> None:
    silent(wire, 0.0, server="10.9.0.8")
    silent(wire, 0.0, server="93.184.216.34")
    first = {f.destination: f.consistent_with[0] for f in wire.findings() if f.status == "found"}
    assert first == {"10.9.0.8:8080": "network-policy-drop", "93.184.216.34:8080": "host-down"}


def test_a_lone_syn_proves_nothing(wire: Wire) -> None:
    wire.connection().segment(0.0, client=True, flags="S")
    quick(wire, 0.5)
    assert status(wire.findings(), "connect-timeout").status == "ruled_out"


def test_late_answers_that_nobody_waited_for_are_late(wire: Wire) -> None:
    """The capture ends before their handshakes do."""
    for n in range(3):
        connection = wire.connection(port=80 + n)
        first = connection.segment(n * 1.0, client=True, flags="S")
        for again in (1.0, 3.0, 7.0):
            wire.again(n * 1.0 + again, first)
        connection.segment(n * 1.0 + 7.1, client=False, flags="SA")
    findings = [f for f in wire.findings() if f.status == "found"]
    assert {f.rule for f in findings} == {"connect-timeout"}
    assert all("connecting took 7.1 s" in f.title for f in findings)


def test_a_scan_that_is_dropped_is_one_sentence(wire: Wire) -> None:
    for port in range(1, 101):
        silent(wire, port * 0.01, port=port)
    quick(wire, 0.0, port=443)
    found = only(wire.findings(), "connect-timeout")
    assert (found.severity, found.affected, found.total) == ("info", 100, 101)
    assert f"asked for 101 ports of {SERVER}, and was not answered at 100 of them" in found.title


def test_a_path_longer_than_the_timer_costs_nothing(wire: Wire) -> None:
    """Over 1.5 s the SYN is repeated while its answer is under way."""
    for n in range(5):
        connection = wire.connection(rtt=1.5)
        first = connection.segment(n * 20.0, client=True, flags="S")
        first[TCP].options = [*first[TCP].options, ("Timestamp", (100, 0))]
        wire.again(n * 20.0 + 1.0, first)
        copy = wire._seen[-1][1]
        copy[TCP].options = [*copy[TCP].options[:-1], ("Timestamp", (1100, 0))]
        answer = connection.segment(n * 20.0 + 1.5, client=False, flags="SA")
        answer[TCP].options = [*answer[TCP].options, ("Timestamp", (900, 100))]
        connection.segment(n * 20.0 + 1.50002, client=True)
    assert loud(wire.findings()) == []


def test_syns_lost_where_data_is_lost_are_the_paths(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for n in range(200):
        segment = connection.segment(at, client=True, flags="PA", payload=1448)
        if n % 10 == 0:
            at += 0.21
            wire.again(at, segment)
        connection.segment(at + 0.001, client=False)
        at += 0.002
    for n in range(30):
        quick(wire, 10.0 + n)
    for n in range(3):
        late(wire, 50.0 + 3 * n)
    findings = wire.findings()
    assert loud(findings) == [f.title for f in findings if f.rule == "packet-loss"]
    assert status(findings, "packet-loss").affected == 20 + 3


def pod(address: str, name: str, **values: object) -> NameEntry:
    return NameEntry(address=address, name=name, kind="pod", namespace="shop", **values)


PAYMENTS = pod(SERVER, "payments-6c4b2", workload="deploy/payments")
CHECKOUT = pod(CLIENT, "checkout-5d8f7", workload="deploy/checkout")
CAUSES = {
    "network-policy-drop": ([CHECKOUT, PAYMENTS], "kubectl get networkpolicies -n shop -o wide"),
    "stale-endpoint": (
        [CHECKOUT, pod(SERVER, "payments-x9k1p", end=LONG_AGO)],
        "kubectl describe pod -n shop payments-x9k1p",
    ),
    "hairpin": (
        [
            pod(CLIENT, "redis-0", workload="sts/redis"),
            NameEntry(address=SERVER, name="redis", kind="service", namespace="shop"),
        ],
        "kubectl get endpointslices -n shop -l kubernetes.io/service-name=redis",
    ),
    "host-down": (
        [CHECKOUT, NameEntry(address=SERVER, name="worker-3", kind="node")],
        f"kubectl get pods -A -o wide --field-selector status.podIP={SERVER}",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_names_tell_the_cause(wire: Wire, cause: str) -> None:
    entries, next_step = CAUSES[cause]
    for n in range(2):
        silent(wire, n * 0.3, port=6379)
    found = only(judged(wire.load(), names=Names(entries)), "connect-timeout")
    assert found.consistent_with[0] == cause
    assert found.next_step == next_step


def test_an_address_without_a_name_among_named_pods_is_stale(wire: Wire) -> None:
    silent(wire, 0.0, port=6379, server="198.18.0.77")
    found = only(judged(wire.load(), names=Names([CHECKOUT, PAYMENTS])), "connect-timeout")
    assert found.consistent_with[0] == "stale-endpoint"


def test_where_cilium_forbids_hubble_is_asked(wire: Wire) -> None:
    silent(wire, 0.0, port=6379)
    manifest = Manifest(name="crafted", point="crafted", dataplane={"cni": "Cilium"})
    cap = wire.load()
    found = only(judged(cap, names=Names([CHECKOUT, PAYMENTS]), manifests=(manifest,)), "connect-timeout")
    assert found.next_step == "hubble observe --verdict DROPPED --to-pod shop/payments-6c4b2"


@pytest.mark.parametrize(
    ("counter", "cause"),
    [("conntrack__insert_failed", "snat-port-race"), ("conntrack__drop", "conntrack-full")],
)
def test_the_hosts_conntrack_names_the_cause(wire: Wire, counter: str, cause: str) -> None:
    for n in range(4):
        late(wire, n * 2.0)
        quick(wire, n * 2.0)
    found = only(judged(wire.load(), manifests=evidence(**{counter: 4})), "connect-timeout")
    assert found.consistent_with[0] == cause
    assert found.next_step == "conntrack -S"


@pytest.mark.parametrize("old", [True, False], ids=["old ones live", "nothing lives"])
def test_where_only_new_connections_fail_their_table_is_full(wire: Wire, *, old: bool) -> None:
    kept = wire.connection(port=5432)
    kept.open(0.0)
    for port in (80, 443, 6379):
        quick(wire, 1.0, port=port)
        silent(wire, 10.0, port=port)
    if old:
        for n in range(10):
            kept.ask(9.0 + n, think=0.002)
    findings = [f for f in wire.findings() if f.rule == "connect-timeout"]
    assert len(findings) == 3
    assert {f.consistent_with[0] == "conntrack-full" for f in findings} == {old}


TUNNEL = IP(src="203.0.113.1", dst="203.0.113.2") / UDP(sport=5555, dport=4789) / VXLAN(vni=1)


def tunnelled(wire: Wire, at: float, *, port: int, flags: str = "S") -> None:
    """An unanswered SYN, or an answer, with a wrong checksum."""
    ends = ("10.244.1.5", "10.244.2.9") if flags == "S" else ("10.244.2.9", "10.244.1.5")
    ports = (port, 80) if flags == "S" else (80, port)
    wrong = TCP(sport=ports[0], dport=ports[1], chksum=0x1234, flags=flags, ack=int(flags == "SA"))
    wire.put(at, TUNNEL / Ether() / IP(src=ends[0], dst=ends[1]) / wrong)


def test_bad_checksums_in_a_tunnel_on_the_ladder(wire: Wire) -> None:
    for port in (41000, 41001):
        for at in (0.0, 1.0, 3.0):
            tunnelled(wire, at, port=port)
    found = status(wire.findings(), "connect-timeout")
    assert found.consistent_with[0] == "vxlan-checksum"
    assert "ethtool" in found.next_step


def test_bad_checksums_that_were_answered_too_are_the_network_cards(wire: Wire) -> None:
    for at in (0.0, 1.0, 3.0):
        tunnelled(wire, at, port=41000)
    tunnelled(wire, 0.5, port=41002)
    tunnelled(wire, 0.501, port=41002, flags="SA")
    found = status(wire.findings(), "connect-timeout")
    assert "vxlan-checksum" not in found.consistent_with


def ignored(wire: Wire, at: float, *, syn_ack_again: bool, **options: object) -> Connection:
    """The handshake is done for the client; its request is heard the fourth time only."""
    connection = wire.connection(**options)
    asked = connection.open(at)
    request = connection.segment(asked, client=True, flags="PA", payload=100)
    if syn_ack_again:
        answer = next(p for t, p in reversed(wire._seen) if "S" in p[TCP].flags and "A" in p[TCP].flags)
        wire.again(at + 1.0, answer)
    for later in (0.21, 0.63, 1.47):
        wire.again(asked + later, request)
    connection.segment(asked + 1.47 + connection.rtt, client=False)
    connection.say(asked + 1.48 + connection.rtt, client=False)
    return connection


def test_a_server_that_did_not_hear_the_handshakes_end(wire: Wire) -> None:
    for n in range(4):
        ignored(wire, n * 0.1, syn_ack_again=True)
    quick(wire, 5.0)
    findings = wire.findings()
    found = only(findings, "listen-queue-overflow")
    assert (found.affected, found.total, found.severity) == (4, 5, "critical")
    assert found.seconds_lost == pytest.approx(1.47 + 0.3, abs=0.02)
    assert found.consistent_with[0] == "slow-accept"
    assert status(findings, "packet-loss").status == "ruled_out"


def beside_the_server(wire: Wire, at: float) -> None:
    """A capture there: the SYN-ACK leaves at once, its ACK comes a round trip of 40 ms later."""
    connection = wire.connection(rtt=0.00001)
    connection.segment(at, client=True, flags="S")
    connection.segment(at + 0.00001, client=False, flags="SA")
    connection.segment(at + 0.04, client=True)
    request = connection.segment(at + 0.0401, client=True, flags="PA", payload=100)
    for later in (0.25, 0.67):
        wire.again(at + 0.0401 + later, request)
    connection.segment(at + 0.72, client=False)
    connection.say(at + 0.73, client=False)


def test_a_handshake_under_way_in_a_long_queue_is_no_overflow(wire: Wire) -> None:
    """Round trips of 2.4 s: the SYN-ACK comes again before the handshake's ACK can have arrived."""
    for n in range(4):
        connection = wire.connection(rtt=2.4)
        connection.segment(n * 0.1, client=True, flags="S")
        answer = connection.segment(n * 0.1 + 2.4, client=False, flags="SA")
        connection.segment(n * 0.1 + 2.41, client=True)
        asked = connection.segment(n * 0.1 + 2.42, client=True, flags="PA", payload=600)
        for again in (2.7, 4.1, 5.3):
            wire.again(n * 0.1 + again, answer)
        wire.again(n * 0.1 + 5.38, asked)
        connection.segment(n * 0.1 + 5.6, client=False)
        connection.say(n * 0.1 + 5.61, client=False, size=500)
    assert status(wire.findings(), "listen-queue-overflow").status == "ruled_out"


def test_beside_the_server_no_path_can_lose_a_request(wire: Wire) -> None:
    for n in range(3):
        beside_the_server(wire, n * 0.1)
    cap = wire.load()
    found = only(judged(cap), "listen-queue-overflow")
    proven = only(judged(cap, manifests=evidence(TcpExt__ListenOverflows=9)), "listen-queue-overflow")
    assert (found.affected, proven.affected) == (3, 3)
    assert "host-firewall" in found.consistent_with
    assert "host-firewall" not in proven.consistent_with
    assert "counted 9 listen queue overflows" in proven.title
    assert proven.confidence > found.confidence


def test_beside_the_client_a_request_repeated_is_loss(wire: Wire) -> None:
    for n in range(5):
        ignored(wire, n * 2.0, syn_ack_again=False, rtt=0.02)
    findings = wire.findings()
    assert status(findings, "listen-queue-overflow").status == "ruled_out"
    assert only(findings, "packet-loss").affected == 15


def test_a_deferred_accept_is_no_overflow(wire: Wire) -> None:
    """TCP_DEFER_ACCEPT: the kernel waits for data before it takes the handshake for done."""
    for n in range(5):
        connection = wire.connection()
        connection.segment(n * 5.0, client=True, flags="S")
        answer = connection.segment(n * 5.0 + 0.001, client=False, flags="SA")
        connection.segment(n * 5.0 + 0.00102, client=True)
        wire.again(n * 5.0 + 1.0, answer)
        connection.segment(n * 5.0 + 1.00002, client=True)
        connection.close(connection.ask(n * 5.0 + 1.5, think=0.002))
    findings = wire.findings()
    assert status(findings, "listen-queue-overflow").status == "ruled_out"
    assert loud(findings) == []


def test_overflows_that_no_client_shows_are_not_ruled_out(wire: Wire) -> None:
    quick(wire, 0.0)
    answer = status(
        judged(wire.load(), manifests=evidence(TcpExt__ListenOverflows=2)), "listen-queue-overflow"
    )
    assert answer.status == "not_judged"
    assert "2 listen queue overflows" in answer.reason


def test_a_connection_for_each_request(wire: Wire) -> None:
    at = 0.0
    for _ in range(25):
        at = quick(wire, at + 0.002, rtt=0.04)
    found = only(wire.findings(), "connection-churn")
    assert (found.affected, found.total, found.severity) == (25, 25, "warning")
    assert found.seconds_lost == pytest.approx(25 * 0.04, rel=0.01)
    assert found.consistent_with[0] == "no-keep-alive"
    assert "49% of their time" in found.title  # 40 of 82 ms: connect, ask, think 2 ms


@pytest.mark.parametrize(("rtt", "gap"), [(0.0001, 0.002), (0.04, 10.0)], ids=["near", "rarely"])
def test_churn_that_costs_nothing_is_no_alarm(wire: Wire, rtt: float, gap: float) -> None:
    at = 0.0
    for _ in range(25):
        at = quick(wire, at + gap, rtt=rtt)
    assert only(wire.findings(), "connection-churn").severity == "info"


def test_connections_that_are_kept_are_no_churn(wire: Wire) -> None:
    for n in range(25):
        connection = wire.connection(rtt=0.04)
        at = connection.open(n * 1.0)
        for _ in range(3):
            at = connection.ask(at, think=0.002)
        connection.close(at)
    assert status(wire.findings(), "connection-churn").status == "ruled_out"
