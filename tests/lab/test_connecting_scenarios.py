"""Connections that do not come about: what is found, held against the link's log and the hosts' own."""

from __future__ import annotations

from collections import defaultdict

import pytest

import k8scap
from k8scap.lab.catalogue import CATALOGUE

pytestmark = pytest.mark.root

MIXED = "snat-port-race+packet-loss"
INNOCENT = "cancelled-requests+port-probes"
ALONE = ("listen-queue-overflow", "stale-endpoint", "firewall-reject", "connection-churn")


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario in (*ALONE, MIXED, INNOCENT):
        run.begin(scenario)


def loud(made):
    findings = k8scap.diagnose(made.capture)
    return [f for f in findings if f.status == "found" and f.severity != "info"]


def syns(made, *, port):
    """The link's rows of the SYNs to a port, by client port."""
    rows = defaultdict(list)
    for row in made.log:
        if row.get("dst_port") == port and row.get("flags") == "S":
            rows[row["src_port"]].append(row)
    return rows


@pytest.mark.parametrize("scenario", ALONE)
def test_each_is_found_with_its_cause_and_nothing_else(run, scenario):
    found = loud(run(scenario))
    entry = CATALOGUE[scenario]
    assert {finding.rule for finding in found} == {entry.rule}, [f.title for f in found]
    assert found[0].consistent_with[0] in entry.causes
    assert run(scenario).truth["whole"] is True


def test_the_clients_that_were_held_up_had_to_say_it_again(run):
    made = run("listen-queue-overflow")
    parameters = made.truth["parameters"]
    (found,) = loud(made)
    again = {row["src_port"] for row in made.log if row.get("dst_port") == 9000 and row["copy"] > 1}
    assert found.affected == len(again) == parameters["clients"] - (parameters["backlog"] + 1)
    assert found.total == parameters["clients"] == len(made.served("payments"))
    assert f"counted {made.capture.manifest.evidence['end']['TcpExt.ListenOverflows']}" in found.title
    assert made.truth["captured_at"] == "server"


def test_a_stale_endpoint_is_an_address_that_nobody_has(run):
    made = run("stale-endpoint")
    (found,) = loud(made)
    lost = [row for row in made.log if row["action"] == "unroutable"]
    assert {row["dst"] for row in lost} == {"198.18.0.40"}
    assert found.affected == len({row["src_port"] for row in lost})
    assert f"none of {len(lost)} SYNs" in found.title
    assert found.next_step == "kubectl describe pod -n shop payments-x9k1p"


def test_a_firewalls_answer_is_not_the_hosts(run):
    made = run("firewall-reject")
    (found,) = loud(made)
    assert found.affected == len([row for row in made.log if row["action"] == "reject"])
    assert "ICMP" in found.title


def test_churn_costs_what_the_handshakes_took(run):
    made = run("connection-churn")
    parameters = made.truth["parameters"]
    (found,) = loud(made)
    assert found.affected == parameters["requests"]
    assert found.seconds_lost == pytest.approx(parameters["requests"] * parameters["rtt_ms"] / 1000, rel=0.25)


def test_lost_syns_and_lost_data_are_told_apart(run):
    made = run(MIXED)
    found = {finding.rule: finding for finding in loud(made)}
    assert set(found) == {"connect-timeout", "packet-loss"}
    connecting = syns(made, port=8443)
    late = [rows for rows in connecting.values() if rows[0]["action"] == "drop"]
    assert len(late) >= 4
    assert (found["connect-timeout"].affected, found["connect-timeout"].total) == (len(late), len(connecting))
    longest = max(rows[-1]["time_ns"] for rows in late) - min(rows[0]["time_ns"] for rows in late)
    rtt_s = made.truth["path"]["rtt_ms"] / 1000
    assert found["connect-timeout"].seconds_lost == pytest.approx(longest / 1e9 + rtt_s, abs=0.1)
    assert found["connect-timeout"].consistent_with[0] == "snat-port-race"


def test_probes_and_cancelled_requests_raise_nothing(run):
    made = run(INNOCENT)
    assert loud(made) == []
    assert len(made.jobs("dial")) == made.truth["parameters"]["probes"]
    assert len(made.jobs("cancel")) == len(made.truth["parameters"]["cancelled_after_s"])
