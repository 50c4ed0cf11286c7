"""One endpoint that is slow beside quick ones: said by its name, and never of what only looks like it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER, Connection
from scapy.packet import Raw

from k8scap.findings.endpoint_waits import endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import Wire

    from k8scap.model import Finding

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD, DATA, SETTINGS = 1, 0, 4
END_HEADERS, END_STREAM = 0x4, 0x1


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def told(findings: list[Finding], rule: str) -> list[Finding]:
    return [f for f in findings if f.rule == rule and f.status == "found"]


def status(findings: list[Finding], rule: str) -> str:
    return next(f.status for f in findings if f.rule == rule)


def say(connection: Connection, at: float, data: bytes, *, client: bool) -> None:
    connection.segment(at, client=client, flags="PA", payload=len(data))[Raw].load = data


def exchange(connection: Connection, at: float, asked: bytes, answer: bytes, think: float) -> float:
    """A request, acknowledged, and its answer after `think` seconds; when that was through."""
    say(connection, at, asked, client=True)
    connection.segment(at + connection.rtt, client=False)
    done = at + connection.rtt + think
    say(connection, done, answer, client=False)
    connection.segment(done + 2e-5, client=True)
    return done + 3e-5


def get(connection: Connection, at: float, path: str, think: float) -> float:
    return exchange(connection, at, f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode(), ANSWER, think)


def web(wire: Wire, thinks: Iterable[tuple[str, float]], *, start: float = 0.0, gap: float = 0.02) -> float:
    """One connection's requests, one after the other."""
    connection = wire.connection()
    at = connection.open(start)
    for path, think in thinks:
        at = get(connection, at + gap, path, think)
    return connection.close(at + 0.05)


def test_a_path_that_is_slow_beside_quick_ones(wire: Wire) -> None:
    slow = (0.31, 0.44, 0.52, 0.38)
    asked = [(f"/orders/{n}", 0.004) for n in range(20)]
    for place, think in enumerate(slow):
        asked.insert(4 * place, (f"/search/{place}?q=secret", think))
    web(wire, asked)
    findings = wire.findings()
    assert [f.rule for f in findings if f.status == "found"] == ["slow-endpoint"]
    (found,) = told(findings, "slow-endpoint")
    assert (found.affected, found.total, found.severity) == (4, 4, "warning")
    assert found.seconds_lost == pytest.approx(sum(slow) + 4 * 0.001, abs=0.002)
    assert "4 of 4 requests for GET /search/{…} waiting: median 410 ms" in found.title
    assert "20 requests for 1 other endpoint waited 4.0 ms" in found.title
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:8080")
    assert shlex.split(found.next_step)[-1] == f"http://{SERVER}:8080/search/0"
    assert "secret" not in found.title + found.next_step


def test_waits_of_a_second_between_others_on_one_connection_are_no_poll(wire: Wire) -> None:
    web(wire, [("/report", 2.5), ("/orders/1", 0.004), ("/orders/2", 0.004)] * 4)
    assert loud(wire.findings()) == ["slow-endpoint"]


def test_where_all_paths_are_slow_it_is_the_server(wire: Wire) -> None:
    web(wire, [("/search/1", 0.4), ("/orders/1", 0.3), ("/items/1", 0.35), ("/healthz", 0.001)] * 4)
    assert loud(wire.findings()) == ["slow-server"]


def test_where_one_path_is_slow_and_so_is_the_server_now_and_then(wire: Wire) -> None:
    web(wire, [("/search/1", 0.4)] * 4 + [(f"/orders/{n}", 0.002 if n % 4 else 0.3) for n in range(12)])
    assert loud(wire.findings()) == ["slow-server"]


def test_a_slow_path_of_which_some_request_always_waits(wire: Wire) -> None:
    for n in range(6):
        asked = [("/search/1", 0.4), *[(f"/orders/{m}", 0.004) for m in range(3)]] * 3
        web(wire, asked, start=n * 0.15, gap=0.002)
    findings = wire.findings()
    assert loud(findings) == ["slow-endpoint"]
    assert [(f.affected, f.total) for f in told(findings, "slow-endpoint")] == [(18, 18)]


def test_one_pause_of_the_server_is_no_slow_path(wire: Wire) -> None:
    web(wire, [(f"/orders/{n}", 0.004) for n in range(40)])
    for n in range(5):
        web(wire, [("/search/1", 0.9 - n * 0.05)], start=1.0 + n * 0.05)
    findings = wire.findings()
    assert status(findings, "slow-endpoint") == "ruled_out"
    assert loud(findings) == []


def test_a_tail_over_all_paths_is_no_slow_path(wire: Wire) -> None:
    paths = [f"/{word}/{n}" for n in range(20) for word in ("search", "orders", "items", "users")]
    web(wire, [(path, 0.4 if n % 13 == 0 else 0.004) for n, path in enumerate(paths)])
    findings = wire.findings()
    assert status(findings, "slow-endpoint") == "ruled_out"
    assert loud(findings) == []


