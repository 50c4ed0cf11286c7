"""Seconds lost, counted once: stalls that overlap in time cost their union, never their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


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


def times_apart(starts: pd.Series, ends: pd.Series) -> int:
    """The most of the intervals `starts[i]` … `ends[i]` of which no two overlap: one moment hits one of them.

    By taking whichever ends first, again and again.
    """
    import pandas as pd

    known = pd.DataFrame({"start": starts, "end": ends}).dropna().sort_values("end", kind="stable")
    begin, end = (pd.DatetimeIndex(known[name]).as_unit("ns").asi8.tolist() for name in ("start", "end"))
    count, free = 0, -1
    for since, until in zip(begin, end, strict=True):
        if since > free:
            count, free = count + 1, until
    return count
