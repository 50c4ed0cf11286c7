"""Transfers whose sender has nothing to send; and what pauses for other reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Connection, Wire

    from k8scap.model import Finding

PAUSES = (0.13, 0.42, 0.18, 0.55, 0.15, 0.12, 0.38, 0.5)
PIECE = 40_000


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def judged(findings: list[Finding]) -> Finding:
    return next(f for f in findings if f.rule == "slow-sender")


def pieces(
    connection: Connection, at: float, *, client: bool, pauses: Sequence[float] = PAUSES, size: int = PIECE
) -> float:
    """A message in pieces, with `pauses` between an acknowledgment and what follows it."""
    at = connection.say(at, client=client, size=size)
    for pause in pauses:
        at = connection.say(at + pause, client=client, size=size)
    return at


def download(connection: Connection, at: float, **options: object) -> float:
    asked = connection.say(connection.open(at), client=True)
    return pieces(connection, asked + 0.003, client=False, **options)


def test_an_upload_whose_client_has_nothing_to_send(wire: Wire) -> None:
    connection = wire.connection()
    sent = pieces(connection, connection.open(0.0), client=True)
    connection.close(connection.say(sent + 0.01, client=False, size=20))
    findings = wire.findings()
    assert [f.rule for f in findings if f.status == "found"] == ["slow-sender"]
    found = judged(findings)
    assert (found.affected, found.total, found.severity) == (1, 1, "warning")
    assert found.seconds_lost == pytest.approx(sum(PAUSES) - len(PAUSES) * connection.rtt, abs=0.001)
    assert found.frame_count == len(PAUSES)
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:8080")
    assert "an upload of 0.4 MB" in found.title
    assert found.consistent_with[0] == "slow-source"


@pytest.mark.parametrize("ending", ["server", "client", "next"])
def test_an_answer_that_comes_in_pieces_and_ends(wire: Wire, ending: str) -> None:
    connection = wire.connection(rtt=0.02)
    at = download(connection, 0.0)
    if ending == "server":
        connection.segment(at, client=False, flags="FA")
    elif ending == "client":
        connection.close(at)
    else:
        connection.ask(at + 5.0, think=0.002)
    found = judged(wire.findings())
    assert (found.severity, found.affected, found.total) == ("warning", 1, 1)
    assert found.seconds_lost == pytest.approx(sum(PAUSES) - len(PAUSES) * connection.rtt, abs=0.001)
    assert found.source == f"{SERVER}:8080"


def test_a_stream_whose_end_was_not_seen_is_told_without_alarm(wire: Wire) -> None:
    download(wire.connection(), 0.0)
    left = wire.connection()
    left.close(download(left, 0.0) + 0.2)  # in the middle of a pause
    found = judged(wire.findings())
    assert (found.severity, found.affected, found.consistent_with[0]) == ("info", 2, "stream")


@pytest.mark.parametrize("sizes", ["even", "varying"])
def test_what_is_paced_is_told_without_alarm(wire: Wire, sizes: str) -> None:
    connection = wire.connection()
    at = start = connection.say(connection.open(0.0), client=True) + 0.003
    for n in range(12):
        size = PIECE if sizes == "even" else PIECE * (1 + n % 3)
        at = connection.say(start + n * 0.5, client=False, size=size)
    connection.segment(at, client=False, flags="FA")
    found = judged(wire.findings())
    assert (found.severity, found.consistent_with[0]) == ("info", "paced-on-purpose")


def test_events_logs_and_keystrokes_are_no_transfers(wire: Wire) -> None:
    events = wire.connection()  # each a kilobyte or three, and the server ends the stream
    at = events.say(events.open(0.0), client=True)
    for n in range(80):
        at = events.say(at + PAUSES[n % 8], client=False, size=900 + 400 * (n % 6))
    events.segment(at, client=False, flags="FA")
    logs = wire.connection(port=5044)  # nobody answers
    logs.close(pieces(logs, logs.open(0.0), client=True))
    typed = wire.connection(port=22)
    at = typed.open(0.0)
    for n in range(60):
        at = typed.ask(at + PAUSES[n % 8], think=0.001, request=36, answer=36)
    findings = wire.findings()
    assert judged(findings).status == "ruled_out"
    assert loud(findings) == []


def test_a_reader_without_room_is_not_the_sender(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.say(connection.open(0.0), client=True)
    for pause in PAUSES:
        connection.say(at, client=False, size=PIECE)
        connection.segment(at + 0.001, client=True, window=0)
        connection.segment(at + pause, client=True)
        at += pause + 0.0005
    connection.segment(connection.say(at, client=False, size=PIECE), client=False, flags="FA")
    findings = wire.findings()
    assert judged(findings).status == "ruled_out"
    assert loud(findings) == ["slow-reader"]


def test_a_path_that_loses_what_comes_next_is_not_the_sender(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for _ in PAUSES:
        at = connection.say(at, client=True, size=PIECE)
        lost = connection.segment(at, client=True, flags="PA", payload=1448)
        at += 0.25
        wire.again(at, lost)
        connection.segment(at + connection.rtt, client=False)
        at += connection.rtt + 2e-5
    connection.close(connection.say(at, client=False, size=20))
    findings = wire.findings()
    assert judged(findings).status == "ruled_out"
    assert loud(findings) == ["packet-loss"]


def test_rounds_of_a_long_path_are_no_silences(wire: Wire) -> None:
    """Beside the reader, a sender that waits for acknowledgments is silent for a round trip each time."""
    connection = wire.connection(rtt=0.28)
    at = download(connection, 0.0, pauses=[0.281] * 12)
    connection.segment(at, client=False, flags="FA")
    assert judged(wire.findings()).status == "ruled_out"


def test_without_a_handshake_nobody_knows_how_long_a_round_trip_is(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.say(0.0, client=True)
    at = pieces(connection, at + 0.003, client=False)
    connection.segment(at, client=False, flags="FA")
    found = judged(wire.findings())
    assert found.status == "not_judged"
    assert "round trips" in found.reason
