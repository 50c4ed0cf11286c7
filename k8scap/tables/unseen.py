"""Repeats that look like new data: their first copies were lost before this point, and left no gap.

So it is where the last segment of a flight was lost: nothing behind it came to show that one is missing.
Linux counts a connection's IP identifications up, one a packet, and the count tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.segments import LOWEST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

COUNTED = 0.8
"""So many of a side's segments must bear the number after the former one's: it counts this connection's."""
MOST = 16
"""More numbers than that are not missing from a flight: something else counts with them."""


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Data segments that came in order, and the one before each; `missing` numbers between them.

    `at_once`: the first of these stands right after the former's.
    """

    former: Ints
    latter: Ints
    missing: Ints
    at_once: Bools


def unseen(replay: Replay) -> tuple[Ints, Ints]:
    """Indices of such repeats, ascending, and of the segment before each.

    One is taken for such only where all of this holds: packets of its sender are missing, right after the
    segment before it and beyond what a gap in the bytes accounts for; they were no acknowledgments, for there
    was nothing new to acknowledge, and no repeats of earlier bytes, which had come in their order; it came a
    round trip or more after that segment, as no sender repeats sooner, when all before was acknowledged; it
    is no full segment, which a window might have held back; and the sender's numbers count this connection's
    packets alone, over another silence too.
    """
    import numpy as np

    found = replay.segments
    pairs = _pairs(replay)
    if not len(pairs.latter):
        return pairs.latter, pairs.former
    side, payload = found.side[pairs.latter], found.payload[pairs.former]
    plain = found.seq[pairs.latter] == found.end[pairs.former]
    path = replay.handshakes.round_trip[found.flow[pairs.latter]]
    paused = (path != ABSENT) & (found.time[pairs.latter] - found.time[pairs.former] >= path)
    largest = np.zeros(2 * found.flows, dtype=np.int64)
    counted = plain & (pairs.missing == 0)
    np.maximum.at(largest, side[counted], payload[counted])
    hole = found.seq[pairs.latter] - found.end[pairs.former]
    in_hole, rest = np.divmod(hole, np.maximum(largest[side], 1))
    surplus = (pairs.missing > in_hole) & (rest == 0) & (pairs.missing <= MOST)
    chosen = surplus & pairs.at_once & paused & _nothing_to_say(found, pairs) & (payload <= largest[side])
    chosen &= _counts(side, counted, plain, paused)[side]
    chosen &= found.payload[pairs.latter] < largest[side]
    chosen &= found.acknowledged[pairs.latter] >= found.end[pairs.former]
    chosen[chosen] = _filled_in_order(replay, pairs.former[chosen], pairs.latter[chosen])
    return pairs.latter[chosen], pairs.former[chosen]


def _pairs(replay: Replay) -> _Pairs:
    import numpy as np

    found = replay.segments
    none = np.zeros(0, dtype=np.int64)
    if not len(found):
        return _Pairs(none, none, none, none > 0)
    order = found.by_side
    order = order[(replay.coverage.in_order & (found.payload > 0))[order]]
    order = order[_suspected(replay, order)[found.side[order]] & found.telling[order]]
    if not len(order):
        return _Pairs(none, none, none, none > 0)
    same = found.side[order[1:]] == found.side[order[:-1]]
    former, latter = order[:-1][same], order[1:][same]
    wanted = np.zeros(2 * found.flows, dtype=bool)
    wanted[found.side[order]] = True
    tells = found.by_side[(found.telling & wanted[found.side])[found.by_side]]
    count = _unwrapped(found, tells)
    key = np.zeros(len(found), dtype=np.int64)
    key[tells] = found.side[tells] * 2**40 + count
    seen = np.sort(key[tells], kind="stable")  # they are nearly in order, which np.unique does not know
    seen = seen[np.append(True, seen[1:] != seen[:-1])]
    low, high = np.searchsorted(seen, key[former]), np.searchsorted(seen, key[latter])
    missing = (key[latter] - key[former]) - (high - low)
    following = seen[np.minimum(low + 1, max(len(seen) - 1, 0))] if len(seen) else former
    return _Pairs(former, latter, missing, following != key[former] + 1)


def _suspected(replay: Replay, order: Ints) -> Bools:
    """By side: whether any of these segments comes a round trip after the one before it, numbers between."""
    import numpy as np

    found = replay.segments
    former, latter = order[:-1], order[1:]
    path = replay.handshakes.round_trip[found.flow[latter]]
    paused = (path != ABSENT) & (found.time[latter] - found.time[former] >= path)
    paused &= found.side[latter] == found.side[former]
    skipped = ((found.ip_id[latter] - found.ip_id[former]) & 0xFFFF) > 1
    unmoved = found.ack[latter] == found.ack[former]
    answer = np.zeros(2 * found.flows, dtype=bool)
    answer[found.side[latter[paused & skipped & unmoved]]] = True
    return answer


def _unwrapped(found: Segments, order: Ints) -> Ints:
    """The IP identifications of segments, those of one side together, as counts that do not wrap at 2¹⁶."""
    import numpy as np

    if not len(order):
        return order
    ids, side = found.ip_id[order], found.side[order]
    step = ((np.diff(ids, prepend=ids[:1]) + 2**15) & 0xFFFF) - 2**15
    total = np.cumsum(step)
    new = np.append(True, side[1:] != side[:-1])
    first = np.flatnonzero(new)[np.cumsum(new) - 1]
    answer: Ints = total - total[first] + 2**39
    return answer


def _nothing_to_say(found: Segments, pairs: _Pairs) -> Bools:
    """Whether a sender had nothing to acknowledge between the two, and no window to open."""
    import numpy as np

    former, latter = pairs.former, pairs.latter
    spoken = found.highest(np.where(found.payload > 0, np.arange(len(found)), LOWEST))
    same = (found.ack[latter] == found.ack[former]) & (found.window[latter] == found.window[former])
    answer: Bools = same & (found.heard(spoken)[latter] < former)
    return answer


def _counts(side: Ints, counted: Bools, plain: Bools, paused: Bools) -> Bools:
    """By side: whether its numbers count one by one, over silences of a round trip too."""
    import numpy as np

    sides = int(side.max()) + 1
    steps, right = np.bincount(side[plain], minlength=sides), np.bincount(side[counted], minlength=sides)
    silent = np.bincount(side[plain & paused], minlength=sides)
    kept = np.bincount(side[counted & paused], minlength=sides)
    answer: Bools = (right >= COUNTED * steps) & (kept >= 1) & (2 * kept >= silent)
    return answer


def _filled_in_order(replay: Replay, former: Ints, latter: Ints) -> Bools:
    """Whether the gaps that were filled between the two were so from the lowest on, as senders repeat.

    Where one is filled after a higher one, its repeat was lost before, and is what is missing.
    """
    import numpy as np

    found, fills = replay.segments, replay.coverage.fills
    filled = found.by_side[fills[found.by_side]]
    key = found.side[filled] * len(found) + filled
    back = np.zeros(len(filled) + 1, dtype=np.int64)
    if len(filled):
        same = found.side[filled[1:]] == found.side[filled[:-1]]
        back[2:] = np.cumsum(same & (found.seq[filled[1:]] < found.seq[filled[:-1]]))
    first = np.searchsorted(key, found.side[former] * len(found) + former)
    last = np.searchsorted(key, found.side[latter] * len(found) + latter)
    answer: Bools = back[last] <= back[np.minimum(first + 1, last)]
    return answer