def test_long_polls_that_end_with_news_are_no_slow_path(wire: Wire) -> None:
    for n in range(4):
        web(wire, [(f"/orders/{m}", 0.004) for m in range(10)], start=n * 3.0)
    web(wire, [("/events", think) for think in (1.3, 4.9, 2.2, 1.7, 3.1)], gap=0.002)
    for n, think in enumerate((2.4, 1.2, 2.9, 3.3)):  # a connection for each
        web(wire, [("/news", think)], start=sum((2.4, 1.2, 2.9, 3.3)[:n]) + n * 0.06)
    findings = wire.findings()
    assert status(findings, "slow-endpoint") == "ruled_out"
    assert loud(findings) == []


def test_what_is_seldom_asked_for_is_told_without_alarm(wire: Wire) -> None:
    paths = [(f"/orders/{n}", 0.02) for n in range(400)]
    for place in (50, 150, 250):
        paths.insert(place, ("/admin/export", 0.15))
    web(wire, paths, gap=0.001)
    findings = wire.findings()
    assert [(f.rule, f.severity) for f in findings if f.status == "found"] == [("slow-endpoint", "info")]


def resp(*words: str) -> bytes:
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words)


def test_a_slow_redis_command_is_named_and_a_blocking_one_is_not(wire: Wire) -> None:
    connection = wire.connection(port=6379)
    at = connection.open(0.0)
    for n in range(12):
        at = exchange(connection, at + 0.01, resp("GET", f"user:{n}:name"), b"$2\r\nok\r\n", 0.001)
        at = exchange(connection, at + 0.01, resp("HGETALL", "cart"), b"$2\r\nok\r\n", 0.2 if n % 2 else 0.15)
    worker = wire.connection(port=6379)
    at = worker.open(0.0)
    for wait in (0.4, 0.7, 0.2, 0.5):
        at = exchange(worker, at + 0.3, resp("BLPOP", "jobs", "5"), b"*2\r\n$4\r\njobs\r\n$1\r\nx\r\n", wait)
    findings = wire.findings()
    (found,) = told(findings, "slow-endpoint")
    assert "12 of 12 requests for HGETALL cart waiting" in found.title
    assert found.consistent_with[0] == "slow-command"


def frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call(connection: Connection, at: float, path: bytes, stream: int, *, sending: int, think: float) -> float:
    """A call of gRPC whose message goes out in `sending` pieces, 0.1 s apart, answered after `think`."""
    head = b"\x83\x86" + literal(b":path", path) + literal(b"content-type", b"application/grpc")
    say(connection, at, frame(HEAD, head, flags=END_HEADERS, stream=stream), client=True)
    for n in range(sending):
        flags = END_STREAM if n == sending - 1 else 0
        at += 0.1 if n else 0.00001
        piece = frame(DATA, b"\0\0\0\0\x64" + b"m" * 100, flags=flags, stream=stream)
        say(connection, at, piece, client=True)
        connection.segment(at + connection.rtt, client=False)
    at += connection.rtt + think
    answer = frame(HEAD, b"\x88" + literal(b"content-type", b"application/grpc"), flags=4, stream=stream)
    answer += frame(DATA, b"\0\0\0\0\x02ok", stream=stream)
    answer += frame(HEAD, literal(b"grpc-status", b"0"), flags=END_HEADERS | END_STREAM, stream=stream)
    say(connection, at, answer, client=False)
    connection.segment(at + 2e-5, client=True)
    return at + 3e-5


@pytest.mark.parametrize(("sending", "think"), [(1, 0.3), (4, 0.003)], ids=["slow", "streaming"])
def test_calls_of_grpc_are_timed_from_the_last_of_their_message(
    wire: Wire, sending: int, think: float
) -> None:
    connection = wire.connection(port=50051)
    at = connection.open(0.0)
    say(connection, at, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, b""), client=True)
    say(connection, at + 0.001, frame(SETTINGS, b""), client=False)
    at += 0.01
    for n in range(10):
        at = call(connection, at + 0.02, b"/shop.Stock/Reserve", 4 * n + 1, sending=1, think=0.002)
        if n % 2:
            at = call(connection, at + 0.02, b"/shop.Stock/Upload", 4 * n + 3, sending=sending, think=think)
    findings = wire.findings()
    assert status(findings, "slow-endpoint") == ("found" if sending == 1 else "ruled_out")
    found = [(f.affected, f.total) for f in told(findings, "slow-endpoint")]
    assert found == ([(5, 5)] if sending == 1 else [])


@pytest.mark.parametrize(
    ("protocol", "method", "target", "expected"),
    [
        ("HTTP/1", "GET", "/orders/17?…", "GET /orders/{…}"),
        ("gRPC", "POST", "/shop.Stock/Reserve", "POST /shop.Stock/Reserve"),
        (
            "PostgreSQL",
            "SELECT",
            "SELECT name FROM users WHERE id = ?",
            "SELECT name FROM users WHERE id = ?",
        ),
        ("MySQL", "handshake", "", "handshake"),
        ("Redis", "GET", "user:42:cart", "GET user:{…}:cart"),
        ("Redis", "LRANGE", "queue2 ?", "LRANGE queue2 ?"),
        ("MongoDB", "find", "shop.orders", "find shop.orders"),
    ],
)
def test_requests_of_one_kind_are_one_endpoint(
    protocol: str, method: str, target: str, expected: str
) -> None:
    assert endpoint(protocol, method, target) == expected
