"""Faults made by hand, packet by packet: each rule says what was put there, and nothing else."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from conftest import CLIENT, RESOLVER, ROUTER, SERVER, Resolver
from scapy.layers.inet import ICMP, IP, UDP

import k8scap
from k8scap.errors import SchemaError
from k8scap.findings import RULES, Case, judge
from k8scap.model import Counters, Manifest, NameEntry
from k8scap.names import Names
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from conftest import Wire

    from k8scap.model import Finding

WITHOUT_CASE = {"tls-failure", "http-errors", "mtu-black-hole", "slow-endpoint", "slow-proxy"}
"""Rules that may find nothing to judge on a wire of these tests: no words, no large segments, no sidecar."""


def tshark_frames(wire: Wire, display_filter: str) -> set[int]:
    """Wireshark's own answer to a display filter."""
    argv = ["tshark", "-n", "-r", str(wire.path), "-Y", display_filter, "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return {int(line) for line in done.stdout.split()}


def only(findings: list[Finding], rule: str) -> Finding:
    """The one finding of `rule`; nothing else may have been found."""
    found = [f for f in findings if f.status == "found"]
    assert [f.rule for f in found] == [rule], [f.title for f in found]
    return found[0]


def status(findings: list[Finding], rule: str) -> Finding:
    return next(f for f in findings if f.rule == rule)


def case(cap: k8scap.Capture, **changes: object) -> Case:
    parts = {field.name: getattr(cap, field.name) for field in fields(Case)}
    return Case(**{**parts, **changes})


def lossy(wire: Wire, *, every: int, segments: int, upload: bool = True, **options: object) -> int:
    """A transfer of which each `every`th segment is sent again 210 ms later; returns how many were."""
    connection = wire.connection(**options)
    at, lost = connection.open(0.0) + 0.01, 0
    for n in range(1, segments + 1):
        segment = connection.segment(at, client=upload, flags="PA", payload=1448)
        if n % every == 0:
            at, lost = at + 0.21, lost + 1
            wire.again(at, segment)
        connection.segment(at + 0.001, client=not upload)
        at += 0.002
    return lost


@pytest.mark.parametrize(("every", "severity"), [(100, "warning"), (12, "critical")])
def test_segments_sent_again(wire: Wire, every: int, severity: str) -> None:
    lost = lossy(wire, every=every, segments=600)
    found = only(wire.findings(), "packet-loss")
    assert (found.affected, found.severity) == (lost, severity)
    assert found.total == 600 + lost + 1  # data, data again, SYN
    assert found.seconds_lost == pytest.approx(0.21 * lost, rel=0.01)
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:8080")
    assert "after they had passed the capture point" in found.title
    assert "mtr" in found.next_step
    assert found.next_step.endswith(SERVER)


def test_loss_toward_the_client(wire: Wire) -> None:
    lost = lossy(wire, every=20, segments=100, upload=False)
    found = only(wire.findings(), "packet-loss")
    assert (found.affected, found.source, found.destination) == (lost, f"{SERVER}:8080", CLIENT)


def test_loss_too_thin_on_each_path_is_seen_on_the_service(wire: Wire) -> None:
    lost = sum(lossy(wire, every=40, segments=70, client=f"198.18.1.{n}") for n in range(1, 9))
    found = only(wire.findings(), "packet-loss")
    assert (found.affected, found.source, found.severity) == (lost, "8 clients", "warning")


def test_a_slow_server(wire: Wire) -> None:
    waits = (0.35, 0.42, 0.31, 0.39, 0.001, 0.44, 0.36)
    connection = wire.connection(rtt=0.02)
    at = connection.open(0.0)
    for wait in waits:
        at = connection.ask(at + 0.05, think=wait)
    found = only(wire.findings(), "slow-server")
    slow = [w for w in waits if w > 0.1]
    assert (found.affected, found.total, found.severity) == (len(slow), len(waits), "warning")
    assert found.seconds_lost == pytest.approx(sum(slow) + 0.02 * len(slow), rel=0.01)
    assert found.destination == f"{SERVER}:8080"
    assert f"http://{SERVER}:8080/" in found.next_step


def test_a_server_that_hangs(wire: Wire) -> None:
    quick = wire.connection()
    quick.ask(quick.open(0.0), think=0.002)
    for n in range(4):
        connection = wire.connection()
        asked = connection.say(connection.open(1.0 + n), client=True)
        connection.close(asked + 10.0)
    found = only(wire.findings(), "slow-server")
    assert (found.affected, found.total, found.severity) == (4, 5, "critical")
    assert "4 got no answer" in found.title


def test_a_wait_for_a_lost_request_is_not_the_servers(wire: Wire) -> None:
    for n in range(5):
        connection = wire.connection()
        at = connection.open(n * 1.0)
        request = connection.segment(at, client=True, flags="PA", payload=100)
        wire.again(at + 0.21, request)
        connection.segment(at + 0.211, client=False)
        connection.say(at + 0.215, client=False)
    findings = wire.findings()
    assert only(findings, "packet-loss").affected == 5
    assert status(findings, "slow-server").status == "ruled_out"


def stalled(wire: Wire, *, seconds: float, times: int, probes: bool = True, **options: object) -> None:
    """An upload whose receiver closes its window `times` times, for `seconds` each."""
    connection = wire.connection(**options)
    at = connection.open(0.0)
    for _ in range(times):
        at = connection.say(at + 0.01, client=True, size=10 * 1448)
        connection.segment(at, client=False, window=0)
        if probes:
            probe = connection.segment(at + seconds / 2, client=True)
            probe["TCP"].seq -= 1
            connection.segment(at + seconds / 2 + connection.rtt, client=False, window=0)
        at += seconds
        connection.segment(at, client=False)
        at = connection.say(at + 0.0005, client=True, size=1448)
    connection.close(at)


@pytest.mark.parametrize("probes", [True, False])
def test_a_slow_reader(wire: Wire, *, probes: bool) -> None:
    stalled(wire, seconds=0.5, times=4, probes=probes)
    found = only(wire.findings(), "slow-reader")
    assert found.seconds_lost == pytest.approx(2.0, abs=0.01)
    assert (found.severity, found.affected, found.total) == ("warning", 1, 1)
    assert (found.source, found.destination) == (CLIENT, f"{SERVER}:8080")


def test_a_refused_port(wire: Wire) -> None:
    for n in range(5):
        wire.connection(port=9000).refuse(n * 0.5)
    found = only(wire.findings(), "connection-refused")
    assert (found.affected, found.total, found.severity) == (5, 5, "critical")
    assert (found.destination, found.frame_count) == (f"{SERVER}:9000", 10)
    assert shlex.split(found.next_step)[-2:] == [SERVER, "9000"]


def test_a_port_that_refuses_sometimes(wire: Wire) -> None:
    for n in range(12):
        connection = wire.connection()
        if n % 3:
            connection.close(connection.open(n * 0.5))
        else:
            connection.refuse(n * 0.5)
    found = only(wire.findings(), "connection-refused")
    assert (found.affected, found.total, found.severity) == (4, 12, "warning")
    assert "sometimes" in found.title
    assert found.consistent_with[0] == "rollout"


def test_a_refused_attempt_that_is_repeated_is_no_loss(wire: Wire) -> None:
    for n in range(3):
        connection = wire.connection(port=9000)
        syn = connection.segment(n * 5.0, client=True, flags="S")
        connection.segment(n * 5.0 + 0.001, client=False, flags="RA")
        for again in (0.5, 1.0):
            wire.again(n * 5.0 + again, syn)
            connection.segment(n * 5.0 + again + 0.001, client=False, flags="RA")
    only(wire.findings(), "connection-refused")


def test_a_port_scan_is_told_in_one_sentence_and_without_alarm(wire: Wire) -> None:
    for port in range(1, 301):
        wire.connection(port=port).refuse(port * 0.01)
    found = only(wire.findings(), "connection-refused")
    assert (found.severity, found.affected, found.frame_count) == ("info", 300, 600)
    assert (
        found.title
        == f"{CLIENT} asked for 300 ports of {SERVER}, and was refused at all of them: a port scan"
    )
    assert set(found.frames) <= tshark_frames(wire, found.display_filter)


def test_many_destinations_that_refuse_are_told_in_few_words(wire: Wire) -> None:
    for n in range(300):
        wire.connection(server=f"198.18.{4 + n // 200}.{1 + n % 200}").refuse(n * 0.01)
    found = [f for f in wire.findings() if f.status == "found"]
    assert len(found) == 51
    (rest,) = [f for f in found if "250 more destinations refused connections" in f.title]
    assert (rest.affected, rest.frame_count) == (250, 500)
    assert set(rest.frames) <= tshark_frames(wire, rest.display_filter)


def test_a_server_that_answers_nothing_is_told_without_alarm(wire: Wire) -> None:
    for n in range(4):
        connection = wire.connection(port=5044)
        connection.close(connection.say(connection.open(n * 1.0), client=True) + 8.0)
    quick = wire.connection()
    quick.ask(quick.open(0.0), think=0.002)
    found = only(wire.findings(), "slow-server")
    assert (found.severity, found.affected, found.total) == ("info", 4, 4)
    assert "answered none" in found.title


def test_a_service_without_endpoints(wire: Wire) -> None:
    for n in range(3):
        connection = wire.connection(server="198.19.0.10", port=80)
        syn = connection.segment(n * 1.0, client=True, flags="S")
        wire.put(n * 1.0 + 0.001, connection.quoted_by(syn, code=3, teller=ROUTER))
    found = only(wire.findings(), "connection-refused")
    assert (found.affected, found.destination) == (3, "198.19.0.10:80")
    assert found.consistent_with[0] == "service-without-endpoints"
    assert found.frame_count == 6


def test_a_host_without_a_listener_for_udp(wire: Wire) -> None:
    """ICMP is how hosts themselves refuse datagrams (RFC 1122, 4.1.3.1); connections they reset."""
    for n in range(3):
        datagram = IP(src=CLIENT, dst=SERVER) / UDP(sport=5000 + n, dport=1026) / b"hello"
        wire.put(n * 1.0, datagram)
        wire.put(n * 1.0 + 0.001, IP(src=SERVER, dst=CLIENT) / ICMP(type=3, code=3) / datagram)
    assert only(wire.findings(), "connection-refused").consistent_with[0] == "nothing-listening"


def test_an_unanswered_resolver(wire: Wire, resolver: Resolver) -> None:
    for n in range(3):
        resolver.ask(n * 5.0, "payments.shop.svc", answer_after=None, number=7)
    for n in range(4):
        resolver.ask(n * 5.0 + 1, "api.shop.svc")
    found = only(wire.findings(), "dns-timeout")
    assert (found.affected, found.total, found.severity) == (3, 7, "warning")
    assert "asked again after 5.0 s" in found.title
    assert found.destination == f"{RESOLVER}:53"
    assert found.seconds_lost == pytest.approx(5 + 5 + 5, abs=1.1)
    assert "payments.shop.svc" in shlex.split(found.next_step)


def test_questions_of_which_no_answer_can_be_captured(wire: Wire, resolver: Resolver) -> None:
    """A capture of one direction: each name asked once. Who asks again got no answer, wherever it went."""
    for n in range(20):
        resolver.ask(n * 10.0, f"host{n}.example.test", answer_after=None)
    judged = next(f for f in wire.findings() if f.rule == "dns-timeout")
    assert (judged.status, "one direction only" in judged.reason) == ("not_judged", True)
    for n in range(20):
        resolver.ask(n * 10.0 + 5.0, f"host{n}.example.test", answer_after=None)
    found = only(wire.findings(), "dns-timeout")
    assert (found.affected, found.severity) == (39, "critical")  # the last one is still open


def test_a_resolver_that_is_not_there_refuses(wire: Wire, resolver: Resolver) -> None:
    """ICMP answers each question: that is told once, and the resolver left nobody waiting."""
    for n in range(6):
        resolver.ask(n * 5.0, f"host{n // 2}.example.test", answer_after=None, port=4000 + n)
        question = wire._seen[-1][1][IP]
        wire.put(n * 5.0 + 0.001, IP(src=RESOLVER, dst=CLIENT) / ICMP(type=3, code=3) / question)
    findings = wire.findings()
    assert only(findings, "connection-refused").consistent_with[0] == "nothing-listening"
    reason = next(f.reason for f in findings if f.rule == "dns-timeout")
    assert reason == "all 6 lookups were refused by ICMP"


def test_the_conntrack_race(wire: Wire, resolver: Resolver) -> None:
    for n in range(20):
        at, lost = n * 6.0, n % 4 == 0
        resolver.ask(at, "db.shop.svc", kind="A", port=30000 + n)
        resolver.ask(
            at + 1e-5, "db.shop.svc", kind="AAAA", port=30000 + n, answer_after=None if lost else 0.001
        )
        if lost:
            resolver.ask(at + 5.0, "db.shop.svc", kind="A", port=30000 + n)
            resolver.ask(at + 5.0 + 1e-5, "db.shop.svc", kind="AAAA", port=30000 + n)
    found = only(wire.findings(), "dns-timeout")
    assert (found.affected, found.consistent_with[0]) == (5, "conntrack-race")
    assert found.seconds_lost == pytest.approx(25.0, abs=0.1)


def test_late_answers(wire: Wire, resolver: Resolver) -> None:
    for n in range(10):
        resolver.ask(n * 3.0, f"host-{n}.example.com", port=30000 + n, answer_after=1.5 if n < 4 else 0.01)
    found = only(wire.findings(), "dns-timeout")
    assert (found.affected, found.total) == (4, 10)
    assert "late (median 1.5 s)" in found.title


def refused(wire: Wire, times: int, **options: object) -> None:
    for n in range(times):
        wire.connection(**options).refuse(n * 0.1)


def test_every_display_filter_brings_up_its_evidence(wire: Wire) -> None:
    few, many = "198.18.3.1", "198.18.3.2"
    six = {"client": "2001:db8::2", "server": "2001:db8::3"}
    lossy(wire, every=10, segments=100, server=few)
    lossy(wire, every=5, segments=300, server=many)
    lossy(wire, every=5, segments=300, **six)
    stalled(wire, seconds=0.5, times=4, server=few, port=9001)
    stalled(wire, seconds=0.3, times=40, server=many, port=9001)
    for times, server in ((3, few), (80, many)):
        refused(wire, times, server=server, port=9000)
    refused(wire, 80, port=9000, **six)
    for n in range(70):
        Resolver(wire).ask(n * 0.2, f"host-{n}.shop.svc", port=30000 + n, answer_after=None)
    found = [f for f in wire.findings() if f.status == "found"]
    assert len(found) == 9
    assert {f.frame_count > 50 for f in found} == {True, False}
    for finding in found:
        assert len(finding.frames) == min(finding.frame_count, 50)
        assert set(finding.frames) <= tshark_frames(wire, finding.display_filter), finding.display_filter


def test_names_speak_in_place_of_addresses(wire: Wire) -> None:
    for n in range(3):
        wire.connection(port=6379).refuse(n * 0.5)
    names = Names(
        [
            NameEntry(address=CLIENT, name="checkout-0", kind="pod", namespace="shop"),
            NameEntry(address=SERVER, name="redis", kind="service", namespace="shop"),
        ]
    )
    found = only(judge(case(wire.load(), names=names)), "connection-refused")
    assert found.source == f"shop/checkout-0 ({CLIENT})"
    assert found.destination == f"shop/svc/redis ({SERVER}:6379)"
    assert found.next_step == "kubectl get endpointslices -n shop -l kubernetes.io/service-name=redis"


def test_the_next_step_is_typed_where_the_capture_was_made(wire: Wire) -> None:
    for n in range(3):
        wire.connection(port=6379).refuse(n * 0.5)
    wire.load()
    counters = Counters(captured=6, received=6, dropped=0, on_disk=6)
    manifest = Manifest(
        name="crafted", point="crafted", target={"text": "docker/web 1"}, state="complete", counters=counters
    )
    write_manifest(wire.path.with_suffix(".json"), manifest)
    found = only(k8scap.diagnose(k8scap.load(wire.path)), "connection-refused")
    assert shlex.split(found.next_step)[:5] == ["k8scap", "enter", "docker/web 1", "--", "nc"]
    assert found.confidence == 0.99


def test_drops_of_the_capture_forbid_to_rule_out(wire: Wire, resolver: Resolver) -> None:
    connection = wire.connection()
    connection.close(connection.ask(connection.open(0.0), think=0.002))
    resolver.ask(0.1, "api.shop.svc")
    resolver.ask(2.0, "api.shop.svc")
    cap = wire.load()
    whole = {f.rule: f for f in judge(case(cap))}
    assert {f.status for f in whole.values() if f.rule not in WITHOUT_CASE} == {"ruled_out"}
    holes = replace(cap.quality, complete=False, dropped=12)
    for finding in judge(case(cap, quality=holes)):
        assert finding.status == "not_judged"
        assert finding.rule in WITHOUT_CASE or "12 packets" in finding.reason


def test_a_file_that_breaks_off_is_judged_as_far_as_it_goes(wire: Wire) -> None:
    connection = wire.connection()
    connection.ask(connection.open(0.0), think=0.002)
    cap = wire.load()
    cut = replace(cap.quality, complete=False, cut_off=True)
    assert status(judge(case(cap, quality=cut)), "packet-loss").status == "ruled_out"


def test_confidence_falls_with_the_captures_quality(wire: Wire) -> None:
    for n in range(3):
        wire.connection().refuse(n * 0.5)
    cap = wire.load()
    qualities = [
        replace(cap.quality, complete=True),
        replace(cap.quality, complete=None),
        replace(cap.quality, complete=False, dropped=3),
    ]
    confidences = [only(judge(case(cap, quality=q)), "connection-refused").confidence for q in qualities]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(confidences)) == 3


