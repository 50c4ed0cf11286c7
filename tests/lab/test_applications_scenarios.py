"""TLS, HTTP and gRPC as the lab makes them: by tshark's eyes and both sides' own logs, and what is found."""

from __future__ import annotations

import pytest

import k8scap

pytestmark = pytest.mark.root

SEED = 4
FAULTS = ("expired-certificate", "tls-failure", "http-errors", "grpc-errors", "slow-endpoint")


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario in FAULTS:
        run.begin(scenario, seed=SEED)


def only(made):
    """The one finding that somebody should act upon."""
    loud = [f for f in k8scap.diagnose(made.capture) if f.status == "found" and f.severity != "info"]
    assert len(loud) == 1, [f.title for f in loud]
    return loud[0]


def test_an_expired_certificate_is_refused_by_each_client(run):
    made = run("expired-certificate", seed=SEED)
    refused = [job for job in made.jobs("tls") if "certificate has expired" in job.get("error", "")]
    found = only(made)
    assert len(refused) == made.truth["parameters"]["times"] == found.affected == found.total
    assert (found.rule, found.consistent_with[0]) == ("tls-failure", "expired-certificate")
    assert len(made.tshark("frame.number", where="tls.alert_message.desc == 45")) == found.affected


def test_failing_handshakes_are_told_by_their_kind(run):
    made = run("tls-failure", seed=SEED)
    found = only(made)
    assert (found.rule, found.consistent_with[0]) == ("tls-failure", made.truth["parameters"]["kind"])
    assert found.affected == sum("error" in job for job in made.jobs("tls"))
    assert found.total == len(made.jobs("tls"))


def test_answers_that_are_errors_are_counted_by_path(run):
    made = run("http-errors", seed=SEED)
    found = only(made)
    served = made.served("reports")
    failed = [row for row in served if row["status"] >= 500]
    assert (found.rule, found.affected, found.total) == ("http-errors", len(failed), len(served))
    assert f"GET /orders/{{…}} {len(failed)} of" in found.title


def test_statuses_of_grpc_count_as_answers_do(run):
    made = run("grpc-errors", seed=SEED)
    found = only(made)
    served = made.served("stock")
    failed = [row for row in served if row["status"]]
    assert len(failed) == made.truth["parameters"]["failing"]
    assert (found.rule, found.affected, found.total) == ("http-errors", len(failed), len(served))
    assert "POST /shop.Stock/Reserve" in found.title


def test_a_slow_path_is_told_by_its_name_and_no_other(run):
    made = run("slow-endpoint", seed=SEED)
    found = only(made)
    thinks = made.truth["parameters"]["think_ms"]
    assert (found.rule, found.affected, found.total) == ("slow-endpoint", len(thinks), len(thinks))
    assert found.seconds_lost == pytest.approx(sum(thinks) / 1000, rel=0.25)
    asked = "POST /shop.Stock/Search" if made.truth["parameters"]["protocol"] == "gRPC" else "GET /search/{…}"
    assert f"requests for {asked} waiting" in found.title
