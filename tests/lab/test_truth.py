"""Captured at the sender, the retransmissions that k8scap finds are those that the link's log shows.

Twenty seeds each of `packet-loss` and `clean`. The link and the analysis know nothing of each other: one
counts bytes as they pass, the other reads the capture through tshark.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from k8scap import lab

SEEDS = range(1, 21)
RUNS = [(scenario, seed) for scenario in ("packet-loss", "clean") for seed in SEEDS]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All the runs, two at a time: while one waits for its round trips, the other computes."""
    folder = tmp_path_factory.mktemp("truth")

    def make(scenario, seed):
        name = f"{scenario}-{seed}"
        capture = lab.run(scenario, seed=seed, directory=folder, name=name)
        return capture, json.loads((folder / f"{name}.truth.json").read_text())

    with ThreadPoolExecutor(2) as pool:
        yield {key: pool.submit(make, *key) for key in RUNS}


def found(capture):
    """What k8scap calls a retransmission, by connection, sender and sequence number."""
    table = capture.retransmissions
    places = zip(
        table["src"].astype(str),
        table["src_port"].astype(int),
        table["dst_port"].astype(int),
        table["seq"].astype(int),
        strict=True,
    )
    return Counter(places)


def place(row):
    return row["src"], row["src_port"], row["dst_port"], row["seq"]


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_events_are_the_segments_that_the_log_shows_twice(runs, scenario, seed):
    capture, truth = runs[scenario, seed].result()
    assert truth["whole"]
    seen_again = Counter(place(row) for row in truth["packets"] if row.get("copy", 0) > 1)
    events = found(capture)
    assert (events - seen_again, seen_again - events) == (Counter(), Counter())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_dropped_data_segment_is_among_the_events(runs, seed):
    capture, truth = runs["packet-loss", seed].result()
    dropped = [row for row in truth["packets"] if row["action"] == "drop" and row["payload_length"]]
    assert len(dropped) >= 5
    events = found(capture)
    assert [place(row) for row in dropped if place(row) not in events] == []
