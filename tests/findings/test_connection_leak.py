"""Connections that pile up at a client that lost them; and pools, sessions and keep-alives, which do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER
from scapy.packet import Raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Connection, Wire

    from k8scap.model import Finding


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def judged(findings: list[Finding]) -> Finding:
    return next(f for f in findings if f.rule == "connection-leak")


def used_once(wire: Wire, at: float, **options: object) -> tuple[Connection, float]:
    connection = wire.connection(port=5432, **options)
    return connection, connection.ask(connection.open(at), think=0.002)


def quick(wire: Wire, count: int = 10) -> None:
    """Connections to another server that are closed as they should be."""
    for n in range(count):
        connection = wire.connection(port=9999)
        connection.close(connection.ask(connection.open(n * 2.0), think=0.002))


def test_connections_that_are_opened_and_lost(wire: Wire) -> None:
    quick(wire)
    for n in range(30):
        connection, at = used_once(wire, n * 0.5)
        if n % 10 == 4:
            connection.close(at + 0.01)
    findings = wire.findings()
    assert [f.rule for f in findings if f.status == "found"] == ["connection-leak"]
    found = judged(findings)
    assert (found.affected, found.total, found.severity) == (24, 30, "warning")  # 3 closed, 3 too young
    assert "30 connections" in found.title
    assert "opened in 14.5 s, and 3 closed" in found.title
    assert found.consistent_with[0] == "unclosed-connections"
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:5432")
    assert found.frame_count == 24
    assert found.next_step == f"ss -tnpo dst {SERVER} dport = :5432"


def test_what_the_server_closed_and_its_client_did_not(wire: Wire) -> None:
    for n in range(30):
        connection, at = used_once(wire, n * 0.5, rtt=0.04)
        connection.segment(at + 0.1, client=False, flags="FA")
        connection.segment(at + 0.1 + 2e-5, client=True)
    findings = wire.findings()
    assert [f.rule for f in findings if f.status == "found"] == ["connection-leak"]
    assert judged(findings).consistent_with[0] == "close-wait"
    assert "the server has closed 27 of them" in judged(findings).title


def a_pool_that_is_used_in_turn(wire: Wire) -> None:
    pool = [used_once(wire, n * 0.5)[0] for n in range(30)]
    for turn in range(3):
        for n, connection in enumerate(pool):
            connection.ask(n * 0.5 + 0.25 + 5.0 * (turn + 1), think=0.002)


def a_pool_that_grows_while_all_of_it_is_busy(wire: Wire) -> None:
    for n in range(30):
        connection = wire.connection(port=5432)
        at = connection.open(n * 0.5)
        connection.ask(at, think=0.002)
        for again in range(int(20 - n * 0.5)):
            connection.ask(at + 0.3 + again, think=0.003)


def a_pool_that_fills_by_and_by_and_then_is_full(wire: Wire) -> None:
    for n in range(30):
        used_once(wire, n * 0.2)
    connection, at = used_once(wire, 6.0)
    for _ in range(60):
        at = connection.ask(at + 0.5, think=0.002)


def clients_that_come_and_go_behind_one_address(wire: Wire) -> None:
    for n in range(30):
        used_once(wire, n * 0.5)
        earlier = wire.connection(port=5432)  # it was opened before the capture, and its time is up
        earlier.close(earlier.ask(n * 0.5 + 0.1, think=0.002) + 0.1)


def connections_that_were_open_before(wire: Wire) -> None:
    quick(wire)
    for n in range(40):
        connection = wire.connection(port=5432)
        connection.ask(n * 0.5, think=0.002)


def web_sockets(wire: Wire) -> None:
    for n in range(30):
        connection = wire.connection(port=8080)
        at = connection.open(n * 0.5)
        asked = b"GET /live HTTP/1.1\r\nHost: shop.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        told = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        for data, client in ((asked, True), (told, False)):
            connection.segment(at, client=client, flags="PA", payload=len(data))[Raw].load = data
            at += 0.002
        connection.segment(at, client=True)


@pytest.mark.parametrize(
    "innocent",
    [
        a_pool_that_is_used_in_turn,
        a_pool_that_grows_while_all_of_it_is_busy,
        clients_that_come_and_go_behind_one_address,
        connections_that_were_open_before,
        web_sockets,
    ],
)
def test_what_only_looks_like_a_leak(wire: Wire, innocent: Callable[[Wire], None]) -> None:
    innocent(wire)
    findings = wire.findings()
    assert judged(findings).status == "ruled_out"
    assert loud(findings) == []


def test_a_pool_that_has_filled_is_not_judged(wire: Wire) -> None:
    a_pool_that_fills_by_and_by_and_then_is_full(wire)
    findings = wire.findings()
    assert judged(findings).status == "not_judged"
    assert "a longer capture tells" in judged(findings).reason
    assert loud(findings) == []


def test_a_short_capture_is_not_judged(wire: Wire) -> None:
    for n in range(40):
        used_once(wire, n * 0.1)
    findings = wire.findings()
    assert judged(findings).status == "not_judged"
    assert loud(findings) == []


def test_connections_that_still_wait_for_their_answer_are_not_left(wire: Wire) -> None:
    for n in range(30):
        connection = wire.connection(port=5432)
        connection.say(connection.open(n * 0.5), client=True)
    assert judged(wire.findings()).status == "ruled_out"
