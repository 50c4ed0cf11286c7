"""What became of each packet that one point has and the other has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.correlation import bytes_shown
from k8scap.correlation.trace import ICMP, TCP, digest
from k8scap.correlation.ways import near_side
from k8scap.tables.segments import RST

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.matching import Side

    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]
    Bools = npt.NDArray[np.bool_]

VERDICTS = ("lost", "not_captured", "made_between", "resegmented", "duplicate", "not_judged")
REASONS = (
    "seen before, and not behind",
    "its bytes came again, and only then were acknowledged",
    "its bytes were acknowledged before this capture showed them",
    "a point further on has it",
    "seen behind, and not before",
    "made on the way: nothing was sent before",
    "the same bytes in segments of other lengths (offload)",
    "the same packet once more",
    "outside the time that both recorded",
    "the other point shows nothing of this conversation",
    "which way it went is not known",
    "this capture dropped packets",
    "the other point shows nothing that goes this way",
)
(BEFORE, CAME_AGAIN, ACKNOWLEDGED, FURTHER_ON, BEHIND, MADE, CUT, AGAIN, OUTSIDE, ELSEWHERE, NO_WAY,
 DROPPED, ONE_SIDED) = range(len(REASONS))  # fmt: skip
LOST, NOT_CAPTURED, MADE_BETWEEN, RESEGMENTED, DUPLICATE, NOT_JUDGED = range(len(VERDICTS))

_VERDICT_OF = (
    LOST, LOST, NOT_CAPTURED, NOT_CAPTURED, NOT_CAPTURED, MADE_BETWEEN, RESEGMENTED, DUPLICATE, NOT_JUDGED,
    NOT_JUDGED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED,
)  # fmt: skip
PROVEN, LIKELY, PLAUSIBLE = 0.99, 0.95, 0.8
"""Confidence: by bytes that came again or were acknowledged; by captures that dropped nothing; otherwise."""
_CONFIDENCE = (LIKELY, PROVEN, PROVEN, PROVEN, LIKELY, PLAUSIBLE, LIKELY, LIKELY, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class View:
    """One of a pair's points, as the other's missing packets are judged.

    `begin` and `end` are the nanoseconds, by its own clock, between which it recorded all it saw; `dropped`
    how many packets its capture dropped (None: nobody knows); `unfiltered`, that no filter left any out.
    """

    side: Side
    begin: int
    end: int
    dropped: int | None
    unfiltered: bool


@dataclass(frozen=True, eq=False)
class Missing:
    """Packets of one point that the other has not; `rows` are indices into its trace.

    `way` is 1 where they go from this point to the other, -1 where they come from there, 0: not known.
    `reason` counts in REASONS.
    """

    rows: Ints
    way: Ints
    reason: Ints
    confidence: npt.NDArray[np.float64]
    word: Words

    @property
    def verdict(self) -> Ints:
        """Places in VERDICTS."""
        import numpy as np

        answer: Ints = np.array(_VERDICT_OF)[self.reason]
        return answer


@dataclass(frozen=True, eq=False)
class Meeting:
    """What two points have in common, as one of them sees it: `mine`, `theirs` are matched packets.

    `way` is that of each matched packet, 1 where it goes from here to there. `arrival` gives for every packet
    of this point when it would be at the other, by that one's clock; `spread` is how much later it may be.
    """

    mine: Ints
    theirs: Ints
    way_of_group: Ints
    arrival: Ints
    spread: int


def missing(here: View, there: View, meeting: Meeting) -> Missing:
    """Judge every packet of `here` that was matched with none of `there`'s."""
    import numpy as np

    trace = here.side.trace
    matched = np.zeros(len(trace), dtype=bool)
    matched[meeting.mine] = True
    rows = np.flatnonzero(~matched)
    way, elsewhere = _way(here.side, there.side, meeting, rows)
    reason = np.full(len(rows), BEFORE)
    confidence_of = np.array(_CONFIDENCE)
    reason[way < 0] = BEHIND
    made = ((trace.flags[rows] & RST) != 0) | (trace.protocol[rows] == ICMP)
    reason[(way < 0) & made] = MADE
    reason[way == 0] = NO_WAY
    reason[elsewhere] = ELSEWHERE
    sent = np.flatnonzero(way > 0)
    passes = there.unfiltered or bool((_signed(here.side, meeting.mine, meeting.way_of_group) > 0).any())
    reason[sent] = _downstream(here, there, meeting, rows[sent]) if passes else ONE_SIDED
    for holds, instead in _exceptions(here, there, meeting, rows):
        reason[holds] = instead
    confidence = confidence_of[reason]
    if there.dropped is None:
        confidence = np.where(reason == BEFORE, PLAUSIBLE, confidence)
    return Missing(rows, way, reason, confidence, digest(trace.content[rows], trace.ip_id[rows]))


