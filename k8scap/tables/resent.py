"""Whether bytes were sent again, as far as the capture shows: what a receiver's reports are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


def sent_again(replay: Replay, side: Ints, left: Ints, right: Ints) -> Bools:
    """Whether a `side` sent any byte from `left` up to `right` again, at any time.

    Sides as in `Segments`; arrays of equal length. Repeats that overlap each other are joined, so that one
    search finds them all.
    """
    import numpy as np

    found = replay.segments
    again = np.flatnonzero(replay.coverage.repeats | replay.coverage.fills)
    again = again[np.isin(again, replay.events)]
    if not len(again) or not len(side):
        return np.zeros(len(side), dtype=bool)
    span = 2**62 // max(2 * found.flows, 1)
    order = np.lexsort((found.seq[again], found.side[again]))
    sides = found.side[again][order]
    starts = sides * span + found.seq[again][order]
    ends = np.maximum.accumulate(sides * span + found.end[again][order])
    place = np.searchsorted(starts, side * span + right, "left") - 1
    answer: Bools = (place >= 0) & (ends[np.maximum(place, 0)] > side * span + left)
    return answer
