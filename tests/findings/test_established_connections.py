"""Connections that suffer after they were opened, packet by packet: what the rules say, and leave."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, MSS, SERVER, START
from scapy.layers.inet import ICMP, IP, TCP
from scapy.packet import Raw

from k8scap.findings import Case, judge
from k8scap.model import NameEntry
from k8scap.names import Names

if TYPE_CHECKING:
    from conftest import Connection, Wire
    from scapy.packet import Packet

    from k8scap.model import Finding

POD = "10.9.0.7"


def only(findings: list[Finding], rule: str) -> Finding:
    """The one finding of `rule`; nothing else may have been found."""
    found = [f for f in findings if f.status == "found"]
    assert [f.rule for f in found] == [rule], [f.title for f in found]
    return found[0]


def loud(findings: list[Finding]) -> set[str]:
    return {f.rule for f in findings if f.status == "found" and f.severity != "info"}


def asked(connection: Connection, at: float = 0.0) -> float:
    """Opened, and two requests answered at once."""
    at = connection.ask(connection.open(at), think=0.002)
    return connection.ask(at + 0.02, think=0.002)


@pytest.mark.parametrize(
    ("silence", "said"), [(2.5, "2.5 s of silence"), (351.0, "an AWS network load balancer")]
)
def test_a_reset_that_answers_the_first_request_after_a_silence(
    wire: Wire, silence: float, said: str
) -> None:
    connection = wire.connection()
    at = asked(connection) + silence
    connection.segment(at, client=True, flags="PA", payload=80)
    connection.segment(at + connection.rtt, client=False, flags="R")
    found = only(wire.findings(), "connection-reset")
    assert found.severity == "warning"
    assert found.consistent_with[0] == "idle-timeout"
    assert said in found.title
    assert found.seconds_lost == pytest.approx(connection.rtt, abs=1e-4)


def test_a_silence_that_others_survived_is_not_why(wire: Wire) -> None:
    survivor = wire.connection()
    survivor.ask(asked(survivor) + 8.0, think=0.002)
    connection = wire.connection()
    at = asked(connection, 1.0) + 2.5
    connection.segment(at, client=True, flags="PA", payload=80)
    connection.segment(at + connection.rtt, client=False, flags="R")
    assert only(wire.findings(), "connection-reset").consistent_with[0] == "server-abort"


def test_a_reset_in_place_of_an_answer_and_in_the_middle_of_one(wire: Wire) -> None:
    pending, cut = wire.connection(), wire.connection()
    at = pending.say(asked(pending), client=True)
    pending.reset(at + 0.3, client=False)
    at = cut.say(asked(cut, 5.0), client=True)
    for n in range(3):
        cut.segment(at + n * 1e-4, client=False, payload=MSS)
    cut.reset(at + 0.2, client=False)
    found = only(wire.findings(), "connection-reset")
    assert found.consistent_with[0] == "server-abort"
    assert (found.affected, found.total) == (2, 2)
    assert "a request was pending, or in the middle of its answer" in found.title
    assert found.destination.startswith(SERVER)


def test_a_reset_with_anothers_ttl_is_a_middleboxs(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.say(asked(connection), client=True)
    connection.segment(at + 0.2, client=False, flags="R")[IP].ttl = 241
    assert only(wire.findings(), "connection-reset").consistent_with[0] == "middlebox"


def test_a_reset_as_the_servers_address_changes_hands_is_a_rollout(wire: Wire) -> None:
    connection = wire.connection()
    at = connection.say(asked(connection), client=True)
    connection.reset(at + 0.3, client=False)
    cap = wire.load()
    end = datetime.fromtimestamp(START + 5, tz=UTC)
    names = Names([NameEntry(address=SERVER, name="web-1", kind="pod", namespace="shop", end=end)])
    parts = {field.name: getattr(cap, field.name) for field in fields(Case)} | {"names": names}
    assert only(judge(Case(**parts)), "connection-reset").consistent_with[0] == "rollout"
    late = NameEntry(address=SERVER, name="web-1", kind="pod", namespace="shop", end=end + timedelta(hours=1))
    parts["names"] = Names([late])
    assert only(judge(Case(**parts)), "connection-reset").consistent_with[0] == "server-abort"


def test_a_packet_that_was_not_translated_back_kills_its_connection(wire: Wire) -> None:
    """The client speaks to a Service; one of its pod's packets comes under the pod's own address."""
    connection = wire.connection()
    at = connection.say(asked(connection), client=True)
    stray = connection.segment(at, client=False, flags="PA", payload=600)
    stray[IP].src = POD
    port = stray[TCP].dport
    reset = IP(src=CLIENT, dst=POD, id=0) / TCP(sport=port, dport=8080, seq=stray[TCP].ack, flags="R")
    wire.put(at + 2e-5, reset)
    connection.segment(at + 0.5, client=True, flags="PA", payload=50)
    connection.segment(at + 0.5 + connection.rtt, client=False, flags="R")
    findings = wire.findings()
    found = only(findings, "connection-reset")
    assert found.consistent_with[0] == "conntrack-invalid"
    assert found.destination.startswith(SERVER)
    assert found.next_step == "conntrack -S"


def test_resets_that_are_ways_to_close(wire: Wire) -> None:
    for n in range(8):
        connection = wire.connection()
        at = asked(connection, n * 1.0)
        if n % 4 == 0:  # the server, after its whole answer
            connection.reset(at + 0.1, client=False)
        elif n % 4 == 1:  # the client, in the middle of an answer that it does not want
            at = connection.say(at, client=True)
            connection.segment(at, client=False, payload=MSS)
            connection.reset(at + 1e-4)
        elif n % 4 == 2:  # the server, to what comes after both had closed
            at = connection.close(at)
            connection.reset(at + 0.01, client=False)
        else:  # the client says good-bye and closes; the server answers with a reset
            connection.segment(at, client=True, flags="PA", payload=31)
            connection.segment(at + 1e-5, client=True, flags="FA")
            connection.reset(at + connection.rtt, client=False)
    findings = wire.findings()
    assert loud(findings) == set()
    resets = next(f for f in findings if f.rule == "connection-reset")
    assert (resets.status, resets.title) == ("ruled_out", "none of 8 resets came while an answer was owed")


def test_a_peer_that_answers_nothing_any_more(wire: Wire) -> None:
    connection = wire.connection()
    at = asked(connection) + 6.0
    sent = connection.segment(at, client=True, flags="PA", payload=90)
    for wait in (0.2, 0.6, 1.4, 3.0):
        wire.again(at + wait, sent)
    found = only(wire.findings(), "half-open")
    assert found.severity == "warning"
    assert found.consistent_with[0] == "idle-timeout"
    assert "90 bytes sent, 4 times more" in found.title
    assert found.seconds_lost == pytest.approx(3.0, abs=0.01)


def test_a_peer_that_answers_no_keep_alive(wire: Wire) -> None:
    connection = wire.connection()
    at = asked(connection)
    for n in range(1, 5):
        connection.segment(at + 15.0 * n, client=True)[TCP].seq -= 1
    assert "probes sent, 4 times more" in only(wire.findings(), "half-open").title


def test_an_interruption_that_ends_is_loss(wire: Wire) -> None:
    connection = wire.connection()
    at = asked(connection)
    sent = connection.segment(at, client=True, flags="PA", payload=90)
    for wait in (0.2, 0.6, 1.4):
        wire.again(at + wait, sent)
    connection.segment(at + 1.4 + connection.rtt, client=False)
    assert only(wire.findings(), "packet-loss").affected == 3


def stuck(wire: Wire, connection: Connection, at: float) -> Packet:
    """Ten full segments, of which the first is repeated in vain."""
    first = connection.segment(at, client=True, payload=MSS)
    for n in range(1, 10):
        connection.segment(at + n * 1e-5, client=True, payload=MSS)
    for wait in (0.2, 0.6, 1.4):
        wire.again(at + wait, first)
    return first


def test_large_segments_that_never_pass_while_small_ones_do(wire: Wire) -> None:
    upload, other = wire.connection(), wire.connection()
    stuck(wire, upload, asked(upload))
    at = other.open(0.01)
    for _ in range(8):
        at = other.ask(at + 0.2, think=0.002, request=700)
    found = only(wire.findings(), "mtu-black-hole")
    assert found.severity == "critical"
    assert found.consistent_with[0] == "icmp-filtered"
    assert "of 1,448 bytes and more" in found.title
    assert "those of 700 and less did" in found.title
    assert found.next_step == f"ping -4 -M do -c 3 -s {MSS + 40 - 28} {SERVER}"
    assert found.seconds_lost == pytest.approx(1.4, abs=0.01)


def test_a_sender_that_notices_by_itself_that_its_path_is_narrow(wire: Wire) -> None:
    """Windows cuts smaller what it sent three times in vain, and so does Linux (RFC 4821)."""
    upload = wire.connection(rtt=0.09)
    at = asked(upload)
    large = upload.segment(at, client=True, payload=MSS)
    upload.segment(at + 0.09, client=False)[TCP].ack -= MSS
    for wait in (3.0, 9.0):
        wire.again(at + wait, large)
    small = large.copy()
    small[Raw].load = small[Raw].load[:536]
    wire.again(at + 21.0, small)
    upload.segment(at + 21.1, client=False)[TCP].ack -= MSS - 536
    rest = large.copy()
    rest[TCP].seq += 536
    rest[Raw].load = rest[Raw].load[536:]
    wire.again(at + 21.2, rest)
    upload.segment(at + 21.3, client=False)
    found = only(wire.findings(), "mtu-black-hole")
    assert (found.severity, found.consistent_with[0]) == ("critical", "icmp-filtered")
    assert found.affected == 3


def test_a_sender_that_does_not_heed_icmp(wire: Wire) -> None:
    upload, other = wire.connection(), wire.connection()
    at = asked(upload)
    error = upload.quoted_by(stuck(wire, upload, at), code=4)
    error[ICMP].nexthopmtu = 1400
    wire.put(at + 0.001, error)
    at = other.open(0.01)
    for _ in range(8):
        at = other.ask(at + 0.2, think=0.002, request=700)
    found = only(wire.findings(), "mtu-black-hole")
    assert found.consistent_with == ("icmp-ignored",)
    assert "1,400 bytes at most" in found.title


def test_a_host_that_is_away_is_no_black_hole(wire: Wire) -> None:
    upload = wire.connection()
    stuck(wire, upload, asked(upload))
    findings = wire.findings()
    assert only(findings, "half-open").consistent_with[0] == "host-down"


def test_full_segments_that_pass_sometimes_are_loss(wire: Wire) -> None:
    upload = wire.connection()
    at = upload.say(asked(upload), client=True, size=20 * MSS)
    stuck(wire, upload, at)
    upload.segment(at + 1.4 + upload.rtt, client=False)
    assert loud(wire.findings()) == {"packet-loss"}


@pytest.mark.parametrize("of_server", [False, True])
def test_a_message_in_two_pieces_waits_for_a_delayed_ack(wire: Wire, *, of_server: bool) -> None:
    """The first piece is acknowledged after 45 ms, a millisecond of which is the path's: eight times."""
    connection = wire.connection()
    at = connection.open(0.0)
    for _ in range(8):
        if of_server:
            at = connection.say(at + 0.02, client=True)
        writer = not of_server
        connection.segment(at, client=writer, flags="PA", payload=120)
        connection.segment(at + 0.045, client=not writer)
        connection.segment(at + 0.0451, client=writer, flags="PA", payload=300)
        at = connection.say(at + 0.047, client=not writer) + 0.02 if writer else at + 0.06
        if of_server:
            connection.segment(at, client=True)
    found = only(wire.findings(), "delayed-ack")
    assert found.severity == "warning"
    assert (found.affected, found.total) == (8, 8)
    assert found.seconds_lost == pytest.approx(8 * 0.0441, rel=0.05)
    assert found.source.startswith(SERVER if of_server else CLIENT)