def test_what_is_ruled_out_says_its_number(wire: Wire, resolver: Resolver) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for _ in range(10):
        at = connection.ask(at + 0.01, think=0.002)
    connection.close(at)
    resolver.ask(0.1, "api.shop.svc")
    resolver.ask(3.0, "api.shop.svc")
    findings = wire.findings()
    assert {f.rule for f in findings if f.status != "ruled_out"} <= WITHOUT_CASE
    assert len(findings) == len(RULES)
    said = {f.rule: f.title for f in findings}
    assert "no segment of 24 " in said["packet-loss"]  # 10 requests, 10 answers, 2 SYN, 2 FIN
    assert "0 of 10 requests" in said["slow-server"]
    assert "none of 1 connection attempts" in said["connection-refused"]
    assert "all 2 lookups" in said["dns-timeout"]


def test_a_capture_of_udp_only(wire: Wire, resolver: Resolver) -> None:
    resolver.ask(0.0, "api.shop.svc")
    resolver.ask(2.0, "api.shop.svc")
    findings = {f.rule: f for f in wire.findings()}
    assert findings["dns-timeout"].status == "ruled_out"
    for rule in ("packet-loss", "slow-server", "slow-reader", "connection-refused"):
        assert findings[rule].status == "not_judged"
        assert "was captured" in findings[rule].reason


