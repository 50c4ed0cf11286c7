"""One run of a scenario: the network up, a capture on it as on any other target, the traffic, the truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k8scap.lab import truth
from k8scap.lab.network import Network
from k8scap.lab.plan import Plan
from k8scap.lab.recordings import Recordings
from k8scap.recording import recording_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from k8scap.lab.scenarios import Scenario

_QUIET = 0.15  # seconds, and a few round trips: for the last FINs to pass before the capture ends


def perform(scenario: Scenario, *, directory: Path, name: str) -> Path:
    """Run it; the pcap's path, or that of the manifest over all where it was captured at several points.

    Beside it stand NAME.json (manifest) and NAME.truth.json.
    """
    plan = Plan(tuple(scenario.rules), seed=scenario.seed)
    with Network(scenario.hosts, path=scenario.path, plan=plan, services=scenario.services) as network:
        recordings = Recordings(scenario, network, directory=directory, name=name)
        try:
            started = time.time_ns()
            network.work()
            time.sleep(_QUIET + 4 * scenario.path.rtt_ms / 1000)
        finally:
            made = recordings.stop()
        reports = network.reports()
        packets = network.stop_link()
    facts = _facts(scenario, started=started, reports=reports, packets=packets)
    truth.write(made.with_name(f"{recording_name(made)}.truth.json"), facts, packets)
    return made


def _facts(
    scenario: Scenario,
    *,
    started: int,
    reports: Mapping[str, Mapping[str, Any]],
    packets: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    hosts = {host.name: {"address": host.address, **reports[host.name]} for host in scenario.hosts}
    return {
        "format": truth.FORMAT,
        "scenario": scenario.name,
        "seed": scenario.seed,
        "parameters": dict(scenario.parameters),
        "path": {"rtt_ms": scenario.path.rtt_ms, "jitter_ms": scenario.path.jitter_ms},
        "plan": [str(rule) for rule in scenario.rules],
        "captured_at": scenario.captured,
        "started_ns": started,
        "whole": _is_whole([hosts[host.name] for host in scenario.hosts if not host.node], packets),
        "hosts": hosts,
    }


def _is_whole(hosts: Sequence[Mapping[str, Any]], packets: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the log holds every packet that the hosts sent, by the kernel's own count of each interface."""
    sent = sum(host["interface"]["sent_packets"] for host in hosts)
    lost = sum(host["interface"][f"{way}_drop"] for host in hosts for way in ("sent", "received"))
    logged = sum(packet["made_of"] is None for packet in packets)
    return lost == 0 and sent == logged and not any(packet["action"] == "lost" for packet in packets)
