"""The rules about the capture itself, on captures made by hand: what misleads, and what is damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Wire
    from scapy.packet import Packet

    from k8scap.model import Finding

NOTES = ("checksum-offload", "duplicate-capture", "super-packets")


def of(findings: list[Finding], rule: str) -> Finding:
    return next(f for f in findings if f.rule == rule)


def loud(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings if f.status == "found" and f.severity != "info"]


def spoil(packet: Packet) -> None:
    """A checksum that is wrong, whatever the bytes: one and a wrong one differ by more than complement."""
    packet["TCP"].chksum = 0x1234


def talk(wire: Wire, *, spoilt_sender: bool | None = None) -> None:
    """Twenty answered requests; `spoilt_sender` True: the client's checksums are left to its card."""
    connection = wire.connection(rtt=0.02)
    at = connection.open(0.0)
    for _ in range(20):
        at = connection.ask(at + 0.01, think=0.002)
    connection.close(at + 0.1)
    for _, frame in wire._seen:
        if spoilt_sender is not None and (frame["IP"].src == "198.18.0.2") == spoilt_sender:
            spoil(frame)


def test_a_clean_capture_has_nothing_of_the_kind(wire: Wire) -> None:
    talk(wire)
    findings = wire.findings()
    assert {of(findings, rule).status for rule in (*NOTES, "bad-checksums")} == {"ruled_out"}


@pytest.mark.parametrize("client", [True, False])
def test_checksums_left_to_the_card_are_a_note(wire: Wire, *, client: bool) -> None:
    talk(wire, spoilt_sender=client)
    findings = wire.findings()
    note = of(findings, "checksum-offload")
    assert (note.status, note.severity) == ("found", "info")
    assert note.source == ("198.18.0.2" if client else "198.18.0.3")
    assert note.affected == sum((frame["IP"].src == note.source) for _, frame in wire._seen)
    assert of(findings, "bad-checksums").status == "ruled_out"
    assert loud(findings) == []


def test_damaged_packets_that_are_sent_again_are_a_fault(wire: Wire) -> None:
    """A capture at the client: five of the server's answers come in damaged, and again 30 ms later."""
    connection = wire.connection(rtt=0.02)
    at = connection.open(0.0)
    for n in range(20):
        asked = connection.say(at + 0.01, client=True)
        answer = connection.segment(asked + 0.002, client=False, flags="PA", payload=500)
        if n % 4 == 0:
            good = answer.copy()
            spoil(answer)
            wire.again(asked + 0.032, good)
        connection.segment(asked + 0.033, client=True)
        at = asked + 0.04
    connection.close(at + 0.1)
    findings = wire.findings()
    fault = of(findings, "bad-checksums")
    assert (fault.status, fault.severity, fault.affected) == ("found", "warning", 5)
    assert fault.source == "198.18.0.3"
    assert "ethtool -S" in fault.next_step
    assert of(findings, "checksum-offload").status == "ruled_out"
    assert of(findings, "packet-loss").status == "ruled_out"  # what was damaged is told once


def late_by_damage(wire: Wire, at: float, *, lost: int = 0) -> None:
    """An attempt whose first SYN comes in damaged; `lost` more are whole, and get no answer either."""
    connection = wire.connection(rtt=0.00005)
    first = connection.segment(at, client=True, flags="S")
    good = first.copy()
    spoil(first)
    repeats = [2.0**n - 1 for n in range(1, lost + 2)]
    for later in repeats:
        wire.again(at + later, good)
    answered = at + repeats[-1] + connection.rtt
    connection.segment(answered, client=False, flags="SA")
    connection.segment(answered + 0.02, client=True)  # a round trip away: captured beside the server
    connection.close(connection.ask(answered + 0.021, think=0.002))


def test_attempts_late_for_damaged_syns_are_told_once(wire: Wire) -> None:
    for n in range(4):
        late_by_damage(wire, n * 1.5)
    findings = wire.findings()
    fault = of(findings, "bad-checksums")
    assert (fault.status, fault.affected) == ("found", 4)
    assert fault.title.endswith("; 4 connections came about only then, after 1.0 s")
    assert fault.seconds_lost == pytest.approx(4.0, abs=0.1)
    assert {of(findings, rule).status for rule in ("connect-timeout", "packet-loss")} == {"ruled_out"}


def test_attempts_that_lost_whole_syns_too_are_late_for_themselves(wire: Wire) -> None:
    for n in range(4):
        late_by_damage(wire, n * 5.0, lost=1)
    findings = wire.findings()
    assert of(findings, "bad-checksums").status == "found"
    assert (of(findings, "connect-timeout").status, of(findings, "connect-timeout").affected) == ("found", 4)


def test_a_wrong_checksum_on_an_unanswered_syn_is_no_damage(wire: Wire) -> None:
    """A host that leaves checksums to its card, and a destination that drops its SYNs."""
    connection = wire.connection()
    for at in (0.0, 1.0, 3.0, 7.0):
        connection._next[True] = 1000
        spoil(connection.segment(at, client=True, flags="S"))
    assert of(wire.findings(), "bad-checksums").status == "ruled_out"


def test_wrong_checksums_at_the_end_of_a_conversation_prove_nothing(wire: Wire) -> None:
    """Exported requests and answers: nobody acknowledges the last one, or anything after it."""
    for n in range(10):
        connection = wire.connection()
        spoil(connection.segment(n * 1.0, client=True, flags="PA", payload=80))
        spoil(connection.segment(n * 1.0 + 0.01, client=False, flags="PA", payload=200))
        spoil(connection.segment(n * 1.0 + 0.02, client=False, flags="PA", payload=200))
    assert of(wire.findings(), "bad-checksums").status == "ruled_out"


def test_every_packet_seen_twice_is_a_note(wire: Wire) -> None:
    talk(wire)
    once = len(wire._seen)
    for number, (_, frame) in enumerate(wire._seen):
        frame["IP"].id = number + 7
    wire.twice(2e-6)
    findings = wire.findings()
    note = of(findings, "duplicate-capture")
    assert (note.status, note.severity) == ("found", "info")
    assert (note.affected, note.total) == (once, 2 * once)
    assert loud(findings) == []


@pytest.mark.parametrize(("size", "sure"), [(8000, False), (40_000, True)])
def test_frames_longer_than_ethernets_are_a_note(wire: Wire, size: int, *, sure: bool) -> None:
    connection = wire.connection(rtt=0.02)
    at = connection.open(0.0)
    for _ in range(4):
        connection.segment(at + 0.01, client=True, flags="A", payload=size)
        connection.segment(at + 0.03, client=False)
        at += 0.04
    connection.close(at + 0.1)
    findings = wire.findings()
    note = of(findings, "super-packets")
    assert (note.status, note.severity, note.affected) == ("found", "info", 4)
    assert f"{size + 54:,} bytes" in note.title
    assert ("jumbo-frames" not in note.consistent_with) == sure
    assert loud(findings) == []
