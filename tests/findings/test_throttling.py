"""slow-server with the host's evidence: CPU throttling proven, disproven, or not to be told."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from k8scap.findings import judge
from k8scap.findings.case import Case
from k8scap.model import Counters, Finding, Manifest

if TYPE_CHECKING:
    from conftest import Wire

    import k8scap

THINKS = (0.15, 0.27, 0.22, 0.18)


def judged(cap: k8scap.Capture, evidence: dict[str, object]) -> Finding:
    manifest = Manifest(name="web", point=cap.points[0], counters=Counters(dropped=0), evidence=evidence)
    parts = {field.name: getattr(cap, field.name) for field in fields(Case)}
    found = judge(Case(**{**parts, "manifests": (manifest,)}))
    return next(f for f in found if f.rule == "slow-server")


def account(throttled: int, microseconds: int) -> dict[str, object]:
    start = {"cpu.nr_periods": 10, "cpu.nr_throttled": 3, "cpu.throttled_usec": 5000}
    grown = {"cpu.nr_periods": 40, "cpu.nr_throttled": throttled, "cpu.throttled_usec": microseconds}
    return {"start": start, "end": {name: start[name] + more for name, more in grown.items()}}


def slow(wire: Wire, *, beside: str) -> k8scap.Capture:
    """Slow answers, seen beside the server (the client's acknowledgment is far) or beside the client."""
    connection = wire.connection(rtt=0.02)
    if beside == "server":
        connection.segment(0.0, client=True, flags="S")
        connection.segment(0.00005, client=False, flags="SA")
        connection.segment(0.02, client=True)
        at = 0.03
    else:
        at = connection.open(0.0)
    for think in THINKS:
        at = connection.ask(at + 0.01, think=think)
    connection.close(at + 0.1)
    return wire.load()


def test_a_quota_that_was_used_up_is_proof(wire: Wire) -> None:
    finding = judged(slow(wire, beside="server"), account(8, 600_000))
    assert finding.consistent_with[0] == "cpu-throttling"
    assert "proof: its CPU quota was used up in 8 of 40 periods, 0.6 s" in finding.title
    assert finding.status == "found"


def test_a_quota_that_was_not_used_up_is_no_cause(wire: Wire) -> None:
    finding = judged(slow(wire, beside="server"), account(0, 0))
    assert "cpu-throttling" not in finding.consistent_with
    assert finding.consistent_with[0] == "slow-application"
    assert "its CPU was not throttled" in finding.title


def test_a_single_period_proves_nothing(wire: Wire) -> None:
    finding = judged(slow(wire, beside="server"), account(1, 20_000))
    assert finding.consistent_with[0] == "slow-application"
    assert "too little to explain it" in finding.title


@pytest.mark.parametrize("throttled", [0, 8])
def test_the_clients_own_quota_says_nothing_of_the_server(wire: Wire, throttled: int) -> None:
    finding = judged(slow(wire, beside="client"), account(throttled, throttled * 75_000))
    assert "CPU" not in finding.title
    assert "cpu-throttling" in finding.consistent_with


@pytest.mark.parametrize(
    ("thinks", "cause"),
    [((0.101,) * 12 + (0.202,), "slow-application"), ((0.1, 0.2, 0.3) * 4, "cpu-throttling")],
)
def test_waits_of_whole_periods_are_a_hint_unless_all_last_as_long(
    wire: Wire, thinks: tuple[float, ...], cause: str
) -> None:
    connection = wire.connection()
    at = connection.open(0.0)
    for think in thinks:
        at = connection.ask(at + 0.01, think=think)
    finding = next(f for f in wire.findings() if f.rule == "slow-server")
    assert finding.consistent_with[0] == cause
