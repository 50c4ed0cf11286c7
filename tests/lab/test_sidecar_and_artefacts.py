"""Servers slow for the host's reasons, and what only looks wrong: held against servers' logs and tshark."""

from __future__ import annotations

import pytest

import k8scap
from k8scap.sharing.evidence import frames_of
from k8scap.sharing.recordings import Contents, write_part

pytestmark = pytest.mark.root

ARTEFACTS = {
    "duplicate-capture": "duplicate-capture",
    "checksum-offload": "checksum-offload",
    "super-packets": "super-packets",
}


def found(made):
    return [f for f in k8scap.diagnose(made.capture) if f.status == "found"]


def loud(made):
    return [f for f in found(made) if f.severity != "info"]


@pytest.mark.parametrize("scenario", ARTEFACTS)
def test_what_the_capture_makes_of_good_traffic_is_a_note(run, scenario):
    made = run(scenario)
    assert made.truth["whole"] is True
    assert all("error" not in job for job in made.truth["hosts"]["pod"]["jobs"])
    assert ARTEFACTS[scenario] in {f.rule for f in found(made)}
    assert loud(made) == []


def test_a_packet_on_two_interfaces_is_counted_once(run):
    """The link saw each packet of the pod once; tshark's frames have each once more."""
    made = run("duplicate-capture")
    pod = "198.18.0.30"
    passed = [row for row in made.log if row["protocol"] == "tcp" and pod in (row["src"], row["dst"])]
    frames = made.tshark("frame.number", where=f"tcp && ip.addr == {pod}")
    assert len(frames) == 2 * len(passed)
    assert made.capture.quality.duplicates == len(passed)
    conversations = made.capture.conversations
    assert len(made.capture.retransmissions) == 0
    assert (conversations["protocol"] == "TCP").sum() == len(set(made.tshark("tcp.stream", where="tcp")))
    lookups = made.capture.lookups
    assert lookups["answered"].all()


def test_checksums_that_the_pod_left_undone_are_those_it_sent(run):
    made = run("checksum-offload")
    verify = ("tcp.check_checksum:TRUE",)
    bad = made.tshark("ip.src", where="tcp.checksum.status == 0", prefer=verify)
    assert bad
    assert {source for (source,) in bad} == {"198.18.0.30"}
    quality = made.capture.quality
    assert (quality.bad_checksums_sent, quality.bad_checksums) == (len(bad), len(bad))
    assert quality.side == "client"


def test_pieces_longer_than_any_link_carries_were_cut_on_their_way(run):
    made = run("super-packets")
    long = made.tshark("frame.len", where="tcp && frame.len > 1522")
    assert long
    assert made.capture.quality.super_packets == len(long)
    assert made.capture.quality.largest_frame == max(int(length) for (length,) in long)
    assert max(row["length"] for row in made.log) <= 1500


def test_a_used_up_quota_is_proven_by_the_servers_own_account(run):
    made = run("cpu-throttling")
    (worst, *_) = loud(made)
    assert {f.rule for f in loud(made)} == {"slow-server"}
    served = [row for row in made.served("reports") if "received_ns" in row]
    waits = sum(row["answered_ns"] - row["received_ns"] for row in served) / 1e9
    reports = next(f for f in loud(made) if "8081" in f.destination)
    assert reports.affected == made.truth["parameters"]["requests"] == len(served)
    assert reports.seconds_lost == pytest.approx(waits, rel=0.25)
    (how,) = [row["throttled_by"] for row in made.served("reports") if "throttled_by" in row]
    if how == "cgroup":
        assert worst.consistent_with[0] == "cpu-throttling"
        assert "proof" in worst.title
    assert made.capture.quality.side == "server"


def test_a_sidecars_share_is_its_delay(run):
    made = run("sidecar")
    (finding,) = loud(made)
    assert finding.rule == "slow-proxy"
    parameters = made.truth["parameters"]
    joins = made.truth["hosts"]["client"]["services"]
    assert finding.affected == len(parameters["think_ms"])
    hops = made.capture.hops
    outer = made.capture.conversations.set_index("stream")["src_port"]
    pairs = {(row.src_port, outer[row.outer_stream]) for row in hops.itertuples()}
    assert pairs == {(row["client_port"], row["proxy_port"]) for row in joins}
    assert set(zip(hops["dst"].astype(str), hops["dst_port"], strict=True)) == {("198.18.0.20", 8081)}
    assert hops["proxy_median_ms"].median() == pytest.approx(parameters["proxy_delay_ms"], rel=0.3)


def test_a_bundle_without_payload_shows_a_sidecars_share_too(run, tmp_path):
    made = run("sidecar")
    ((point, packets),) = frames_of(made.capture, {1: loud(made)[0]}).items()
    contents = Contents(payload=False, dns=False, note="trimmed")
    part = write_part(made.capture, point, packets, tmp_path / "part.pcapng", contents=contents)
    shared = k8scap.load(part.file)
    slow = next(finding for finding in shared.findings if finding.rule == "slow-proxy")
    assert (slow.status, slow.affected) == ("found", len(made.truth["parameters"]["think_ms"]))


def test_a_proxy_that_passes_on_at_once_is_no_fault(run):
    made = run("quick-sidecar")
    assert loud(made) == []
    assert made.capture.hops["outer_stream"].notna().all()
    assert "slow-proxy" in {f.rule for f in k8scap.diagnose(made.capture) if f.status == "ruled_out"}
