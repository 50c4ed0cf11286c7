"""Which bytes of a connection each segment carries, and whether this capture saw them before.

This is what decides a repeat, and nothing else does: not Wireshark's flags, not the distance in time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.segments import FIN, LOWEST, RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    _Range = tuple[int, int, int, int]
    """From, to, the segment that carried these bytes last, how often they were carried."""

KEEP_ALIVE_AFTER = 1_000_000_000
"""Nanoseconds of silence after which one acknowledged byte sent again is a keep-alive, not a repeat."""


@dataclass(frozen=True, eq=False)
class Coverage:
    """What each segment brings, one array element a segment.

    `carries`: it holds bytes of the stream (SYN and FIN are one each), and is no keep-alive, zero-window
    probe or RST. `in_order`: its first byte is at or beyond all that its side had reached before, be it with
    bytes or with the sequence number of a bare ACK. `before`: index of the segment that carried any of these
    bytes last, -1 where none did. `copy`: 1 the first time, 2 the second … `fresh`: how many of its bytes
    are new. `opener`: where it begins in a gap, index of an earlier segment from beyond the gap, else -1.
    """

    carries: Bools
    in_order: Bools
    before: Ints
    copy: Ints
    fresh: Ints
    opener: Ints

    @property
    def repeats(self) -> Bools:
        """Segments with bytes that were seen before."""
        answer: Bools = self.before >= 0
        return answer

    @property
    def fills(self) -> Bools:
        """Segments that only fill a gap: their bytes come late, but for the first time."""
        answer: Bools = self.carries & ~self.in_order & (self.before < 0)
        return answer


def coverage(segments: Segments) -> Coverage:
    """Replay each side of each connection, byte range by byte range."""
    import numpy as np

    carries = (segments.end > segments.seq) & ~_probes(segments)
    reached, by = _reached(segments, carries)
    in_order = carries & (segments.seq >= reached)
    size = len(segments)
    result = Coverage(
        carries,
        in_order,
        np.full(size, -1, dtype=np.int64),
        np.where(carries, 1, 0).astype(np.int64),
        np.where(carries, segments.end - segments.seq, 0),
        np.where(carries & ~in_order, by, -1),
    )
    for rows in _sides_out_of_order(segments, carries, in_order):
        _replay(rows, segments, result)
    return result


def _probes(segments: Segments) -> Bools:
    """Keep-alives and zero-window probes of one byte (those of none carry nothing anyway).

    A keep-alive repeats the last byte sent, which the other side has acknowledged (RFC 9293, 3.8.4); if
    that byte was a whole segment, only silence tells it from a repeat. A probe is one byte sent into a
    window of zero (RFC 9293, 3.8.6.1).
    """
    import numpy as np

    plain: Bools = (segments.end - segments.seq == 1) & (segments.flags & (SYN | FIN | RST) == 0)
    if not plain.any():
        return plain
    highest = segments.highest(segments.end, before=True)
    window = np.where(segments.has(SYN) | segments.has(RST), -1, segments.window)
    probe = plain & (segments.seq >= highest - 1) & (segments.heard(window, -1) == 0)
    acknowledged = segments.acknowledged >= segments.end
    last_byte = plain & (segments.seq == highest - 1) & acknowledged
    advances = np.where(segments.end > highest, np.arange(len(segments)), LOWEST)
    carrier = np.maximum(segments.highest(advances, before=True), 0)
    alone = plain[carrier] & (segments.time - segments.time[carrier] < KEEP_ALIVE_AFTER)
    answer: Bools = probe | (last_byte & ~alone)
    return answer


def _reached(segments: Segments, carries: Bools) -> tuple[Ints, Ints]:
    """How far each side had got before each segment, and the index of the segment that showed it."""
    import numpy as np

    shown = np.where(carries, segments.end, np.where(segments.has(RST), LOWEST, segments.seq))
    reached = segments.highest(shown, before=True)
    advances = np.where(shown > reached, np.arange(len(segments)), LOWEST)
    return reached, segments.highest(advances, before=True)


def _sides_out_of_order(segments: Segments, carries: Bools, in_order: Bools) -> list[Ints]:
    """For each side with late segments: those, and what they may touch, in capture order.

    Segments that come in order never overlap one another, so that a late one touches the ones whose bytes it
    carries too, and the one that opened the gap which it fills.
    """
    import numpy as np

    order = segments.by_side[carries[segments.by_side]]
    plain, late = order[in_order[order]], order[~in_order[order]]
    span = 2**62 // max(2 * segments.flows, 1)

    def key(rows: Ints, position: Ints) -> Ints:
        return segments.side[rows] * span + np.clip(position[rows], -span // 2 + 1, span // 2 - 1)

    low = np.searchsorted(key(plain, segments.end), key(late, segments.seq), "right")
    high = np.searchsorted(key(plain, segments.seq), key(late, segments.end), "left") + 1
    marks = np.zeros(len(plain) + 2, dtype=np.int64)
    np.add.at(marks, low, 1)
    np.add.at(marks, np.clip(high, low, len(plain) + 1), -1)
    touched = plain[np.cumsum(marks)[: len(plain)] > 0]
    rows = np.sort(np.concatenate((touched, late)))
    rows = rows[np.argsort(segments.side[rows], kind="stable")]
    sides = segments.side[rows]
    return np.split(rows, np.flatnonzero(sides[1:] != sides[:-1]) + 1) if len(late) else []


def _replay(rows: Ints, segments: Segments, result: Coverage) -> None:
    """Walk one side's segments over sorted, disjoint ranges of what was seen: (start, end, carrier, times).

    A plain loop over lists: it is the state machine, and appends in the ordinary case.
    """
    starts: list[int] = []
    ends: list[int] = []
    carriers: list[int] = []
    times: list[int] = []
    for index, start, end in zip(
        rows.tolist(), segments.seq[rows].tolist(), segments.end[rows].tolist(), strict=True
    ):
        if not ends or start >= ends[-1]:
            starts.append(start)
            ends.append(end)
            carriers.append(index)
            times.append(1)
            continue
        low = bisect_right(ends, start)
        high = bisect_left(starts, end, low)
        if low == high:
            result.opener[index] = carriers[low]
            pieces = [(start, end, index, 1)]
        else:
            old = list(
                zip(starts[low:high], ends[low:high], carriers[low:high], times[low:high], strict=True)
            )
            result.before[index] = max(carriers[low:high])
            result.copy[index] = max(times[low:high]) + 1
            pieces = _laid_over(old, start, end, index)
            result.fresh[index] = sum(
                b - a for a, b, carrier, count in pieces if carrier == index and count == 1
            )
        starts[low:high] = [piece[0] for piece in pieces]
        ends[low:high] = [piece[1] for piece in pieces]
        carriers[low:high] = [piece[2] for piece in pieces]
        times[low:high] = [piece[3] for piece in pieces]


def _laid_over(old: list[_Range], start: int, end: int, index: int) -> list[_Range]:
    """The ranges after segment `index` carried the bytes from `start` to `end` too."""
    pieces: list[_Range] = []
    here = start
    for low, high, carrier, times in old:
        if low < start:
            pieces.append((low, start, carrier, times))
        elif low > here:
            pieces.append((here, low, index, 1))
        pieces.append((max(low, start), min(high, end), index, times + 1))
        if high > end:
            pieces.append((end, high, carrier, times))
        here = high
    if here < end:
        pieces.append((here, end, index, 1))
    return pieces
