"""Seconds lost are a union of intervals: expected numbers are worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8scap.findings.intervals import times_apart, union_seconds


def times(*seconds: float | None) -> pd.Series:
    return pd.Series(pd.to_datetime(list(seconds), unit="s", utc=True))


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        ((), (), 0.0),
        ((0,), (2,), 2.0),
        ((0, 1, 5), (2, 3, 6), 4.0),  # 0…3 and 5…6
        ((0, 0, 0), (10, 10, 10), 10.0),  # three connections stalled together: ten seconds, not thirty
        ((0, 2), (10, 3), 10.0),  # one inside the other
        ((0, 1), (1, 2), 2.0),  # they touch
        ((5, 0), (6, 1), 2.0),  # not in order
        ((3, 0), (2, 1), 1.0),  # one that ends before it starts
        ((None, 0), (4, 1), 1.0),  # nobody knows when it started
    ],
)
def test_seconds_are_counted_once(
    starts: tuple[float, ...], ends: tuple[float, ...], expected: float
) -> None:
    assert union_seconds(times(*starts), times(*ends)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12))
def test_a_union_is_what_its_instants_say(intervals: list[tuple[int, int]]) -> None:
    seconds = {second for start, end in intervals for second in range(start, end)}
    starts, ends = times(*(start for start, _ in intervals)), times(*(end for _, end in intervals))
    assert union_seconds(starts, ends) == pytest.approx(len(seconds))


def test_how_many_of_them_are_apart() -> None:
    chain = [(0, 3), (2, 5), (4, 7), (6, 9)]  # without a gap, and yet no moment is in all
    pause = [(0, 9), (1, 9), (2, 8), (3, 8)]
    for intervals, expected in ((chain, 2), (pause, 1), ([(0, 1), (2, 3), (4, 5)], 3), ([], 0)):
        starts, ends = (pd.to_datetime([i[end] for i in intervals], unit="s", utc=True) for end in (0, 1))
        assert times_apart(pd.Series(starts), pd.Series(ends)) == expected