def test_an_empty_capture_is_judged_by_no_rule(wire: Wire) -> None:
    findings = wire.findings()
    assert [f.status for f in findings] == ["not_judged"] * len(RULES)
    assert all(f.reason for f in findings)


def test_a_filter_of_one_direction_is_no_evidence_of_silence(wire: Wire, resolver: Resolver) -> None:
    for n in range(4):
        resolver.ask(n * 2.0, "api.shop.svc", answer_after=None)
    manifest = Manifest(name="crafted", point="crafted", filter="udp dst port 53")
    judged = status(judge(case(wire.load(), manifests=(manifest,))), "dns-timeout")
    assert judged.status == "not_judged"
    assert "one direction" in judged.reason


def test_a_table_without_a_column_that_is_needed_is_refused_by_name(wire: Wire) -> None:
    wire.connection().refuse(0.0)
    cap = wire.load()
    with pytest.raises(SchemaError) as refused:
        judge(case(cap, packets=cap.packets.drop(columns=["window", "ip_id"])))
    assert set(refused.value.missing) == {"window", "ip_id"}


def test_every_finding_is_plain_json(wire: Wire) -> None:
    import json

    lossy(wire, every=10, segments=100)
    for n in range(3):
        wire.connection(port=9).refuse(n * 0.5)
    for finding in wire.findings():
        again = json.loads(json.dumps(finding.to_dict()))
        assert again["rule"] == finding.rule
