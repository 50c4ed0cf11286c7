"""Whether a point that did not show a segment shows that its bytes came by all the same.

An acknowledgment of bytes that a point has not shown yet is proof: they passed, and its capture lost them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.correlation.trace import TCP
from k8scap.tables.segments import LOWEST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.matching import Side
    from k8scap.correlation.trace import Trace

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

NEVER = 2**62


@dataclass(frozen=True, eq=False)
class Absent:
    """Segments that `there` has not, one element a segment, in the terms of `there`.

    `flow` is the conversation there (-1: unknown), `forward` the direction as `there` has it, `seq` and
    `end` what it would have borne there.
    """

    flow: Ints
    forward: Bools
    seq: Ints
    end: Ints


def absent(here: Side, there: Side, rows: Ints, mine: Ints, theirs: Ints) -> Absent:
    """Translate segments of `here` into what they would have been at the other point.

    `mine` and `theirs` are the matches, as indices into either trace. Sequence numbers count from where each
    point began to see them: the difference is that of any packet which both have.
    """
    import numpy as np

    first, second = here.trace, there.trace
    side_of = 2 * first.conversation + first.forward
    size = 2 * first.conversations + 2
    flow, turned, shift = (np.full(size, -1, dtype=np.int64) for _ in range(3))
    tcp = first.protocol[mine] == TCP
    mine, theirs = mine[tcp][::-1], theirs[tcp][::-1]  # so that the first of each stays
    for opposite in (True, False):  # the other direction tells the partner, not the numbers
        place = side_of[mine] ^ opposite
        flow[place] = second.conversation[theirs]
        turned[place] = first.forward[mine] != second.forward[theirs]
    place = side_of[mine]
    known = np.zeros(size, dtype=bool)
    known[place] = True
    shift[place] = first.seq[mine] - second.seq[theirs]
    at = side_of[rows]
    partner = np.where(known[at] & (first.protocol[rows] == TCP), flow[at], -1)
    forward = first.forward[rows] ^ (turned[at] == 1)
    return Absent(partner, forward, first.seq[rows] - shift[at], first.end[rows] - shift[at])


def first_shown(there: Side, segments: Absent) -> Ints:
    """When `there` first showed the first byte of each segment, in ns by its clock, or NEVER."""
    import numpy as np

    trace = there.trace
    carrying = np.flatnonzero((trace.protocol == TCP) & (trace.end > trace.seq))
    if not len(carrying):
        return np.full(len(segments.flow), NEVER)
    line = _Line(trace)
    place = line.of(trace.conversation[carrying], trace.forward[carrying], trace.seq[carrying])
    order = np.argsort(place, kind="stable")  # of one place the earliest first, as captured
    rows, place = carrying[order], place[order]
    wanted = line.of(segments.flow, segments.forward, segments.seq)
    same = np.searchsorted(place, wanted, "left")
    before = np.searchsorted(place, place[np.maximum(same - 1, 0)], "left")
    shown = np.full(len(wanted), NEVER)
    for at, there_is in ((same, same < len(rows)), (before, same > 0)):
        seen = rows[np.where(there_is, at, 0)]
        covers = there_is & _has_byte(there, seen, segments)
        shown = np.where(covers, np.minimum(shown, trace.time[seen]), shown)
    return shown


def acknowledged(there: Side, segments: Absent) -> Ints:
    """When `there` first showed an acknowledgment of all bytes of each segment; NEVER where it did not."""
    import numpy as np

    trace = there.trace
    line = _Line(trace)
    told = np.full(len(segments.flow), NEVER)
    for forward in (True, False):
        acks = np.flatnonzero((trace.ack != LOWEST) & (trace.forward != forward))
        asking = np.flatnonzero((segments.forward == forward) & (segments.flow >= 0))
        if not len(acks) or not len(asking):
            continue
        sent_by = np.full(len(acks), forward)  # whose bytes are acknowledged
        place = line.of(trace.conversation[acks], sent_by, trace.ack[acks])
        highest = np.maximum.accumulate(place)  # conversations stand together, the later ones higher
        wanted = line.of(segments.flow[asking], segments.forward[asking], segments.end[asking])
        at = np.searchsorted(highest, wanted, "left")
        seen = acks[np.minimum(at, len(acks) - 1)]
        reached = (at < len(acks)) & (trace.conversation[seen] == segments.flow[asking])
        told[asking] = np.where(reached, trace.time[seen], NEVER)
    return told


def covered(there: Side, rows: Ints, segments: Absent, tsval: Ints) -> Bools:
    """Whether one of `rows` of `there` has the first byte of a segment, sent at the same tick (`tsval`)."""
    import numpy as np

    trace = there.trace
    line = _Line(trace)
    place = line.of(trace.conversation[rows], trace.forward[rows], trace.seq[rows])
    order = np.lexsort((trace.end[rows], place))
    wanted = line.of(segments.flow, segments.forward, segments.seq)
    at = np.searchsorted(place[order], wanted, "right") - 1
    seen = rows[order][np.maximum(at, 0)]
    answer: Bools = (at >= 0) & _has_byte(there, seen, segments) & (trace.tsval[seen] == tsval)
    return answer


def _has_byte(there: Side, seen: Ints, segments: Absent) -> Bools:
    """Whether packets of `there` hold the first byte of the segments, one by one."""
    trace = there.trace
    same_side = (trace.conversation[seen] == segments.flow) & (trace.forward[seen] == segments.forward)
    answer: Bools = same_side & (trace.seq[seen] <= segments.seq) & (trace.end[seen] > segments.seq)
    return answer


class _Line:
    """All sides' sequence numbers on one line of 64 bits, side by side, so that they sort as one number."""

    def __init__(self, trace: Trace) -> None:
        self._room = 2**62 // (2 * trace.conversations + 4)

    def of(self, conversation: Ints, forward: Bools, number: Ints) -> Ints:
        import numpy as np

        half = self._room // 2
        side = 2 * conversation + forward + 2  # -1, no conversation, is the lowest
        return side * self._room + np.clip(number, 1 - half, half - 1)
