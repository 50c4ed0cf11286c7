"""What looks like a fault and is none: nothing of severity warning or above may be raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Resolver, Wire

    from k8scap.model import Finding

LOUD = ("warning", "critical")


def loud(findings: list[Finding]) -> list[str]:
    return [f"{f.rule}: {f.title}" for f in findings if f.status == "found" and f.severity in LOUD]


def quick(wire: Wire, *, start: float = 0.0, exchanges: int = 20, port: int = 8080) -> None:
    """A connection whose requests are answered at once."""
    connection = wire.connection(port=port)
    at = connection.open(start)
    for _ in range(exchanges):
        at = connection.ask(at + 0.01, think=0.002)
    connection.close(at + 0.1)


def test_probes_that_connect_and_close(wire: Wire) -> None:
    for n in range(30):
        probe = wire.connection()
        probe.close(probe.open(n * 1.0))
    assert loud(wire.findings()) == []


def test_probes_that_connect_and_reset(wire: Wire) -> None:
    for n in range(30):
        probe = wire.connection()
        probe.reset(probe.open(n * 1.0) + 0.001)
    assert loud(wire.findings()) == []


@pytest.mark.parametrize("by_client", [True, False])
def test_a_reset_instead_of_a_close(wire: Wire, *, by_client: bool) -> None:
    for n in range(20):
        connection = wire.connection()
        answered = connection.ask(connection.open(n * 0.5), think=0.002)
        connection.reset(answered + 0.01, client=by_client)
    assert loud(wire.findings()) == []


def test_a_long_poll_beside_quick_requests(wire: Wire) -> None:
    for n in range(5):
        quick(wire, start=n * 2.0)
    poller, at = wire.connection(), 0.1
    at = poller.open(at)
    for wait in (12.3, 27.9, 4.1, 20.2):
        at = poller.ask(at, think=wait)
    assert loud(wire.findings()) == []


def test_long_polls_that_end_with_their_timer(wire: Wire) -> None:
    for n in range(3):
        poller = wire.connection()
        at = poller.open(n * 0.7)
        for _ in range(4):
            at = poller.ask(at, think=30.0 + n * 0.01)
    assert loud(wire.findings()) == []


def test_a_few_slow_requests_among_many(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for n in range(60):
        at = connection.ask(at + 0.01, think=0.9 if n % 20 == 0 else 0.003)
    findings = wire.findings()
    assert loud(findings) == []
    assert [f.severity for f in findings if f.status == "found" and f.rule == "slow-server"] == ["info"]


def test_an_idle_connection_kept_alive(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.ask(connection.open(0.0), think=0.002)
    for n in range(1, 9):
        probe = connection.segment(at + n * 15, client=True)
        probe["TCP"].seq -= 1
        connection.segment(at + n * 15 + connection.rtt, client=False)
    assert loud(wire.findings()) == []


def test_requests_that_the_client_gave_up(wire: Wire) -> None:
    quick(wire)
    for n in range(10):
        connection = wire.connection()
        asked = connection.say(connection.open(n * 2.5), client=True)
        connection.reset(asked + 0.3 + 0.15 * n)
    assert loud(wire.findings()) == []


def test_uploads_that_half_close(wire: Wire) -> None:
    for n in range(5):
        connection = wire.connection()
        at = connection.say(connection.open(n * 1.0), client=True, size=30 * 1448)
        connection.segment(at, client=True, flags="FA")
        connection.segment(at + connection.rtt, client=False)
        at = connection.say(at + connection.rtt + 0.02, client=False, size=80)
        connection.segment(at, client=False, flags="FA")
        connection.segment(at + 2e-5, client=True)
    assert loud(wire.findings()) == []


def test_a_server_that_pushes(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.ask(connection.open(0.0), think=0.002)
    for wait in (1.5, 3.25, 0.8, 6.1, 2.2, 9.7, 1.1):
        at = connection.say(at + wait, client=False, size=300)
    assert loud(wire.findings()) == []


def test_pings_on_an_idle_stream(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for n in range(12):
        connection.ask(at + 10.0 * n, think=0.0005, request=17, answer=17)
    assert loud(wire.findings()) == []


def test_pings_by_the_server(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.ask(connection.open(0.0), think=0.002)
    for n in range(1, 9):
        pinged = connection.say(at + 30.0 * n, client=False, size=17)
        connection.say(pinged + 0.0002, client=True, size=17)
    assert loud(wire.findings()) == []


def test_logs_that_nobody_answers(wire: Wire) -> None:
    for n in range(4):
        connection = wire.connection(port=5044)
        at = connection.open(n * 0.1)
        for _ in range(10):
            at = connection.say(at + 2.0, client=True, size=900)
    assert loud(wire.findings()) == []


def test_names_that_do_not_exist(wire: Wire, resolver: Resolver) -> None:
    for n in range(20):
        for suffix in ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local"):
            resolver.ask(n * 0.5, f"api.example.com.{suffix}", rcode=3, port=30000 + n)
        resolver.ask(n * 0.5 + 0.01, "api.example.com", port=30000 + n)
    findings = wire.findings()
    assert loud(findings) == []
    assert [f.status for f in findings if f.rule == "dns-timeout"] == ["ruled_out"]


def test_one_lookup_again_among_many(wire: Wire, resolver: Resolver) -> None:
    for n in range(200):
        resolver.ask(n * 0.1, f"host-{n}.example.com", port=30000 + n)
    resolver.ask(3.0, "lost.example.com", port=31000, answer_after=None)
    resolver.ask(8.0, "lost.example.com", port=31000)
    assert loud(wire.findings()) == []


def test_a_lookup_asked_as_the_capture_ends(wire: Wire, resolver: Resolver) -> None:
    for n in range(5):
        resolver.ask(n * 1.0, f"host-{n}.example.com", port=30000 + n)
    resolver.ask(4.5, "last.example.com", port=31000, answer_after=None)
    findings = wire.findings()
    assert [f.status for f in findings if f.rule == "dns-timeout"] == ["ruled_out"]


def test_an_answer_to_a_socket_that_is_closed(wire: Wire, resolver: Resolver) -> None:
    from scapy.layers.inet import ICMP, IP

    for n in range(5):
        resolver.ask(n * 1.0, f"host-{n}.example.com", port=30000 + n)
        error = IP(src=resolver.client, dst=resolver.resolver) / ICMP(type=3, code=3)
        wire.put(n * 1.0 + 0.003, error / IP(src=resolver.resolver, dst=resolver.client))
    assert loud(wire.findings()) == []


def test_one_retransmission_among_a_thousand(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for _ in range(20):
        at = connection.say(at + 0.001, client=True, size=50 * 1448)
    wire.again(at + 0.21, connection.segment(at, client=True, flags="PA", payload=1448))
    connection.segment(at + 0.212, client=False)
    findings = wire.findings()
    assert loud(findings) == []
    found = [f for f in findings if f.status == "found" and f.rule == "packet-loss"]
    assert [(f.severity, f.affected) for f in found] == [("info", 1)]


def test_packets_that_were_captured_twice(wire: Wire) -> None:
    for n in range(4):
        quick(wire, start=n * 0.3)
    wire.twice(2e-6)
    findings = wire.findings()
    assert [f.title for f in findings if f.status == "found"] == []


def test_localhost_is_two_addresses(wire: Wire) -> None:
    for n in range(6):
        wire.connection(client="2001:db8::2", server="2001:db8::3").refuse(n * 1.0)
        connection = wire.connection()
        connection.close(connection.ask(connection.open(n * 1.0 + 0.05), think=0.002))
    assert loud(wire.findings()) == []


def test_a_window_that_closes_when_nothing_waits(wire: Wire) -> None:
    for n in range(5):
        connection = wire.connection()
        at = connection.ask(connection.open(n * 1.0), think=0.002)
        connection.segment(at, client=True, window=0)
        connection.segment(at + 0.6, client=True)
        connection.close(at + 1.2)
    assert loud(wire.findings()) == []


def test_a_quick_server_far_away(wire: Wire) -> None:
    for n in range(4):
        connection = wire.connection(rtt=0.280)
        at = connection.open(n * 1.0)
        for _ in range(6):
            at = connection.ask(at + 0.01, think=0.004)
    assert loud(wire.findings()) == []
