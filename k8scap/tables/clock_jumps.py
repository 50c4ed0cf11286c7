"""Where the capture's clock was set: times that go back, or leap while the senders' own clocks do not.

A quiet minute and a clock set a minute on look alike in the times of the records. The TCP timestamps (RFC
7323) come from the senders' own clocks, which nobody sets: where they say that less passed, the capture's
clock leapt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

LEAP_NS = 1_000_000_000
"""Nanoseconds between two records from which it can be a clock that was set; interfaces that are read in
turn put records out of order by milliseconds."""
DISAGREES = 0.2
"""Share of the step that the senders' clocks must deny: they drift by far less."""
TICK_NS = 1_000_000.0
"""Nanoseconds of a timestamp's tick where a connection is too short to tell: Linux's, Windows' and macOS'."""
TICKS_TELL = 100
"""Ticks between two segments from which their times tell the length of one."""
_TURN = 2**32


def clock_jumps(packets: pd.DataFrame, segments: Segments) -> Ints:
    """Positions (int64) of the rows of `packets` before which the capture's clock jumped, by capture point.

    `segments` are those of the same table. A step back by a second or more is one; a step on only where
    timestamps on both sides of it deny it.
    """
    import numpy as np

    from k8scap.tables.assembly import ABSENT, nanoseconds
    from k8scap.tables.endpoints import chosen_rows

    if len(packets) < 2:
        return np.zeros(0, dtype=np.int64)
    order, some = chosen_rows(packets, np.ones(len(packets), dtype=bool))
    time = nanoseconds(packets["time"])[some]
    point = np.asarray(packets["point"].astype("category").cat.codes)[some]
    step = np.diff(time)
    adjacent = (point[1:] == point[:-1]) & (time[1:] != ABSENT) & (time[:-1] != ABSENT)
    back = np.flatnonzero(adjacent & (step <= -LEAP_NS)) + 1
    leaps = np.flatnonzero(adjacent & (step >= LEAP_NS)) + 1
    denied = leaps[_denied(leaps, segments, _places(order))] if len(leaps) else leaps
    return order[np.sort(np.concatenate((back, denied)))]


def _places(order: Ints) -> Ints:
    """Where each row of the table stands in the order of capture."""
    import numpy as np

    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _denied(leaps: Ints, segments: Segments, place: Ints) -> Bools:
    """Which steps on some sender's timestamps deny: pairs of its segments that lie about them."""
    import numpy as np

    by_side = segments.by_side[segments.tsval[segments.by_side] > 0]
    side, row = segments.side[by_side], place[segments.row[by_side]]
    pairs = np.flatnonzero((side[1:] == side[:-1]) & (row[1:] > row[:-1]))
    first, second = by_side[pairs], by_side[pairs + 1]
    passed = segments.time[second] - segments.time[first]
    ticks = (segments.tsval[second] - segments.tsval[first] + _TURN // 2) % _TURN - _TURN // 2
    told = ticks * _tick(segments.side[first], passed, ticks)[segments.side[first]]
    begin = np.searchsorted(leaps, row[pairs], side="right")  # the leaps within (first, second]
    end = np.searchsorted(leaps, row[pairs + 1], side="right")
    about = np.flatnonzero(end > begin)
    deny = about[(passed - told)[about] >= np.maximum(LEAP_NS, DISAGREES * passed[about])]
    confirm = about[np.abs(passed - told)[about] < DISAGREES * passed[about]]
    denied = _covered(begin[deny], end[deny], len(leaps)) > 0
    answer: Bools = denied & (_covered(begin[confirm], end[confirm], len(leaps)) == 0)
    return answer


def _covered(begin: Ints, end: Ints, size: int) -> Ints:
    """How many of the spans cover each of `size` places."""
    import numpy as np

    change = np.bincount(begin, minlength=size + 1) - np.bincount(end, minlength=size + 1)
    return np.cumsum(change)[:size]


def _tick(side: Ints, passed: Ints, ticks: Ints) -> Floats:
    """Nanoseconds of one tick, by side: the usual one nearest to the middle of what its pairs say.

    Pairs about a jump say something else, so a side of few pairs is taken for a millisecond's.
    """
    import numpy as np

    result = np.full(int(side.max()) + 1 if len(side) else 0, TICK_NS)
    tells = np.flatnonzero(ticks >= TICKS_TELL)
    if not len(tells):
        return result
    length = passed[tells] / ticks[tells]
    order = np.lexsort((length, side[tells]))
    sides, start, count = np.unique(side[tells][order], return_index=True, return_counts=True)
    middle = length[order][start + (count - 1) // 2]
    usual = np.array([1e3, 1e6, 4e6, 1e7])  # 1 µs, 1 ms, 4 ms (HZ=250), 10 ms (HZ=100)
    nearest = usual[np.abs(np.log(np.maximum(middle, 1)[:, None] / usual)).argmin(axis=1)]
    enough = count >= 3
    result[sides[enough]] = nearest[enough]
    return result
