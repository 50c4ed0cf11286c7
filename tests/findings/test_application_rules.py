"""TLS and HTTP on hand-made wires: OpenSSL's own flights and plain HTTP, at times that are known."""

from __future__ import annotations

import shlex
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER, Connection
from scapy.packet import Raw

import k8scap
from k8scap.findings.http_errors import pattern

if TYPE_CHECKING:
    from conftest import Wire

    from k8scap.model import Finding

CERTIFICATES = Path(k8scap.__file__).parent / "lab" / "certificates"
ENCRYPTED_ALERT = b"\x17\x03\x03\x00\x13" + b"\xa5" * 19  # TLS 1.3: header; alert, type and tag in secret
V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
Flights = list[tuple[bool, bytes]]


def told(findings: list[Finding], rule: str) -> list[Finding]:
    return [f for f in findings if f.rule == rule and f.status == "found"]


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def status(findings: list[Finding], rule: str) -> str:
    return next(f.status for f in findings if f.rule == rule)


def flights(certificate: str, *, version: ssl.TLSVersion = V1_3, trusted: bool = True) -> Flights:
    """What OpenSSL's client and server say: (by the client?, bytes), to the end or to the alert."""
    ours = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    ours.maximum_version = version
    if trusted:
        ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up, server_hostname="shop.lab.test")
    server = theirs.wrap_bio(up, down, server_side=True)
    said: Flights = []
    for turn in range(8):
        mine, sent = (client, up) if turn % 2 == 0 else (server, down)
        failed = False
        try:
            mine.do_handshake()
            mine.write(b"GET / HTTP/1.1\r\n\r\n" if turn % 2 == 0 else b"HTTP/1.1 200 OK\r\n\r\n")
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            failed = True
        if sent.pending:
            data = sent.read()
            said.append((turn % 2 == 0, data))
            (up if turn % 2 == 0 else down).write(data)
        if failed:
            return said
    return said


def say(connection: Connection, at: float, data: bytes, *, client: bool) -> None:
    for start in range(0, len(data), 1448):
        piece = data[start : start + 1448]
        connection.segment(at, client=client, flags="PA", payload=len(piece))[Raw].load = piece
        at += 1e-5


def play(wire: Wire, at: float, said: Flights, *, port: int = 443, closed: str = "client") -> None:
    connection = wire.connection(port=port)
    at = connection.open(at)
    for by_client, data in said:
        say(connection, at, data, client=by_client)
        at += 0.001
    if closed:
        connection.segment(at, client=closed == "client", flags="FA")
        connection.segment(at + 0.001, client=closed != "client", flags="FA")


def test_an_expired_certificate_is_read_from_a_handshake_in_the_clear(wire: Wire) -> None:
    for n in range(4):
        play(wire, n * 1.0, flights("expired", version=V1_2, trusted=False))
    findings = wire.findings()
    assert loud(findings) == ["tls-failure"]
    (found,) = told(findings, "tls-failure")
    assert (found.affected, found.total, found.severity) == (4, 4, "critical")
    assert found.consistent_with[0] == "expired-certificate"
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:443")
    assert "certificate_expired" in found.title
    assert "valid until 2016-01-01" in found.title
    assert shlex.split(found.next_step)[-2:] == ["shop.lab.test", "-showcerts"]


def test_an_alert_that_is_encrypted_is_seen_by_its_length(wire: Wire) -> None:
    said = flights("stranger")[:2]
    for n in range(3):
        play(wire, n * 1.0, [*said, (True, ENCRYPTED_ALERT)])
    for n in range(3, 9):
        play(wire, n * 1.0, flights("valid"))
    (found,) = told(wire.findings(), "tls-failure")
    assert (found.affected, found.total, found.severity) == (3, 9, "warning")
    assert found.consistent_with[0] == "unknown-ca"
    assert "its alert is encrypted" in found.title


def test_an_alert_in_the_clear_says_what_tls_1_3_hides(wire: Wire) -> None:
    for n in range(3):
        play(wire, n * 1.0, flights("expired", trusted=False))
    (found,) = told(wire.findings(), "tls-failure")
    assert (found.affected, found.consistent_with[0]) == (3, "expired-certificate")
    assert "valid until" not in found.title


