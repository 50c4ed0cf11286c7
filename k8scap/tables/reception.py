"""Which repeats brought what the receiver had already: as it says itself, and as its answers' times tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.recovery import REPORTS, reported_twice
from k8scap.tables.segments import LOWEST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.advances import Advances
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

TOO_QUICK = 0.8
"""Of the shortest round trip: what answers sooner answers an earlier copy (RFC 8985, 6.2, step 2)."""
UNLOADED = 1.25
"""The handshake and the shortest round trip differ by no more where both tell the path, and not a queue."""


def said(replay: Replay, late: Ints) -> Bools:
    """Whether the receiver says that it had the bytes of these segments before them.

    It has acknowledged them, or reported them (SACK, RFC 2018), when they are sent or so soon after that
    only an earlier copy can have come (as RFC 8985, 6.2 has it); or it reports them as received twice.
    """
    found = replay.segments
    if not len(late):
        return late > 0
    soonest = found.time[late] + _unanswerable(replay, late)
    acks = found.advances
    answer = _next_acknowledgment(replay, acks, late)
    known = answer >= 0
    acknowledged = found.acknowledged[late] >= found.end[late]
    at = found.time[answer]
    acknowledged |= known & (at >= found.time[late]) & (at < soonest)
    told: Bools = acknowledged | reported_twice(found, late) | _selectively(replay, late, soonest)
    return told


def reported_alone(replay: Replay, late: Ints) -> Bools:
    """Repeats whose bytes the receiver then reports by themselves, though it has bytes beside them.

    Either they came twice (D-SACK, RFC 2883, 4.2), or they were missing and it has forgotten about their
    neighbours: Linux remembers four blocks.
    """
    import numpy as np

    found = replay.segments
    answer = np.zeros(len(late), dtype=bool)
    reports = found.by_side[(found.sack_left > found.ack)[found.by_side]]
    sides = found.side[reports]
    known = np.unique(found.sack_left[reports])
    asked = np.flatnonzero(replay.coverage.repeats[late] & np.isin(found.seq[late], known))
    low = np.searchsorted(sides, found.side[late[asked]] ^ 1, "left")
    high = np.searchsorted(sides, found.side[late[asked]] ^ 1, "right")
    for place, first, last in zip(asked.tolist(), low.tolist(), high.tolist(), strict=True):
        seq, end = found.seq[late[place]], found.end[late[place]]
        after = first + int(np.searchsorted(reports[first:last], late[place]))
        near, following = reports[max(first, after - REPORTS) : after], reports[after:last][:REPORTS]
        alone = (found.sack_left[following] == seq) & (found.sack_right[following] == end)
        left, right = found.sack_left[near], found.sack_right[near]
        beside = ((left < seq) & (right >= seq)) | ((left <= end) & (right > end))
        answer[place] = bool(alone.any() and beside.any())
    return answer


def arrived_here(replay: Replay, late: Ints) -> Bools:
    """Repeats of what this capture saw, where it stands at the receiver, and that did not wait for them.

    A receiver may throw away what it got (no memory, an old timestamp): then the repeat moves its
    acknowledgment.
    """
    import numpy as np

    from k8scap.tables.standpoint import CLIENT, SERVER, standpoint

    found = replay.segments
    asked = np.flatnonzero(replay.coverage.repeats[late] & ~found.has(SYN)[late]) if len(late) else late
    answer = np.zeros(len(late), dtype=bool)
    if not len(asked):
        return answer
    repeat = late[asked]
    stands = standpoint(found, replay.packets)[found.flow[repeat]]
    here = stands == np.where(found.side[repeat] % 2 == 0, SERVER, CLIENT)
    answer[asked] = here & ~_moves(found, repeat)
    return answer


def _moves(found: Segments, repeat: Ints) -> Bools:
    """Whether the other side's next word acknowledges these segments, which it had not before."""
    import numpy as np

    order = found.by_side
    key = found.side[order] * len(found) + order
    place = np.searchsorted(key, (found.side[repeat] ^ 1) * len(found) + repeat)
    following = order[np.minimum(place, len(order) - 1)]
    there = (place < len(order)) & (found.side[following] == found.side[repeat] ^ 1)
    moves: Bools = there & (found.acknowledged[repeat] < found.end[repeat])
    return moves & (found.highest_ack[following] >= found.end[repeat])


