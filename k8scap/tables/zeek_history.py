"""Zeek's history of each TCP connection: one letter for each kind of thing seen, in order.

The letters are those of Zeek's documentation (base/protocols/conn/main.zeek, `history`), capital where the
originator did it: s SYN · h SYN-ACK · a pure ACK · d data · f FIN · r RST · i FIN with RST · q SYN with FIN
or RST · g content gap · t retransmitted data · w zero window. a, d, i, q once a side; s, h, f, r again where
the sequence number differs; g, t, w at the 1st, 10th, 100th … time. Zeek's ^ (it had guessed the originator
wrong at first) never stands here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from k8scap.tables.segments import ACK, FIN, LOWEST, RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.advances import Advances
    from k8scap.tables.coverage import Coverage
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Entry = tuple[Ints, Ints, str]
    """Where the letter stands (indices of segments), whose it is (sides), and the letter."""


def histories(segments: Segments, cover: Coverage) -> list[str]:
    """The history of each connection, by connection number."""
    import numpy as np

    entries = _entries(segments, cover)
    place = np.concatenate([where for where, _, _ in entries])
    letters = np.concatenate([_cased(side, letter) for _, side, letter in entries])
    rank = np.repeat(np.arange(len(entries)), [len(where) for where, _, _ in entries])
    order = np.lexsort((rank, place))
    flow = segments.flow[place[order]] if len(place) else place
    bounds = np.searchsorted(flow, np.arange(segments.flows + 1)).tolist()
    text = "".join(letters[order].tolist())
    return [text[low:high] for low, high in pairwise(bounds)]


def _cased(side: Ints, letter: str) -> npt.NDArray[np.str_]:
    import numpy as np

    return np.where(side % 2 == 0, letter.upper(), letter)


def _entries(segments: Segments, cover: Coverage) -> list[Entry]:
    """In the order that letters of one segment have."""
    marks = segments.flags & (SYN | FIN | RST)
    plain = marks == 0
    several = (marks & (marks - 1)) != 0
    both = several & (marks & FIN != 0) & (marks & RST != 0)
    reply = segments.has(ACK)
    renewed = _renewed(segments, (marks == SYN), segments.seq)
    last = segments.seq + segments.payload
    found = [
        ("i", _times(segments, both, most=1)),
        ("q", _times(segments, several & ~both, most=1)),
        ("s", renewed[~reply[renewed]]),
        ("h", renewed[reply[renewed]]),
        ("f", _renewed(segments, marks == FIN, last)),
        ("r", _renewed(segments, marks == RST, segments.seq)),
        ("d", _times(segments, plain & (segments.payload > 0), most=1)),
        ("a", _times(segments, plain & (segments.payload == 0) & reply, most=1)),
        ("w", _times(segments, _zero_windows(segments))),
    ]
    entries = [(rows, segments.side[rows], letter) for letter, rows in found]
    entries.append(_gaps(segments, cover))
    again = _times(segments, cover.repeats & (segments.payload > 0))
    return [*entries, (again, segments.side[again], "t")]


def _times(segments: Segments, mask: Bools, *, most: int = 10**12) -> Ints:
    """Indices where a side does it for the 1st, 10th, 100th … time, up to the `most`th."""
    import numpy as np

    rows = segments.by_side[mask[segments.by_side]]
    side = segments.side[rows]
    if most == 1:
        first = np.ones(len(rows), dtype=bool)
        first[1:] = side[1:] != side[:-1]
        return rows[first]
    count = np.arange(len(rows)) - np.searchsorted(side, side) + 1
    power = 10 ** np.round(np.log10(count)).astype(np.int64)
    chosen: Ints = rows[(count == power) & (count <= most)]
    return chosen


def _renewed(segments: Segments, mask: Bools, position: Ints) -> Ints:
    """Indices where a side does it for the first time, or at another place than the last time."""
    import numpy as np

    rows = segments.by_side[mask[segments.by_side]]
    side, at = segments.side[rows], position[rows]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (side[1:] != side[:-1]) | (at[1:] != at[:-1])
    chosen: Ints = rows[new]
    return chosen


def _zero_windows(segments: Segments) -> Bools:
    """Zero windows that mean something: neither in or after a RST, nor after the other side's FIN."""
    import numpy as np

    zero: Bools = segments.window == 0
    if not zero.any():
        return zero
    index = np.arange(len(segments))
    reset = segments.highest(np.where(segments.has(RST), index, LOWEST)) != LOWEST
    closed = segments.heard(segments.highest(np.where(segments.has(FIN), index, LOWEST))) != LOWEST
    answer: Bools = zero & ~reset & ~closed
    return answer


def _gaps(segments: Segments, cover: Coverage) -> Entry:
    """Bytes that the other side acknowledged though they were not captured, at that acknowledgment."""
    import numpy as np

    acks = segments.advances
    order = segments.by_side
    highest = segments.highest(np.where(cover.carries, segments.end, LOWEST), before=True)
    jumps = order[(cover.in_order & (highest != LOWEST) & (segments.seq > highest))[order]]
    by = segments.side[jumps] ^ 1
    place = acks.first_above(by, highest[jumps], jumps)
    there = np.minimum(place, len(acks.index) - 1)
    covered = (place < len(acks.index)) & (acks.side[there] == by) if len(jumps) else jumps > 0
    filled = _first_fill(segments, cover, acks, jumps, highest[jumps])
    at = acks.index[there] if len(jumps) else jumps
    marks = np.full(len(segments), -1, dtype=np.int64)
    missing = covered & (filled > at)
    marks[jumps[missing]] = at[missing]
    counted = _times(segments, marks >= 0)
    return marks[counted], segments.side[counted], "g"


def _first_fill(segments: Segments, cover: Coverage, acks: Advances, jumps: Ints, start: Ints) -> Ints:
    """Index of the first segment that brings bytes of each gap (from `start` up to where the jump begins)."""
    import numpy as np

    first = np.full(len(jumps), len(segments), dtype=np.int64)
    late = np.flatnonzero(cover.carries & ~cover.in_order & (cover.fresh > 0))
    ends = acks.key(segments.side[jumps], segments.seq[jumps])
    gap = np.searchsorted(ends, acks.key(segments.side[late], segments.seq[late]), "right")
    inside = gap < len(jumps)
    gap, late = gap[inside], late[inside]
    reaches = (segments.side[jumps[gap]] == segments.side[late]) & (start[gap] < segments.end[late])
    np.minimum.at(first, gap[reaches], late[reaches])
    return first
