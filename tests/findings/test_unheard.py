"""What is repeated to somebody who answers nothing more: no loss is known; half-open where data waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conftest import MSS
from scapy.layers.inet import TCP

if TYPE_CHECKING:
    from conftest import Connection, Wire
    from scapy.packet import Packet

    from k8scap.model import Finding

BACKOFF = (0.2, 0.6, 1.4, 3.0, 6.2)


def told(findings: list[Finding], rule: str) -> list[Finding]:
    return [f for f in findings if f.rule == rule and f.status == "found"]


def loud(findings: list[Finding]) -> list[str]:
    return [f.title for f in findings if f.status == "found" and f.severity != "info"]


def repeated(wire: Wire, at: float, packet: Packet) -> float:
    for later in BACKOFF:
        wire.again(at + later, packet)
    return at + BACKOFF[-1]


def worked(connection: Connection, at: float) -> float:
    return connection.ask(connection.open(at), think=0.002)


def test_syn_acks_to_a_scanner_are_no_loss(wire: Wire) -> None:
    for n in range(5):
        scan = wire.connection(port=22 + n)
        scan.segment(n * 0.01, client=True, flags="S")
        repeated(wire, n * 0.01, scan.segment(n * 0.01 + 0.001, client=False, flags="SA"))
    assert loud(wire.findings()) == []


def test_a_client_that_asks_again_did_not_hear_the_syn_acks(wire: Wire) -> None:
    for n in range(3):
        deaf = wire.connection(client=f"198.18.0.{10 + n}")
        syn = deaf.segment(n * 1.0, client=True, flags="S")
        answer = deaf.segment(n * 1.0 + 0.001, client=False, flags="SA")
        for again in (1.0, 3.0):
            wire.again(n * 1.0 + again, syn)
            wire.again(n * 1.0 + again + 0.001, answer)
        worked(wire.connection(client=f"198.18.0.{10 + n}"), n * 1.0 + 5.0)
    assert told(wire.findings(), "packet-loss")


def test_fins_to_a_host_that_is_gone_are_no_loss(wire: Wire) -> None:
    for n in range(4):
        old = wire.connection()
        at = worked(old, n * 1.0) + 30.0
        end = repeated(wire, at, old.segment(at, client=False, flags="FA"))
        if n % 2:
            old.segment(end + 1.0, client=True, flags="R")
    assert loud(wire.findings()) == []


def test_lone_flags_of_a_port_scan_are_no_loss(wire: Wire) -> None:
    for n in range(20):
        probe = wire.connection(port=1000 + n)
        wire.again(n * 0.01 + 0.1, probe.segment(n * 0.01, client=True, flags="FPU"))
    assert loud(wire.findings()) == []


def test_loss_that_duplicate_acks_prove_is_loss(wire: Wire) -> None:
    upload = wire.connection()
    at = worked(upload, 0.0)
    for _ in range(6):
        lost = upload.segment(at, client=True, flags="PA", payload=MSS)
        upload.segment(at + 0.001, client=False)[TCP].ack -= MSS
        wire.again(at + 0.25, lost)
        upload.segment(at + 0.251, client=False)
        at += 0.4
    assert told(wire.findings(), "packet-loss")


def test_data_to_somebody_who_was_never_heard(wire: Wire) -> None:
    """A capture that shows one side only, and a sender that gets nowhere: so much is sure."""
    stuck = wire.connection()
    repeated(wire, 0.0, stuck.segment(0.0, client=True, flags="PA", payload=90))
    findings = wire.findings()
    (found,) = told(findings, "half-open")
    assert "was not heard" in found.title
    assert "90 bytes sent, 5 times more" in found.title
    assert told(findings, "packet-loss") == []


def test_a_peer_that_only_this_capture_did_not_hear(wire: Wire) -> None:
    """What its sender acknowledges grows: it was answered, where nobody captured it."""
    connection = wire.connection()
    at = worked(connection, 0.0) + 1.0
    heard = 0
    for n in range(6):
        asked = connection.segment(at + 2.0 * n, client=True, flags="PA", payload=40)
        again = asked.copy()
        heard += 200
        again[TCP].ack += heard
        wire.again(at + 2.0 * n + 0.3, again)
        again[TCP].ack += heard
    assert told(wire.findings(), "half-open") == []


def test_who_had_closed_before_is_missed_by_nobody(wire: Wire) -> None:
    connection = wire.connection()
    at = worked(connection, 0.0)
    connection.segment(at, client=True, flags="FA")
    repeated(wire, at + 0.001, connection.segment(at + 0.001, client=False, flags="PA", payload=31))
    findings = wire.findings()
    assert loud(findings) == []
    assert [f.severity for f in told(findings, "half-open")] == ["info"]


def test_a_reader_that_lags_behind_and_dies_was_not_idle(wire: Wire) -> None:
    printer = wire.connection()
    at = worked(printer, 0.0)
    for window in (40, 20, 8):
        printer.segment(at, client=True, payload=MSS)
        printer.segment(at + 0.2, client=False, window=window)
        at += 0.3
    last = printer.segment(at + 4.8, client=True, flags="PA", payload=1024)
    repeated(wire, at + 4.8, last)
    (found,) = told(wire.findings(), "half-open")
    assert found.consistent_with[0] == "host-down"
    assert "without a word" not in found.title


def test_a_sender_that_gives_up_on_the_dead_is_told_once(wire: Wire) -> None:
    download = wire.connection()
    at = worked(download, 0.0)
    at = download.say(at, client=True)
    end = repeated(wire, at, download.segment(at, client=False, payload=MSS))
    download.segment(end + 5.0, client=False, flags="RA")
    assert [f.rule for f in wire.findings() if f.status == "found" and f.severity != "info"] == ["half-open"]


def test_a_reset_that_acknowledges_the_request_comes_from_who_knew_the_connection(wire: Wire) -> None:
    """Who has forgotten a connection answers its segments with a reset without ACK (RFC 9293, 3.5.2)."""
    for n, flags in enumerate(("R", "RA")):
        connection = wire.connection(server=f"198.18.0.{30 + n}")
        at = worked(connection, 0.0) + 58.0
        connection.segment(at, client=True, flags="PA", payload=80)
        connection.segment(at + 0.001, client=False, flags=flags)
    causes = {f.destination: f.consistent_with[0] for f in told(wire.findings(), "connection-reset")}
    assert causes == {"198.18.0.30:8080": "idle-timeout", "198.18.0.31:8080": "server-abort"}
