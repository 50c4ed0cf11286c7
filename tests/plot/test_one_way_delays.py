"""Both ends of a path in one picture: held against the link's log, which dropped 28 and 21 packets."""

from __future__ import annotations

from pathlib import Path

import pytest

import k8scap
from k8scap import plot

CAPTURES = Path(__file__).resolve().parents[2] / "notebooks" / "captures"
DROPPED = {"client → server": 28, "server → client": 21}
PATH_MS = 4.69 / 2
"""What two-points draws with seed 9, one way."""


@pytest.fixture(scope="module")
def drawn():
    return plot.one_way_delays(k8scap.correlate(k8scap.load(CAPTURES / "two-points.json")))


def points(ax, word):
    """Of each way: the heights of the marks whose legend has the word."""
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines() if word in line.get_label()}
    return {label.split("\n")[0]: heights for label, heights in lines.items()}


def test_each_packet_that_the_link_dropped_is_a_cross(drawn):
    assert {way: len(heights) for way, heights in points(drawn, "lost").items()} == DROPPED
    assert "49 of" in drawn.get_title(loc="left")


def test_each_packet_that_passed_is_as_high_as_it_was_long_on_its_way(drawn):
    passed = points(drawn, "passed")
    assert passed.keys() == DROPPED.keys()
    for way, heights in passed.items():
        assert PATH_MS - 0.1 < min(heights) < PATH_MS + 0.3, way
    highest = max(max(heights) for heights in passed.values())
    assert all(min(heights) > highest for heights in points(drawn, "lost").values())


def test_captures_with_nothing_in_common_say_so():
    strangers = k8scap.correlate(
        k8scap.load(CAPTURES / "clean.pcap"), k8scap.load(CAPTURES / "slow-reader.pcap")
    )
    said = [text.get_text() for text in plot.one_way_delays(strangers).texts]
    assert said == ["No packet is known to have passed from one point to the other."]
    assert "no packet in common" in repr(strangers.answer("Where?"))
