"""Seconds lost, counted once: stalls that overlap in time cost their union, never their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    Interval = tuple[pd.Timestamp, pd.Timestamp]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants as disjoint intervals, in order. One that ends before it starts is left out."""
    merged: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[0] < i[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def union_seconds(starts: pd.Series, ends: pd.Series) -> float:
    """How long at least one of the intervals `starts[i]` … `ends[i]` lasted, in seconds.

    Two equally long columns of times; a row with NaT counts for nothing.
    """
    import numpy as np
    import pandas as pd

    begin, end = (pd.DatetimeIndex(times).as_unit("ns").asi8 for times in (starts, ends))
    known = (begin != pd.NaT.value) & (end > begin)  # NaT is the least of all numbers
    if not known.any():
        return 0.0
    order = np.argsort(begin[known], kind="stable")
    begin, end = begin[known][order], np.maximum.accumulate(end[known][order])
    covered = np.append(begin[:1], end[:-1])
    return float(np.maximum(end - np.maximum(begin, covered), 0).sum() / 1e9)


def overlap_seconds(intervals: Iterable[Interval], start: pd.Timestamp, end: pd.Timestamp) -> float:
    """How much of `start` … `end` the union of `intervals` covers, in seconds."""
    return _seconds(union((max(a, start), min(b, end)) for a, b in intervals))


def _seconds(disjoint: list[Interval]) -> float:
    return float(sum((end - start).total_seconds() for start, end in disjoint))