def test_handshakes_that_succeed_and_clients_that_lose_interest(wire: Wire) -> None:
    for n in range(3):
        play(wire, n * 1.0, flights("expired", version=V1_2))  # and the client does not mind
        play(wire, n * 1.0 + 0.1, flights("expired", version=V1_3))
        play(wire, n * 1.0 + 0.2, flights("valid")[:1])
        play(wire, n * 1.0 + 0.3, flights("valid")[:2])
        play(wire, n * 1.0 + 0.4, flights("valid", version=V1_2)[:2])
    findings = wire.findings()
    (judged,) = [f for f in findings if f.rule == "tls-failure"]
    assert (judged.status, judged.total) == ("ruled_out", 9)  # to TLS 1.2's hello the answer was there
    assert loud(findings) == []


def test_a_handshake_under_way_at_the_end_is_no_failure(wire: Wire) -> None:
    play(wire, 0.0, flights("valid"))
    play(wire, 1.0, flights("valid")[:1], closed="")
    assert status(wire.findings(), "tls-failure") == "ruled_out"


def test_one_failure_among_many_is_told_without_alarm(wire: Wire) -> None:
    good = flights("valid")
    for n in range(120):
        play(wire, n * 0.1, good)
    play(wire, 20.0, flights("stranger", trusted=False))
    findings = wire.findings()
    assert loud(findings) == []
    assert [(f.severity, f.affected, f.total) for f in told(findings, "tls-failure")] == [("info", 1, 121)]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
def test_plain_http_to_a_port_of_tls(wire: Wire, answer: bytes) -> None:
    play(wire, 0.0, flights("valid"), port=9443)
    asked = b"GET / HTTP/1.1\r\nHost: shop.lab.test\r\n\r\n"
    for n in range(1, 5):
        said = [(True, asked)] + ([(False, answer)] if answer else [])
        play(wire, n * 1.0, said, port=9443, closed="server")
    (found,) = told(wire.findings(), "tls-failure")
    assert (found.affected, found.total) == (4, 5)
    assert found.consistent_with[0] == "plain-http-on-tls-port"


def test_a_reset_that_ends_a_handshake_is_told_once(wire: Wire) -> None:
    for n in range(4):
        connection = wire.connection(port=443)
        at = connection.open(n * 1.0)
        say(connection, at, flights("valid")[0][1], client=True)
        connection.reset(at + 0.002, client=False)
    findings = wire.findings()
    assert loud(findings) == ["tls-failure"]
    (found,) = told(findings, "tls-failure")
    assert (found.affected, found.total) == (4, 4)
    assert "closed by the server without a TLS answer" in found.title


