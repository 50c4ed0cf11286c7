"""Spans of time by connection: their union, and how much of any interval it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Spans:
    """Disjoint spans from `start` to `end` (nanoseconds), by `flow` and time; one array element a span."""

    flow: Ints
    start: Ints
    end: Ints

    def within(self, flow: Ints, since: Ints, until: Ints) -> Ints:
        """Nanoseconds of each interval `since` … `until` of a flow that its spans cover."""
        import numpy as np

        if not len(self.flow):
            return np.zeros(len(flow), dtype=np.int64)
        return self._until(flow, np.maximum(until, since)) - self._until(flow, since)

    def _until(self, flow: Ints, time: Ints) -> Ints:
        """What lies before `time` of all spans of this flow, and of those of the flows before it."""
        import numpy as np

        starts, rank = np.unique(self.start, return_inverse=True)
        size = len(starts) + 1  # ranks instead of times, so that their products fit in 64 bits
        at = flow * size + np.searchsorted(starts, time, "right")
        place = np.searchsorted(self.flow * size + rank + 1, at, "right")
        total = np.concatenate(([0], np.cumsum(self.end - self.start)))
        last = np.maximum(place - 1, 0)
        inside = (place > 0) & (self.flow[last] == flow) & (time < self.end[last])
        answer: Ints = total[place] - np.where(inside, self.end[last] - time, 0)
        return answer


def spans(flow: Ints, start: Ints, end: Ints) -> Spans:
    """The union of any spans of each flow; those that end before they start are left out."""
    import numpy as np

    kept = np.flatnonzero(end > start)
    kept = kept[np.lexsort((start[kept], flow[kept]))]
    flow, start, end = flow[kept], start[kept], end[kept]
    if not len(flow):
        return Spans(flow, start, end)
    ends, rank = np.unique(end, return_inverse=True)
    reached = np.maximum.accumulate(flow * len(ends) + rank) - flow * len(ends)
    new = np.ones(len(flow), dtype=bool)
    new[1:] = (flow[1:] != flow[:-1]) | (start[1:] > ends[reached[:-1]])
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(flow)) - 1
    return Spans(flow[first], start[first], ends[reached[last]])


def union(*several: Spans) -> Spans:
    """What any of them covers."""
    import numpy as np

    return spans(
        np.concatenate([s.flow for s in several]),
        np.concatenate([s.start for s in several]),
        np.concatenate([s.end for s in several]),
    )
