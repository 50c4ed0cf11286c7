"""Established connections that suffer: the findings' numbers against the link's own log, run by run."""

from __future__ import annotations

import pytest

import k8scap

pytestmark = pytest.mark.root

SEED = 3
FAULTS = (
    "burst-loss",
    "connection-leak",
    "delayed-ack",
    "duplicate-packets",
    "idle-reset",
    "mtu-black-hole",
    "reordering",
    "slow-sender",
)
CLIENT, SERVER = "198.18.0.10", "198.18.0.20"


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario in FAULTS:
        run.begin(scenario, seed=SEED)


def loud(made):
    findings = k8scap.diagnose(made.capture)
    return [f for f in findings if f.status == "found" and f.severity != "info"]


def done_to(made, action, *, to):
    return [row for row in made.log if row["action"] == action and row.get("direction") == f"to-{to}"]


def test_every_overtaken_segment_is_counted_on_either_side_of_the_capture(run):
    made = run("reordering", seed=SEED)
    (rule,) = {finding.rule for finding in loud(made)}
    assert rule == "reordering"
    found = {finding.source.split("(")[1]: finding.affected for finding in loud(made)}
    for to, source in (("server", CLIENT), ("client", SERVER)):
        late = len(done_to(made, "reorder", to=to))
        assert late >= 5
        # one whose followers were late too, or that had none, was overtaken by nothing
        assert 0.7 * late <= found[f"{source})"] <= late


def test_every_doubled_segment_is_counted_on_either_side_of_the_capture(run):
    made = run("duplicate-packets", seed=SEED)
    found = {finding.source.split("(")[1]: finding for finding in loud(made)}
    assert {finding.rule for finding in found.values()} == {"duplicate-packets"}
    for to, source in (("server", CLIENT), ("client", SERVER)):
        assert found[f"{source})"].affected == pytest.approx(len(done_to(made, "duplicate", to=to)), abs=1)
    assert "both copies" in found[f"{SERVER})"].title
    assert "beyond the capture point" in found[f"{CLIENT})"].title


def test_a_black_hole_is_as_wide_as_the_link_made_it(run):
    made = run("mtu-black-hole", seed=SEED)
    (found,) = loud(made)
    assert (found.rule, found.consistent_with[0]) == ("mtu-black-hole", "icmp-filtered")
    headers, mtu = 52, made.truth["parameters"]["mtu"]  # IPv4, TCP and its timestamps
    failed = made.tshark("tcp.len", where=f"frame.number in {{{','.join(map(str, found.frames))}}}")
    assert all(int(size) + headers > mtu for (size,) in failed)
    assert len(failed) == len(done_to(made, "mtu", to="server"))


def test_a_reset_after_silence_is_told_with_the_silence(run):
    made = run("idle-reset", seed=SEED)
    (found,) = loud(made)
    assert (found.rule, found.consistent_with[0]) == ("connection-reset", "idle-timeout")
    broken = [job for job in made.jobs("dialogue") if "error" in job]
    assert found.affected == len(broken) > 0
    idle = made.truth["parameters"]["idle_s"]
    low = float(found.title.split("after ")[1].split()[0])
    assert idle - 0.1 <= low <= idle + 0.5


def test_losses_in_bursts_are_told_from_losses_at_random(run):
    (found,) = loud(run("burst-loss", seed=SEED))
    lost = run("burst-loss", seed=SEED).truth["parameters"]["bursts"]
    assert found.affected >= sum(length for _, length in lost)
    assert found.consistent_with[0] in {"congestion", "queue-overflow"}


def test_a_delayed_ack_costs_each_request_40_ms(run):
    made = run("delayed-ack", seed=SEED)
    (found,) = loud(made)
    requests = made.truth["parameters"]["requests"]
    assert requests - 3 <= found.affected <= requests  # Linux acknowledges a connection's first ones at once
    assert 0.02 * found.affected < found.seconds_lost < 0.06 * found.affected
    assert found.source.startswith("client")


def test_a_sender_is_silent_for_as_long_as_it_slept(run):
    made = run("slow-sender", seed=SEED)
    (found,) = loud(made)
    silences = made.truth["parameters"]["silences_s"]
    assert (found.rule, found.affected) == ("slow-sender", 1)
    assert found.frame_count >= len(silences)
    # the kernel goes on sending after its application fell asleep, and round trips do not count
    assert 0.6 * sum(silences) < found.seconds_lost < sum(silences) + 0.5


def test_connections_that_nobody_closes_are_counted(run):
    made = run("connection-leak", seed=SEED)
    (found,) = loud(made)
    opened = made.jobs("leak")
    assert not any("error" in job for job in opened)
    assert found.rule == "connection-leak"
    # the last three were not passed over yet
    assert (found.affected, found.total) == (len(opened) - 3, len(opened))