def echoed(replay: Replay, late: Ints) -> Bools:
    """Whether the acknowledgment of these segments echoes the time of an earlier copy (Eifel, RFC 3522)."""
    import numpy as np

    from k8scap.tables.unwrapping import signed

    found = replay.segments
    if not len(late):
        return late > 0
    acks = found.advances
    answer = _next_acknowledgment(replay, acks, late)
    since = np.full(len(found), LOWEST, dtype=np.int64)
    since[acks.index] = acks.since
    mine = (answer >= 0) & (since[answer] >= found.seq[late])  # elsewhere the echo is of what filled the edge
    stamped = (found.tsval[late] > 0) & (found.tsecr[answer] > 0)
    earlier: Bools = mine & stamped & (signed(found.tsecr[answer] - found.tsval[late]) < 0)
    return earlier


def _next_acknowledgment(replay: Replay, acks: Advances, late: Ints) -> Ints:
    """The first acknowledgment after each segment that covers all of it, -1 where none does."""
    import numpy as np

    found = replay.segments
    if not len(acks.index):
        return np.full(len(late), -1, dtype=np.int64)
    side = found.side[late] ^ 1
    place = acks.first_above(side, found.end[late] - 1, late)
    there = np.minimum(place, len(acks.index) - 1)
    return np.where((place < len(acks.index)) & (acks.side[there] == side), acks.index[there], -1)


def _unanswerable(replay: Replay, late: Ints) -> Ints:
    """Nanoseconds after each segment in which no answer to it can come; 0 where the path is not known."""
    import numpy as np

    from k8scap.tables.round_trips import shortest

    if not replay.coverage.repeats[late].any():
        return np.zeros(len(late), dtype=np.int64)
    side = replay.segments.side[late]
    path, opened = shortest(replay)[side], _opening(replay)[side]
    least = np.minimum(path, opened)
    agree = (least > 0) & (np.maximum(path, opened) <= UNLOADED * least)
    return np.where(replay.coverage.repeats[late] & agree, least * TOO_QUICK, 0).astype(np.int64)


def _opening(replay: Replay) -> Ints:
    """For each side the way from here to its receiver and back, by the handshake, in ns; -1 unknown."""
    import numpy as np

    halves = replay.handshakes
    both = np.stack((halves.server_half, halves.client_half), axis=1).ravel()
    return np.where(both != ABSENT, both, -1)


def _selectively(replay: Replay, late: Ints, soonest: Ints) -> Bools:
    """Repeats that lie wholly in a block which the receiver reports before `soonest` (each ACK's first)."""
    import numpy as np

    found = replay.segments
    reports = found.by_side[
        (found.sack_left > found.ack)[found.by_side] & (found.ack > LOWEST)[found.by_side]
    ]
    answer = np.zeros(len(late), dtype=bool)
    if not len(reports):
        return answer
    sides, times = found.side[reports], found.time[reports]
    left, right = found.sack_left[reports], found.sack_right[reports]
    asked = np.flatnonzero(replay.coverage.repeats[late])
    low = np.searchsorted(sides, found.side[late[asked]] ^ 1, "left")
    high = np.searchsorted(sides, found.side[late[asked]] ^ 1, "right")
    for place, first, last in zip(asked.tolist(), low.tolist(), high.tolist(), strict=True):
        index = late[place]
        before = first + int(np.searchsorted(reports[first:last], index))
        until = before + int(np.searchsorted(times[before:last], soonest[place]))
        near = slice(max(first, before - REPORTS), until)
        whole = (left[near] <= found.seq[index]) & (right[near] >= found.end[index])
        answer[place] = bool(whole.any())
    return answer
