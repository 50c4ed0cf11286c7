"""The rules on real captures: each lab scenario raises its own name first, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import k8scap
from k8scap import lab
from k8scap.findings import RULES

if TYPE_CHECKING:
    from pathlib import Path

    from k8scap.model import Finding

SEEDS = (1, 2, 3)
FAULTS = ("packet-loss", "slow-server", "slow-reader", "connection-refused", "dns-timeout")
SERVER = "198.18.0.20"

pytestmark = pytest.mark.root


def run(scenario: str, seed: int, folder: Path) -> tuple[k8scap.Capture, dict[str, Any]]:
    """The capture, and what link, servers and clients wrote down meanwhile."""
    cap = lab.run(scenario, seed=seed, directory=folder)
    return cap, json.loads((folder / f"{scenario}.truth.json").read_text())


def dropped(truth: dict[str, Any], protocol: str) -> list[dict[str, Any]]:
    return [p for p in truth["packets"] if p["protocol"] == protocol and "drop" in str(p["action"])]


def check_packet_loss(findings: list[Finding], truth: dict[str, Any]) -> None:
    lost = sum(f.affected for f in findings if f.rule == "packet-loss" and f.status == "found")
    assert lost >= len([p for p in dropped(truth, "tcp") if p["payload_length"]])


def check_slow_server(findings: list[Finding], truth: dict[str, Any]) -> None:
    waits = [w / 1000 for w in truth["parameters"]["think_ms"]]
    assert findings[0].affected == len(waits)
    assert findings[0].seconds_lost == pytest.approx(sum(waits), rel=0.25)


def check_slow_reader(findings: list[Finding], truth: dict[str, Any]) -> None:
    pauses = sum(truth["parameters"]["pauses_s"])
    assert 0.5 * pauses < findings[0].seconds_lost < pauses + 1.0
    assert SERVER in findings[0].destination


def check_connection_refused(findings: list[Finding], truth: dict[str, Any]) -> None:
    parameters = truth["parameters"]
    assert findings[0].affected == parameters["attempts"]
    assert f"{SERVER}:{parameters['port']}" in findings[0].destination


def check_dns_timeout(findings: list[Finding], truth: dict[str, Any]) -> None:
    lost = len(dropped(truth, "udp"))
    assert findings[0].affected in (lost, lost - 1)  # the last attempt may be asked as the capture ends
    assert truth["parameters"]["name"] in findings[0].title


CHECKS = {
    "packet-loss": check_packet_loss,
    "slow-server": check_slow_server,
    "slow-reader": check_slow_reader,
    "connection-refused": check_connection_refused,
    "dns-timeout": check_dns_timeout,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", FAULTS)
def test_a_fault_is_found_by_its_name(scenario: str, seed: int, tmp_path: Path) -> None:
    cap, truth = run(scenario, seed, tmp_path)
    loud = [f for f in cap.findings if f.status == "found" and f.severity != "info"]
    assert [f.rule for f in loud][:1] == [scenario]
    assert {f.rule for f in loud} == {scenario}, [f.title for f in loud]
    assert cap.findings[0] == loud[0]
    CHECKS[scenario](cap.findings, truth)


@pytest.mark.parametrize("seed", SEEDS)
def test_clean_traffic_has_no_findings(seed: int, tmp_path: Path) -> None:
    cap, _ = run("clean", seed, tmp_path)
    assert [f.title for f in cap.findings if f.status == "found"] == []
    assert {f.rule for f in cap.findings} == {rule.__name__.replace("_", "-") for rule in RULES}
