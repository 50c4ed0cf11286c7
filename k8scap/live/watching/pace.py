"""How fast packets come, second by second, by their own time stamps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

SECONDS = 60
_SECOND = 1_000_000_000
_BEHIND = 2
"""Seconds: tcpdump hands packets over up to a second late, so that the newest ones are not whole yet."""


class Pace:
    """Packets and bytes on the wire of the last `SECONDS`, and in all.

    What time it is where the packets are captured, their own stamps tell: that clock need not be ours.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self._seconds: dict[int, list[int]] = {}
        self._first = self._newest = 0
        self._heard_at = 0.0

    def add(self, times: Ints, lengths: Ints) -> None:
        """Count frames: their times in nanoseconds since 1970, their lengths on the wire."""
        if not len(times):
            return
        begin = int(times[0]) // _SECOND
        seconds = times // _SECOND - begin
        in_order = (seconds >= 0) & (seconds < SECONDS * 60)  # a clock that jumped is nobody's pace
        counts = np.bincount(seconds[in_order])
        sizes = np.bincount(seconds[in_order], weights=lengths[in_order])
        for second, (count, size) in enumerate(zip(counts.tolist(), sizes.tolist(), strict=True), begin):
            told = self._seconds.setdefault(second, [0, 0])
            told[0] += count
            told[1] += int(size)
        self.packets += len(times)
        self.bytes += int(lengths.sum())
        self._first = self._first or begin
        self._newest = max(self._newest, int(times.max()))
        self._heard_at = time.monotonic()
        if len(self._seconds) > 2 * SECONDS:
            self._seconds = dict(sorted(self._seconds.items())[-SECONDS - _BEHIND - 1 :])

    def history(self) -> list[tuple[int, int]]:
        """(packets, bytes) of each whole second, oldest first, `SECONDS` at most; empty at the beginning."""
        if not self.packets:
            return []
        now = self._newest / _SECOND + time.monotonic() - self._heard_at
        last = int(now) - _BEHIND
        first = max(self._first, last - SECONDS + 1)
        told = (self._seconds.get(second, (0, 0)) for second in range(first, last + 1))
        return [(count, size) for count, size in told]
