"""What looks like a fault and is none: nothing of severity warning or above may be raised.

All of it is in one capture, each look-alike between a client and a server of its own, so that the rules
also have to keep apart what happens at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import Resolver, Wire
from scapy.layers.inet import ICMP, IP

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8scap.model import Finding

    Innocent = Callable[[Wire, str, str], None]

LOUD = ("warning", "critical")
INNOCENT: dict[str, Innocent] = {}


def innocent(traffic: Innocent) -> Innocent:
    INNOCENT[traffic.__name__.replace("_", " ")] = traffic
    return traffic


def server_of(look_alike: str) -> str:
    return f"198.18.2.{1 + list(INNOCENT).index(look_alike)}"


def loud(findings: list[Finding]) -> list[str]:
    return [f"{f.rule}: {f.title}" for f in findings if f.status == "found" and f.severity in LOUD]


def quick(wire: Wire, client: str, server: str, *, start: float = 0.0) -> None:
    """A connection whose requests are answered at once."""
    connection = wire.connection(client=client, server=server)
    at = connection.open(start)
    for _ in range(20):
        at = connection.ask(at + 0.01, think=0.002)
    connection.close(at + 0.1)


@innocent
def probes_that_connect_and_close(wire: Wire, client: str, server: str) -> None:
    for n in range(30):
        probe = wire.connection(client=client, server=server)
        probe.close(probe.open(n * 1.0))


@innocent
def probes_that_connect_and_reset(wire: Wire, client: str, server: str) -> None:
    for n in range(30):
        probe = wire.connection(client=client, server=server)
        probe.reset(probe.open(n * 1.0) + 0.001)


@innocent
def resets_instead_of_closes(wire: Wire, client: str, server: str) -> None:
    for n in range(20):
        connection = wire.connection(client=client, server=server)
        answered = connection.ask(connection.open(n * 0.5), think=0.002)
        connection.reset(answered + 0.01, client=n % 2 == 0)


@innocent
def a_long_poll_beside_quick_requests(wire: Wire, client: str, server: str) -> None:
    for n in range(5):
        quick(wire, client, server, start=n * 2.0)
    poller = wire.connection(client=client, server=server)
    at = poller.open(0.1)
    for wait in (12.3, 27.9, 4.1, 20.2):
        at = poller.ask(at, think=wait)


@innocent
def long_polls_that_end_with_their_timer(wire: Wire, client: str, server: str) -> None:
    for n in range(3):
        poller = wire.connection(client=client, server=server)
        at = poller.open(n * 0.7)
        for _ in range(4):
            at = poller.ask(at, think=30.0 + n * 0.01)


@innocent
def a_few_slow_requests_among_many(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.open(0.0)
    for n in range(60):
        at = connection.ask(at + 0.01, think=0.9 if n % 20 == 0 else 0.003)


@innocent
def an_idle_connection_kept_alive(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.ask(connection.open(0.0), think=0.002)
    for n in range(1, 9):
        probe = connection.segment(at + n * 15, client=True)
        probe["TCP"].seq -= 1
        connection.segment(at + n * 15 + connection.rtt, client=False)


@innocent
def requests_that_the_client_gave_up(wire: Wire, client: str, server: str) -> None:
    quick(wire, client, server)
    for n in range(10):
        connection = wire.connection(client=client, server=server)
        asked = connection.say(connection.open(n * 2.5), client=True)
        connection.reset(asked + 0.3 + 0.15 * n)


@innocent
def uploads_that_half_close(wire: Wire, client: str, server: str) -> None:
    for n in range(5):
        connection = wire.connection(client=client, server=server)
        at = connection.say(connection.open(n * 1.0), client=True, size=30 * 1448)
        connection.segment(at, client=True, flags="FA")
        connection.segment(at + connection.rtt, client=False)
        at = connection.say(at + connection.rtt + 0.02, client=False, size=80)
        connection.segment(at, client=False, flags="FA")
        connection.segment(at + 2e-5, client=True)


@innocent
def a_server_that_pushes(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.ask(connection.open(0.0), think=0.002)
    for wait in (1.5, 3.25, 0.8, 6.1, 2.2, 9.7, 1.1):
        at = connection.say(at + wait, client=False, size=300)


@innocent
def pings_on_an_idle_stream(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.open(0.0)
    for n in range(12):
        connection.ask(at + 10.0 * n, think=0.0005, request=17, answer=17)


@innocent
def pings_by_the_server(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.ask(connection.open(0.0), think=0.002)
    for n in range(1, 9):
        pinged = connection.say(at + 30.0 * n, client=False, size=17)
        connection.say(pinged + 0.0002, client=True, size=17)


@innocent
def pushes_that_the_client_acknowledges(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.ask(connection.open(0.0), think=0.002)
    for wait in (3.1, 14.2, 1.7, 8.8, 22.0, 5.3, 11.9):
        pushed = connection.say(at + wait, client=False, size=700)
        at = connection.say(pushed + 0.0003, client=True, size=12)


@innocent
def both_sides_closing_at_once(wire: Wire, client: str, server: str) -> None:
    for n in range(10):
        connection = wire.connection(client=client, server=server)
        at = connection.ask(connection.open(n * 0.5), think=0.002)
        fin = connection.segment(at, client=True, flags="FA")
        connection.segment(at + 0.0001, client=False, flags="FA")
        wire.again(at + 0.0004, fin)
        connection.segment(at + 0.0011, client=False)


@innocent
def logs_that_nobody_answers(wire: Wire, client: str, server: str) -> None:
    for n in range(4):
        connection = wire.connection(client=client, server=server, port=5044)
        at = connection.open(n * 0.1)
        for _ in range(10):
            at = connection.say(at + 2.0, client=True, size=900)


@innocent
def names_that_do_not_exist(wire: Wire, client: str, server: str) -> None:
    resolver = Resolver(wire, client=client, resolver=server)
    for n in range(20):
        for suffix in ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local"):
            resolver.ask(n * 0.5, f"api.example.com.{suffix}", rcode=3, port=30000 + n)
        resolver.ask(n * 0.5 + 0.01, "api.example.com", port=30000 + n)


@innocent
def one_lookup_again_among_many(wire: Wire, client: str, server: str) -> None:
    resolver = Resolver(wire, client=client, resolver=server)
    for n in range(200):
        resolver.ask(n * 0.1, f"host-{n}.example.com", port=30000 + n)
    resolver.ask(3.0, "lost.example.com", port=31000, answer_after=None)
    resolver.ask(8.0, "lost.example.com", port=31000)


@innocent
def answers_to_a_socket_that_is_closed(wire: Wire, client: str, server: str) -> None:
    resolver = Resolver(wire, client=client, resolver=server)
    for n in range(5):
        resolver.ask(n * 1.0, f"host-{n}.example.com", port=30000 + n)
        error = IP(src=client, dst=server) / ICMP(type=3, code=3)
        wire.put(n * 1.0 + 0.003, error / IP(src=server, dst=client))


@innocent
def one_retransmission_among_a_thousand(wire: Wire, client: str, server: str) -> None:
    connection = wire.connection(client=client, server=server)
    at = connection.open(0.0)
    for _ in range(20):
        at = connection.say(at + 0.001, client=True, size=50 * 1448)
    wire.again(at + 0.21, connection.segment(at, client=True, flags="PA", payload=1448))
    connection.segment(at + 0.212, client=False)


@innocent
def localhost_that_is_two_addresses(wire: Wire, client: str, server: str) -> None:
    for n in range(6):
        wire.connection(client="2001:db8::2", server="2001:db8::3", port=8000).refuse(n * 1.0)
        connection = wire.connection(client=client, server=server, port=8000)
        connection.close(connection.ask(connection.open(n * 1.0 + 0.05), think=0.002))


@innocent
def windows_that_close_when_nothing_waits(wire: Wire, client: str, server: str) -> None:
    for n in range(5):
        connection = wire.connection(client=client, server=server)
        at = connection.ask(connection.open(n * 1.0), think=0.002)
        connection.segment(at, client=True, window=0)
        connection.segment(at + 0.6, client=True)
        connection.close(at + 1.2)


@innocent
def a_quick_server_far_away(wire: Wire, client: str, server: str) -> None:
    for n in range(4):
        connection = wire.connection(client=client, server=server, rtt=0.280)
        at = connection.open(n * 1.0)
        for _ in range(6):
            at = connection.ask(at + 0.01, think=0.004)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    wire = Wire(tmp_path_factory.mktemp("innocent"))
    for n, traffic in enumerate(INNOCENT.values(), start=1):
        traffic(wire, f"198.18.1.{n}", f"198.18.2.{n}")
    return wire.findings()


@pytest.mark.parametrize("look_alike", INNOCENT)
def test_a_look_alike_raises_nothing(findings: list[Finding], look_alike: str) -> None:
    server = server_of(look_alike)
    mine = [f for f in findings if server in (f.destination.split(":")[0], f.source.split(":")[0])]
    assert loud(mine) == []


def test_all_look_alikes_together_raise_nothing(findings: list[Finding]) -> None:
    assert loud(findings) == []


def test_a_tail_of_slow_requests_is_told_without_alarm(findings: list[Finding]) -> None:
    server = server_of("a few slow requests among many")
    told = [f for f in findings if f.rule == "slow-server" and f.destination == f"{server}:8080"]
    assert [(f.severity, f.affected, f.total) for f in told] == [("info", 3, 60)]


def test_a_single_retransmission_is_told_without_alarm(findings: list[Finding]) -> None:
    told = [f for f in findings if f.rule == "packet-loss" and f.status == "found"]
    server = server_of("one retransmission among a thousand")
    assert [(f.severity, f.affected, f.destination) for f in told] == [("info", 1, f"{server}:8080")]


def test_a_lookup_asked_as_the_capture_ends(wire: Wire, resolver: Resolver) -> None:
    for n in range(5):
        resolver.ask(n * 1.0, f"host-{n}.example.com", port=30000 + n)
    resolver.ask(4.5, "last.example.com", port=31000, answer_after=None)
    assert [f.status for f in wire.findings() if f.rule == "dns-timeout"] == ["ruled_out"]


def test_packets_that_were_captured_twice(wire: Wire) -> None:
    for n in range(4):
        quick(wire, "198.18.0.2", "198.18.0.3", start=n * 0.3)
    wire.twice(2e-6)
    assert {f.rule for f in wire.findings() if f.status == "found"} == {"duplicate-capture"}
