"""Captured at the sender, the retransmissions that k8scap finds are those that the link's log shows.

Twenty seeds each of `packet-loss` and `clean`. The link and the analysis know nothing of each other: one
counts bytes as they pass, the other reads the capture through tshark.
"""

from __future__ import annotations

from collections import Counter

import pytest

SEEDS = range(1, 21)
RUNS = [(scenario, seed) for scenario in ("packet-loss", "clean") for seed in SEEDS]


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for scenario, seed in RUNS:
        run.begin(scenario, seed=seed)


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
def test_events_are_the_segments_that_the_log_shows_twice(run, scenario, seed):
    made = run(scenario, seed=seed)
    assert made.truth["whole"]
    seen_again = Counter(place(row) for row in made.log if row.get("copy", 0) > 1)
    events = found(made.capture)
    assert (events - seen_again, seen_again - events) == (Counter(), Counter())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_dropped_data_segment_is_among_the_events(run, seed):
    lossy = run("packet-loss", seed=seed)
    dropped = [row for row in lossy.log if row["action"] == "drop" and row["payload_length"]]
    assert len(dropped) >= 5
    events = found(lossy.capture)
    assert [place(row) for row in dropped if place(row) not in events] == []