def test_tls_to_a_port_of_plain_http(wire: Wire) -> None:
    exchange(wire, 0.0, "/healthz", 200)
    hello = flights("valid")[:1]
    for n in range(1, 4):
        refusal = (False, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        play(wire, n * 1.0, [*hello, refusal], port=8080, closed="server")
    (found,) = told(wire.findings(), "tls-failure")
    assert found.consistent_with[0] == "tls-on-plain-port"


def exchange(wire: Wire, at: float, target: str, code: int, *, method: str = "GET", port: int = 8080) -> None:
    connection = wire.connection(port=port)
    at = connection.open(at)
    say(connection, at, f"{method} {target} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode(), client=True)
    answer = f"HTTP/1.1 {code} Said So\r\nContent-Length: 2\r\n\r\nno".encode()
    say(connection, at + 0.003, answer, client=False)
    connection.close(at + 0.01)


@pytest.mark.parametrize(("failing", "severity"), [(3, "warning"), (15, "critical")])
def test_a_server_that_fails(wire: Wire, failing: int, severity: str) -> None:
    for n in range(40):
        exchange(wire, n * 0.5, f"/orders/{n}", 503 if n < failing else 200)
    for n in range(10):
        exchange(wire, n * 0.5 + 0.1, "/items", 200)
    findings = wire.findings()
    assert loud(findings) == ["http-errors"]
    (found,) = told(findings, "http-errors")
    assert (found.affected, found.total, found.severity) == (failing, 50, severity)
    assert f"503 Service Unavailable ({failing})" in found.title
    assert f"GET /orders/{{…}} {failing} of 40" in found.title
    assert found.destination == f"{SERVER}:8080"
    assert found.consistent_with[0] == "no-ready-backend"
    assert found.frame_count == 2 * failing


def test_what_clients_ask_wrongly_is_told_without_alarm(wire: Wire) -> None:
    for n in range(20):
        exchange(wire, n * 0.5, "/favicon.ico", 404)
        exchange(wire, n * 0.5 + 0.1, "/login", 401, method="POST")
    findings = wire.findings()
    assert loud(findings) == []
    assert [(f.severity, f.affected) for f in told(findings, "http-errors")] == [("info", 40)]


def test_too_many_requests_cost_somebody_something(wire: Wire) -> None:
    for n in range(20):
        exchange(wire, n * 0.5, "/api", 429 if n % 4 == 0 else 200)
    (found,) = told(wire.findings(), "http-errors")
    assert (found.severity, found.affected, found.consistent_with[0]) == ("critical", 5, "rate-limit")


def test_two_errors_are_none(wire: Wire) -> None:
    for n in range(20):
        exchange(wire, n * 0.5, "/api", 500 if n < 2 else 200)
    findings = wire.findings()
    assert status(findings, "http-errors") == "ruled_out"


def test_a_hostile_path_stays_one_harmless_word(wire: Wire) -> None:
    target = "/a;rm%20-rf$(reboot)'\x1b[2J?token=secret"
    for n in range(5):
        exchange(wire, n * 0.5, target, 500)
    (found,) = told(wire.findings(), "http-errors")
    assert "\x1b" not in found.title + found.next_step
    assert "secret" not in found.title + found.next_step
    assert shlex.split(found.next_step)[-1].startswith(f"http://{SERVER}:8080/a;rm%20-rf$(reboot)'")


def test_a_request_that_changes_something_is_not_repeated(wire: Wire) -> None:
    for n in range(5):
        exchange(wire, n * 0.5, "/orders", 500, method="POST")
    (found,) = told(wire.findings(), "http-errors")
    assert shlex.split(found.next_step)[:2] == ["k8scap", "requests"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/orders/17?x=1", "/orders/{…}"),
        ("/orders/17/items/9", "/orders/{…}/items/{…}"),
        ("/v2/users/0b8e3a52-1c1f-4a3e-9f52-6a0f0f8f1d2e", "/v2/users/{…}"),
        ("/healthz", "/healthz"),
        ("", ""),
    ],
)
def test_paths_of_one_kind_are_one_pattern(target: str, expected: str) -> None:
    assert pattern(target) == expected


def test_a_handshake_whose_answer_cannot_be_read_is_no_failure(wire: Wire) -> None:
    """The server's flight came out of order; the client understood it, and asked its question."""
    for n in range(4):
        connection = wire.connection(port=443)
        at = connection.open(n * 1.0)
        for by_client, data in flights("valid", version=V1_2):
            pieces = [data[start : start + 700] for start in range(0, len(data), 700)]
            for later, piece in enumerate(pieces):
                swapped = {0: 1, 1: 0}.get(later, later) if len(pieces) > 1 else later
                say(connection, at + swapped * 1e-5, piece, client=by_client)
            at += 0.001
        connection.segment(at, client=False, flags="FA")
        connection.segment(at + 0.001, client=True, flags="FA")
    findings = wire.findings()
    assert told(findings, "tls-failure") == []
    assert loud(findings) == []


def test_a_warning_that_ends_nothing_is_no_failure(wire: Wire) -> None:
    """Servers that do not know the name warn of it, and go on (RFC 6066, 3)."""
    unrecognized_name = b"\x15\x03\x03\x00\x02\x01\x70"
    hello, answer, *rest = flights("valid", version=V1_2)
    for n in range(4):
        play(wire, n * 1.0, [hello, (False, unrecognized_name + answer[1]), *rest])
    fatal = b"\x15\x03\x03\x00\x02\x02\x70"
    play(wire, 9.0, [hello, (False, fatal)], closed="server")
    (found,) = told(wire.findings(), "tls-failure")
    assert (found.affected, found.total) == (1, 5)
    assert "unrecognized_name" in found.title


def test_a_handshake_that_fails_after_the_hellos_does_not_lack_a_cipher(wire: Wire) -> None:
    handshake_failure = (False, b"\x15\x03\x03\x00\x02\x02\x28")
    hellos = flights("valid")[:2]
    play(wire, 0.0, [*hellos, handshake_failure], closed="server")
    play(wire, 5.0, [hellos[0], handshake_failure], port=8443, closed="server")
    causes = {f.destination: f.consistent_with[0] for f in told(wire.findings(), "tls-failure")}
    assert causes == {f"{SERVER}:443": "client-certificate", f"{SERVER}:8443": "no-common-cipher"}


def test_a_number_that_is_no_status_is_no_error(wire: Wire) -> None:
    for n in range(20):
        exchange(wire, n * 0.5, "/", -11 if n < 7 else 200)
    assert told(wire.findings(), "http-errors") == []
