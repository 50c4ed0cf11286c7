"""DNS faults as the lab makes them: by tshark's eyes and the client's own log, and what is found in them."""

from __future__ import annotations

from collections import Counter

import pytest

import k8scap
from k8scap.lab.stub_resolver import StubLookups

pytestmark = pytest.mark.root

SEED = 7


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario in ("conntrack-race", "ndots-storm", "dns-servfail"):
        run.begin(scenario, seed=SEED)


def loud(made):
    findings = k8scap.diagnose(made.capture)
    return [f for f in findings if f.status == "found" and f.severity != "info"]


def asked(made, **of):
    """(name, type) → how often it was asked, by tshark."""
    where = " && ".join(["dns.flags.response == 0", *of.values()])
    return Counter(made.tshark("dns.qry.name", "dns.qry.type", where=where))


def test_the_race_loses_one_of_a_pair_and_both_are_asked_again_from_one_socket(run):
    made = run("conntrack-race", seed=SEED)
    parameters = made.truth["parameters"]
    counts = asked(made)
    for name in parameters["names"]:
        times = 2 if name in parameters["raced"] else 1
        assert counts[name, "1"] == counts[name, "28"] == times
        ports = set(made.tshark("udp.srcport", where=f'dns.flags.response == 0 && dns.qry.name == "{name}"'))
        assert len(ports) == 1
    lost = [row for row in made.log if row["action"] == "drop"]
    assert len(lost) == len(parameters["raced"])
    assert {job["answer"] for job in made.jobs("getaddrinfo")} == {"198.18.0.20"}


def test_the_race_is_found_with_what_it_cost(run):
    made = run("conntrack-race", seed=SEED)
    (found,) = loud(made)
    parameters = made.truth["parameters"]
    assert (found.rule, found.consistent_with[0]) == ("dns-timeout", "conntrack-race")
    assert found.affected == len(parameters["raced"])
    assert found.destination == "kube-system/svc/kube-dns (198.18.0.53:53)"
    assert found.seconds_lost == pytest.approx(parameters["timeout_s"] * found.affected, rel=0.2)


def test_the_search_list_is_found_with_what_it_cost(run):
    made = run("ndots-storm", seed=SEED)
    (found,) = loud(made)
    parameters = made.truth["parameters"]
    vain = len(parameters["names"]) * len(parameters["search"]) * 2
    assert len(made.tshark("dns.id", where="dns.flags.rcode == 3")) == vain
    assert (found.rule, found.affected) == ("dns-search-waste", vain)
    assert found.seconds_lost > made.truth["path"]["rtt_ms"] / 1000 * vain / 2 * 0.9


def test_failures_are_found_by_their_names(run):
    made = run("dns-servfail", seed=SEED)
    (found,) = loud(made)
    code = made.truth["parameters"]["code"]
    assert found.rule == "dns-failure"
    assert found.affected == len(made.tshark("dns.id", where=f"dns.flags.rcode == {code}"))
    assert any(name in found.title for name in made.truth["parameters"]["names"])


def test_names_are_asked_in_the_order_of_resolv_conf():
    stub = StubLookups(names=[], first_id=1, search=("a.local", "local"), ndots=5)
    assert stub.candidates("x.example.com") == [
        "x.example.com.a.local",
        "x.example.com.local",
        "x.example.com",
    ]
    assert stub.candidates("x.example.com.") == ["x.example.com"]
    few = StubLookups(names=[], first_id=1, search=("a.local",), ndots=1)
    assert few.candidates("x.example.com") == ["x.example.com", "x.example.com.a.local"]
