"""Two points of the lab, held against the link's log: clocks set wrong, losses placed, NAT seen through."""

from __future__ import annotations

from pathlib import Path

import pytest
import two_recordings as two

import k8scap

pytestmark = pytest.mark.root
OFFSET_NS, DRIFT = 77_123_456, 20e-6
LOSSY, ASYMMETRIC = ("two-points", 1), ("asymmetric-path", 1)


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario, seed in (LOSSY, ASYMMETRIC):
        run.begin(scenario, seed=seed)


class Shifted:
    """A run whose server's clock was set wrong, opened and correlated."""

    def __init__(self, made, *, nat=False):
        self.truth = made.truth
        server = made.directory / f"{made.name}.server.pcap"
        self.true_offset = two.shift_clock(server, offset_ns=OFFSET_NS, drift=DRIFT)
        if nat:
            two.translate(server, address="198.18.0.10", to="203.0.113.9", port_shift=1000)
        self.cap = k8scap.load(made.directory / f"{made.name}.json")
        self.found = k8scap.correlate(self.cap)

    def wrong_ms(self):
        clock = self.found.clocks.iloc[0]
        return clock["offset_ms"] - self.true_offset(clock["middle"].value) / 1e6


@pytest.fixture(scope="module")
def lossy(run):
    return Shifted(run(LOSSY[0], seed=LOSSY[1]))


@pytest.fixture(scope="module")
def asymmetric(run):
    return Shifted(run(ASYMMETRIC[0], seed=ASYMMETRIC[1]), nat=True)


def test_both_ends_are_points_of_one_capture_under_the_hosts_names(lossy):
    assert lossy.cap.points == ("client", "server")
    assert [manifest.counters.complete for manifest in lossy.cap.manifests] == [True, True]
    assert lossy.truth["whole"] is True


def test_the_offset_is_right_on_a_symmetric_path(lossy):
    assert abs(lossy.wrong_ms()) < 0.05


def test_the_offset_is_wrong_by_half_of_the_asymmetry_and_within_what_is_said(asymmetric):
    half = asymmetric.truth["parameters"]["asymmetry_ms"] / 2
    assert abs(asymmetric.wrong_ms()) == pytest.approx(half, abs=0.05)
    assert abs(asymmetric.wrong_ms()) <= asymmetric.found.clocks["asymmetry_ms"].iloc[0]


def test_every_dropped_packet_is_placed_and_nothing_else_is(lossy):
    dropped = two.dropped(lossy.truth)
    assert len(dropped) > 20
    assert two.called_lost(lossy.cap, lossy.found) == dropped


def test_delays_are_what_the_link_took(lossy):
    one_way = lossy.truth["path"]["rtt_ms"] / 2
    paths = lossy.found.paths
    assert paths["min_ms"].between(one_way, one_way + 0.5).all()


def test_through_nat_nothing_is_missing_that_was_there(asymmetric):
    found = asymmetric.found
    assert found.connections["rewritten"].all()
    assert set(found.connections["src_b"].astype(str)) == {"203.0.113.9"}
    passed = sum(
        row["action"] in {"pass", "delay"} and {row["src"], row["dst"]} == two.BETWEEN
        for row in asymmetric.truth["packets"]
    )
    assert len(found.packets) == passed
    assert set(found.missing["verdict"]) == {"not_judged"}  # lookups: the resolver is not the server


def test_the_command_line_says_the_same(lossy, capsys):
    from k8scap.cli import main

    files = [str(recording.files[0]) for recording in lossy.cap.recordings]
    assert main(["correlate", *files, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(",lost," in line for line in lines) == len(two.dropped(lossy.truth))
    assert main(["correlate", *files]) == 0
    assert "client → server" in capsys.readouterr().out
    assert {Path(file).suffix for file in files} == {".pcap"}
