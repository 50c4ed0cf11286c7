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
    side = 2 * trace.conversation[carrying] + trace.forward[carrying]
    order = np.lexsort((trace.time[carrying], trace.seq[carrying], side))
    rows, side = carrying[order], side[order]
    seq, end, time = trace.seq[rows], trace.end[rows], trace.time[rows]
    wanted = 2 * segments.flow + segments.forward
    same = _before(side, seq, wanted, segments.seq - 1) + 1
    shown = np.full(len(wanted), NEVER)
    for place in (same, _run_start(side, seq, same - 1)):
        there_is = (place >= 0) & (place < len(rows)) & (segments.flow >= 0)
        at = np.where(there_is, place, 0)
        covers = there_is & (side[at] == wanted) & (seq[at] <= segments.seq) & (end[at] > segments.seq)
        shown = np.where(covers, np.minimum(shown, time[at]), shown)
    return shown


def acknowledged(there: Side, segments: Absent) -> Ints:
    """When `there` first showed an acknowledgment of all bytes of each segment; NEVER where it did not."""
    import numpy as np

    trace = there.trace
    acks = np.flatnonzero((trace.protocol == TCP) & (trace.ack != LOWEST))
    side = 2 * trace.conversation[acks] + ~trace.forward[acks]  # whose bytes are acknowledged
    order = np.lexsort((trace.time[acks], side))
    rows, side = acks[order], side[order]
    if not len(rows):
        return np.full(len(segments.flow), NEVER)
    highest = _running_maximum(side, trace.ack[rows])
    wanted = 2 * segments.flow + segments.forward
    at = _before(side, highest, wanted, segments.end - 1) + 1
    inside = np.minimum(at, len(rows) - 1)
    reached = (at < len(rows)) & (side[inside] == wanted) & (segments.flow >= 0)
    return np.where(reached, trace.time[rows[inside]], NEVER)


def _before(side: Ints, value: Ints, wanted: Ints, upto: Ints) -> Ints:
    """Index of the last row that is at or before (wanted, upto); rows are sorted by (side, value)."""
    import numpy as np

    both_side, both_value = np.concatenate((side, wanted)), np.concatenate((value, upto))
    asking = np.repeat([False, True], [len(side), len(wanted)])
    order = np.lexsort((asking, both_value, both_side))
    answer = np.empty(len(wanted), dtype=np.int64)
    answer[order[asking[order]] - len(side)] = np.cumsum(~asking[order])[asking[order]] - 1
    return answer


def _run_start(side: Ints, seq: Ints, at: Ints) -> Ints:
    """The first row of equal side and sequence number as row `at`: the earliest of them."""
    import numpy as np

    new = np.ones(len(side), dtype=bool)
    new[1:] = (side[1:] != side[:-1]) | (seq[1:] != seq[:-1])
    start = np.maximum.accumulate(np.where(new, np.arange(len(side)), 0))
    return np.where(at >= 0, start[np.maximum(at, 0)], -1)


def _running_maximum(side: Ints, values: Ints) -> Ints:
    """The highest value so far on each side; sides stand together, and values differ by less than 2^40."""
    import numpy as np

    room = 1 << 41
    _, dense = np.unique(side, return_inverse=True)
    level = np.clip(values, -room // 2 + 1, room // 2 - 1) + dense * room
    return np.maximum.accumulate(level) - dense * room


def covered(there: Side, rows: Ints, segments: Absent, tsval: Ints) -> Bools:
    """Whether one of `rows` of `there` has the first byte of a segment, sent at the same tick (`tsval`)."""
    import numpy as np

    trace = there.trace
    side = 2 * trace.conversation[rows] + trace.forward[rows]
    order = np.lexsort((trace.end[rows], trace.seq[rows], side))
    rows, side = rows[order], side[order]
    wanted = 2 * segments.flow + segments.forward
    at = _before(side, trace.seq[rows], wanted, segments.seq)
    inside = rows[np.maximum(at, 0)]
    answer: Bools = (
        (at >= 0)
        & (segments.flow >= 0)
        & (side[np.maximum(at, 0)] == wanted)
        & (trace.end[inside] > segments.seq)
        & (trace.tsval[inside] == tsval)
    )
    return answer
