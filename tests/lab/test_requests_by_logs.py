"""The requests table, held against what the lab's servers and clients wrote down themselves."""

from __future__ import annotations

from collections import Counter
from statistics import median

import pytest

pytestmark = pytest.mark.root
SCENARIOS = ("slow-server", "packet-loss", "dns-timeout")
PORTS = {"web": 80, "api": 8080, "reports": 8081}


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario in SCENARIOS:
        run.begin(scenario, seed=3)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_request_that_a_server_answered_is_there_once_with_its_status(run, scenario):
    made = run(scenario, seed=3)
    http = made.capture.requests_of(masked=False).query("protocol == 'HTTP/1'")
    served = Counter(
        (row["client_port"], row["path"], str(row["status"]))
        for service in PORTS
        for row in made.served(service)
    )
    assert Counter(zip(http["src_port"], http["target"], http["status"], strict=True)) == served
    assert len(served) > 5


def test_the_latency_is_the_servers_time_and_the_links(run):
    made = run("slow-server", seed=3)
    http = made.capture.requests_of(masked=False).query("protocol == 'HTTP/1'")
    took = {
        (row["client_port"], row["path"]): (row["answered_ns"] - row["received_ns"]) / 1e6
        for service in PORTS
        for row in made.served(service)
    }
    beyond = [row.latency_ms - took[row.src_port, row.target] for row in http.itertuples()]
    assert min(beyond) > 0
    assert median(beyond) - min(beyond) < 10  # the link's is the same for all; a busy machine's is not


def test_names_are_asked_for_as_often_as_the_clients_say(run):
    made = run("dns-timeout", seed=3)
    dns = made.capture.requests.query("protocol == 'DNS'")
    asked = Counter(
        (job["query"], job["attempts"] - 1, "NOERROR" if job["answer"] else "") for job in made.jobs("dns")
    )
    assert Counter(zip(dns["target"], dns["retries"], dns["status"], strict=True)) == asked
    assert dns["retries"].max() > 0