def _exceptions(here: View, there: View, meeting: Meeting, rows: Ints) -> Iterator[tuple[Bools, int]]:
    """What says more than that a packet is not there; of several the last counts."""
    arrival = meeting.arrival[rows]
    yield (arrival < there.begin) | (arrival + meeting.spread > there.end), OUTSIDE
    yield _resegmented(here.side, there.side, meeting, rows), CUT
    yield here.side.trace.again[rows], AGAIN


def _way(here: Side, there: Side, meeting: Meeting, rows: Ints) -> tuple[Ints, Bools]:
    """The way of each packet; and whether the other point need not have seen its conversation at all.

    A conversation that the other point does not know is expected there when its two addresses lie on
    different sides, by others' packets, and the farther one is not rewritten on the way: behind a Service's
    address there may be other backends.
    """
    import numpy as np

    trace, group = here.trace, here.group[rows]
    matched_way = _signed(here, meeting.mine, meeting.way_of_group)
    of_group = _signed(here, rows, meeting.way_of_group)
    behind = near_side(here, meeting.mine, matched_way)
    sender, receiver = trace.sender[rows], trace.receiver[rows]
    guess = np.where(behind[sender] * behind[receiver] < 0, behind[sender], 0)
    far = np.where(guess > 0, receiver, sender)
    guess = np.where(_rewritten(here, there, meeting, len(behind))[far], 0, guess)
    unknown = group < 0
    return np.where(unknown, guess, of_group), unknown & (guess == 0)


def _signed(side: Side, rows: Ints, way_of_group: Ints) -> Ints:
    import numpy as np

    group = side.group[rows]
    way = np.append(way_of_group, 0)[group]  # -1, no group, is the last
    return np.where(side.forward[rows], way, -way)


def _rewritten(here: Side, there: Side, meeting: Meeting, size: int) -> Bools:
    """Which addresses of this point are others at the other point, for any packet that both have."""
    import numpy as np

    answer = np.zeros(size, dtype=bool)
    first, second = here.trace, there.trace
    for mine, theirs in ((first.sender, second.sender), (first.receiver, second.receiver)):
        answer[mine[meeting.mine][mine[meeting.mine] != theirs[meeting.theirs]]] = True
    return answer


def _downstream(here: View, there: View, meeting: Meeting, rows: Ints) -> Ints:
    """Lost on the way, or by the capture behind: by when its bytes were shown there, and acknowledged."""
    import numpy as np

    trace, arrival = here.side.trace, meeting.arrival[rows]
    segments = bytes_shown.absent(here.side, there.side, rows, meeting.mine, meeting.theirs)
    shown = bytes_shown.first_shown(there.side, segments)
    told = bytes_shown.acknowledged(there.side, segments)
    carries = trace.end[rows] > trace.seq[rows]
    known = carries & (told != bytes_shown.NEVER)
    came_again = carries & (shown != bytes_shown.NEVER) & (arrival <= shown) & (shown <= told)
    arrived = _last_copies(here.side, rows, known & (told < shown) & (arrival <= told))
    nothing = DROPPED if there.dropped else BEFORE
    return np.where(arrived, ACKNOWLEDGED, np.where(came_again, CAME_AGAIN, nothing))


def _last_copies(side: Side, rows: Ints, chosen: Bools) -> Bools:
    """Of the chosen rows with the same first byte the last one: one copy arrived, and then none was sent."""
    import numpy as np

    trace = side.trace
    keep = np.flatnonzero(chosen)
    first_byte = digest(trace.conversation[rows[keep]], trace.forward[rows[keep]], trace.seq[rows[keep]])
    order = np.lexsort((trace.time[rows[keep]], first_byte))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = first_byte[order][1:] != first_byte[order][:-1]
    answer = np.zeros(len(rows), dtype=bool)
    answer[keep[order[last]]] = True
    return answer


def _resegmented(here: Side, there: Side, meeting: Meeting, rows: Ints) -> Bools:
    """Segments whose first byte the other point shows in one of another length, which has no match either.

    Segmentation and receive offload cut the same bytes otherwise; a segment that was lost comes again with a
    later timestamp, or is matched itself.
    """
    import numpy as np

    mine = here.trace
    data = (mine.protocol[rows] == TCP) & (mine.payload[rows] > 0)
    left = np.ones(len(there.trace), dtype=bool)
    left[meeting.theirs] = False
    left &= (there.trace.payload > 0) & (there.trace.protocol == TCP)
    if not data.any() or not left.any():
        return np.zeros(len(rows), dtype=bool)
    segments = bytes_shown.absent(here, there, rows, meeting.mine, meeting.theirs)
    cut: Bools = data & bytes_shown.covered(there, np.flatnonzero(left), segments, mine.tsval[rows])
    return cut
