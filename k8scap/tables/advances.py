"""The acknowledgments that advance: which bytes each of them covers for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.segments import ACK, LOWEST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Advances:
    """Those of one side of one connection together, in capture order; one array element an acknowledgment.

    `index` is its segment's, `side` the side that acknowledges; it covers the other side's bytes from
    `since` (LOWEST for a side's first) up to `ack`.
    """

    index: Ints
    side: Ints
    since: Ints
    ack: Ints
    span: int
    segments: int

    def key(self, side: Ints, position: Ints) -> Ints:
        """A side and a place in a sequence space as one number, which sorts like both."""
        import numpy as np

        clipped = np.clip(position, -self.span // 2 + 1, self.span // 2 - 1)
        key: Ints = side * self.span + np.where(position == LOWEST, -self.span // 2, clipped)
        return key

    def first_above(self, side: Ints, position: Ints, after: Ints) -> Ints:
        """Of each `side`'s acknowledgments after segment `after`, the first above `position`: its place here.

        Where there is none it is the place of the next side's.
        """
        import numpy as np

        by_value = np.searchsorted(self.key(self.side, self.ack), self.key(side, position), "right")
        size = self.segments
        by_time = np.searchsorted(self.side * size + self.index, side * size + after, "right")
        return np.maximum(by_value, by_time)

    def first_beyond(self, side: Ints, position: Ints) -> Ints:
        """Of each `side`'s acknowledgments, the first that covers bytes from `position` on only."""
        import numpy as np

        beyond = np.searchsorted(self.key(self.side, self.since), self.key(side, position), "left")
        return beyond.astype(np.int64)


def advances(segments: Segments) -> Advances:
    """All acknowledgments that advance."""
    since = segments.highest(segments.ack, before=True)
    order = segments.by_side
    index = order[((segments.ack > since) & segments.has(ACK))[order]]
    span = 2**62 // max(2 * segments.flows, 1)
    return Advances(index, segments.side[index], since[index], segments.ack[index], span, len(segments))
