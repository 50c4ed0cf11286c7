"""Each scenario shows what it is named after: by tshark's eyes and by the servers' and clients' own logs."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from statistics import median

import pytest

import k8scap
from k8scap import lab

SCENARIOS = ("clean", "connection-refused", "dns-timeout", "packet-loss", "slow-reader", "slow-server")
SEEDS = (1, 2)


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for seed in SEEDS:
        for scenario in SCENARIOS:
            run.begin(scenario, seed=seed)


def test_the_lab_has_these_scenarios():
    assert set(SCENARIOS) <= set(lab.SCENARIOS)
    assert all(lab.SCENARIOS.values())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_run_is_whole_short_and_ends_in_order(run, scenario):
    made = run(scenario)
    assert made.truth["whole"] is True
    started, ended = made.truth["started_ns"], max(row["time_out_ns"] or 0 for row in made.log)
    assert 0.3 < (ended - started) / 1e9 < 5
    opened = set(made.tshark("tcp.stream", where="tcp.flags.syn == 1 && tcp.flags.ack == 1"))
    for side in ("198.18.0.10", "198.18.0.20"):
        closed = set(made.tshark("tcp.stream", where=f"tcp.flags.fin == 1 && ip.src == {side}"))
        assert closed == opened


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ordinary_traffic_goes_on_beside_the_fault(run, scenario):
    made = run(scenario)
    background = made.truth["parameters"]["background"]
    assert len(made.served("web")) == background["keep_alive_requests"]
    assert len(made.served("api")) == background["closed_requests"]
    streams = made.tshark("tcp.stream", where="tcp.dstport == 8080 && tcp.flags.syn == 1")
    assert len(set(streams)) == background["closed_requests"]
    assert len(set(made.tshark("tcp.stream", where="tcp.dstport == 80 && tcp.flags.syn == 1"))) == 1
    answers = made.tshark("dns.qry.name", where="dns.flags.response == 1 && dns.flags.rcode == 0")
    assert {("web.lab.test",), ("api.lab.test",)} <= set(answers)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_manifest_says_who_is_who_and_that_nothing_was_lost(run, scenario):
    manifest = run(scenario).capture.manifest
    names = {entry.name: entry.address for entry in manifest.names}
    assert names == {"client": "198.18.0.10", "server": "198.18.0.20", "resolver": "198.18.0.53"}
    assert manifest.counters.complete
    assert manifest.counters.dropped == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_wrong_in_clean(run, seed):
    clean = run("clean", seed=seed)
    assert [row for row in clean.log if row.get("copy", 0) > 1] == []
    assert {row["action"] for row in clean.log} == {"pass"}
    wrong = "tcp.analysis.retransmission || tcp.analysis.zero_window || tcp.flags.reset == 1 || icmp"
    assert clean.tshark("frame.number", where=wrong) == []
    queries = clean.tshark("dns.id", where="dns.flags.response == 0")
    assert sorted(queries) == sorted(clean.tshark("dns.id", where="dns.flags.response == 1"))
    assert all("error" not in job for job in clean.truth["hosts"]["client"]["jobs"])


@pytest.mark.parametrize("seed", SEEDS)
def test_packet_loss_drops_data_from_the_client(run, seed):
    lossy = run("packet-loss", seed=seed)
    dropped = [row for row in lossy.log if row["action"] == "drop"]
    assert len(dropped) >= 5
    assert all(row["src"] == "198.18.0.10" and row["payload_length"] > 0 for row in dropped)
    sent = Counter(lossy.tshark("tcp.stream", "tcp.seq", where="tcp.len > 0 && ip.src == 198.18.0.10"))
    assert sum(times - 1 for times in sent.values()) >= len(dropped)  # each was sent again
    upload = lossy.truth["parameters"]["upload_bytes"]
    assert [row["received_bytes"] for row in lossy.served("bulk")] == [upload]


@pytest.mark.parametrize("seed", SEEDS)
def test_slow_server_thinks_before_the_first_byte(run, seed):
    slow = run("slow-server", seed=seed)
    thinks = slow.truth["parameters"]["think_ms"]
    rtt = slow.truth["path"]["rtt_ms"]
    times = slow.tshark("http.time", where="http.response && tcp.srcport == 8081")
    waited = [float(time) * 1000 - rtt for (time,) in times]
    assert len(waited) == len(thinks)
    beyond = [wait - think for wait, think in zip(waited, thinks, strict=True)]
    assert min(beyond) > -5
    assert median(beyond) < 120  # what a busy machine adds
    others = slow.tshark("http.time", where="http.response && tcp.srcport == 80")
    assert median(float(time) * 1000 for (time,) in others) < rtt + 60


@pytest.mark.parametrize("seed", SEEDS)
def test_slow_reader_closes_its_window(run, seed):
    slow = run("slow-reader", seed=seed)
    closed = slow.tshark("tcp.stream", where="tcp.analysis.zero_window && ip.src == 198.18.0.20")
    assert len(closed) >= len(slow.truth["parameters"]["pauses_s"]) - 1
    uploads = slow.tshark("tcp.stream", where="tcp.dstport == 5001 && tcp.flags.syn == 1")
    assert set(closed) == set(uploads)
    upload = slow.truth["parameters"]["upload_bytes"]
    assert [row["received_bytes"] for row in slow.served("bulk")] == [upload]


@pytest.mark.parametrize("seed", SEEDS)
def test_connection_refused_answers_each_syn_with_a_reset(run, seed):
    refused = run("connection-refused", seed=seed)
    attempts = refused.truth["parameters"]["attempts"]
    assert len(refused.tshark("frame.number", where="tcp.dstport == 9000 && tcp.flags.syn == 1")) == attempts
    resets = "tcp.srcport == 9000 && tcp.flags.reset == 1 && tcp.flags.ack == 1"
    assert len(refused.tshark("frame.number", where=resets)) == attempts
    errors = [job["error"] for job in refused.jobs("dial")]
    assert len(errors) == attempts
    assert all(error.startswith("ConnectionRefusedError") for error in errors)


@pytest.mark.parametrize("seed", SEEDS)
def test_dns_timeout_leaves_one_name_unanswered(run, seed):
    silent = run("dns-timeout", seed=seed)
    name, attempts = silent.truth["parameters"]["name"], silent.truth["parameters"]["attempts"]
    asked = silent.tshark("dns.id", where=f'dns.flags.response == 0 && dns.qry.name == "{name}"')
    assert len(asked) == attempts
    assert silent.tshark("dns.id", where=f'dns.flags.response == 1 && dns.qry.name == "{name}"') == []
    assert [job["attempts"] for job in silent.jobs("dns") if job["answer"] is None] == [attempts]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_raises_the_finding_that_it_is_named_after_and_no_other(run, scenario, seed):
    findings = k8scap.diagnose(run(scenario, seed=seed).capture)
    raised = {finding.rule for finding in findings if finding.status == "found"}
    assert raised == ({scenario} if scenario != "clean" else set())


def test_the_same_seed_draws_the_same_run(run, tmp_path_factory):
    first = run("packet-loss", seed=2)
    again = type(first)("packet-loss", directory=tmp_path_factory.mktemp("again"), seed=2)
    assert again.truth["parameters"] == first.truth["parameters"]
    assert again.truth["plan"] == first.truth["plan"]
    assert first_drops(again) == first_drops(first)
    assert run("packet-loss", seed=1).truth["parameters"] != first.truth["parameters"]


def first_drops(made):
    """Which data segments of the upload were lost the first time that they were sent."""
    sent = made.connection(port=5001, nth=1, to="server")
    return [row["segment"] for row in sent if row["action"] == "drop" and row["copy"] == 1]


def test_every_loss_is_the_seeds_own_decision(run):
    """The formula of docs/lab.md, computed anew for each data segment that entered the link."""
    lossy = run("packet-loss", seed=1)
    (rule,) = lossy.truth["plan"]
    p = lossy.truth["parameters"]["loss"]
    to_server = [row for row in lossy.log if row.get("direction") == "to-server" and row.get("segment")]
    assert len(to_server) > 150
    for row in to_server:
        words = f"1 {rule} {row['dst_port']} {row['nth']} server segment {row['segment']} {row['copy']}"
        drawn = int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big") / 2**64
        assert (row["action"] == "drop") == (drawn < p)
