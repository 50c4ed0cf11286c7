"""Several points' frames in the order of their times; each point's own frames stay in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from k8scap.pcapng.frames import Batch


def merge(points: Sequence[Iterator[Batch]], write: Callable[[bytes | memoryview], object]) -> int:
    """Write all frames of all points; gives how many there were. One batch a point is held at a time."""
    lanes = [_Lane(point, write) for point in points]
    written = 0
    while open_lanes := [lane for lane in lanes if lane.fill()]:
        if len(open_lanes) == 1:
            written += open_lanes[0].pass_all()
            continue
        # Up to here no lane can bring anything earlier: the one that ends first is read on then.
        bound = min(lane.last for lane in open_lanes)
        written += _pass_until(open_lanes, bound, write)
    return written


class _Lane:
    """A point's present batch, and how far it has been written."""

    def __init__(self, batches: Iterator[Batch], write: Callable[[bytes | memoryview], object]) -> None:
        self._batches, self._write = batches, write
        self.batch: Batch | None = None
        self.at = 0

    def fill(self) -> bool:
        """Have frames that are not yet written, if there are any left."""
        while self.batch is None or self.at == len(self.batch.ends):
            self.batch = next(self._batches, None)
            if self.batch is None:
                return False
            self.at = 0
            self._write(self.batch.head)
        return True

    @property
    def last(self) -> int:
        return int(self.batch.order[-1]) if self.batch else 0

    def pass_all(self) -> int:
        if self.batch is None:
            return 0
        count = len(self.batch.ends) - self.at
        self._write(self.batch.data[self.begin(self.at) :])
        self.at += count
        return count

    def begin(self, i: int) -> int:
        return int(self.batch.ends[i - 1]) if self.batch and i else 0


def _pass_until(lanes: Sequence[_Lane], bound: int, write: Callable[[bytes | memoryview], object]) -> int:
    times, owners, places = [], [], []
    for number, lane in enumerate(lanes):
        if lane.batch is None:
            continue
        end = int(np.searchsorted(lane.batch.order, bound, side="right"))
        rows = np.arange(lane.at, max(end, lane.at))
        times.append(lane.batch.order[rows])
        owners.append(np.full(len(rows), number))
        places.append(rows)
        lane.at = int(rows[-1]) + 1 if len(rows) else lane.at
    order = np.argsort(np.concatenate(times), kind="stable")
    owner, place = np.concatenate(owners)[order].tolist(), np.concatenate(places)[order].tolist()
    for number, i in zip(owner, place, strict=True):
        lane = lanes[number]
        if lane.batch is not None:
            write(lane.batch.data[lane.begin(i) : int(lane.batch.ends[i])])
    return len(order)
