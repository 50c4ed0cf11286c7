"""Which class each late or repeated segment belongs to, by the evidence that stands beside it.

The order of the questions matters: what was never sent again is no loss, what the receiver had is none
either, and only the rest was lost. Each answer bears how sure its evidence makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.loss import CLASSES
from k8scap.tables.recovery import REPORTS, SHORTEST_TIMEOUT
from k8scap.tables.segments import ACK, FIN, LOWEST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

CODE = {name: place for place, name in enumerate(CLASSES)}
CERTAIN, SURE, LIKELY, FAIR, OPEN = 0.99, 0.95, 0.85, 0.7, 0.5
"""Told by the receiver or by identity; by a protocol's rule; by all signs; by time alone; by nothing."""
TOO_SOON = 0.25
"""Of a round trip: so soon after the gap opened no sender can have heard of it, wherever we stand."""


@dataclass(frozen=True, eq=False)
class Judged:
    """`index` of segments in capture order by connection, `code` (place in `CLASSES`) and `confidence`."""

    index: Ints
    code: Ints
    confidence: Floats


@dataclass(eq=False)
class _Open:
    """The answers so far; what is decided once stays so."""

    code: Ints
    confidence: Floats
    open: Bools

    def decide(self, mask: Bools, name: str, sure: float) -> None:
        chosen = self.open & mask
        self.code[chosen], self.confidence[chosen] = CODE[name], sure
        self.open[chosen] = False


def judge(replay: Replay) -> Judged:
    """Every segment that is late, repeated or a keep-alive."""
    import numpy as np

    from k8scap.tables.recovery import provoked

    found, cover = replay.segments, replay.coverage
    late = np.flatnonzero((cover.carries & (cover.repeats | cover.fills)) | _keep_alives(replay))
    count = len(late)
    answers = _Open(np.full(count, CODE["ambiguous"]), np.full(count, OPEN), np.ones(count, dtype=bool))
    received, echoed = _had_it(replay, late)
    repeats, fills = cover.repeats[late], cover.fills[late]
    waited = _since(replay, late, cover.before[late])
    answered = provoked(found, late)
    answers.decide(~cover.carries[late], "keep_alive", SURE)
    answers.decide(_same_packet(replay, late), "duplicate_capture", SURE)
    overtaken, overtaking = _overtaken(replay, late)
    answers.decide(overtaken, "reordering", SURE)
    answers.decide(overtaking, "spurious", CERTAIN)
    answers.decide(repeats & found.has(SYN)[late], "syn", SURE)
    answers.decide(received, "spurious", CERTAIN)
    answers.decide(echoed, "spurious", SURE)
    answers.decide(repeats & answered, "fast", SURE)
    answers.decide(repeats & _probes(replay, late, waited), "tail_probe", LIKELY)
    answers.decide(repeats & (waited >= SHORTEST_TIMEOUT), "rto", SURE)
    answers.decide(repeats, "rto", FAIR)
    _judge_fills(replay, late, fills, answered, answers)
    return Judged(late, answers.code, answers.confidence)


def _since(replay: Replay, late: Ints, earlier: Ints) -> Ints:
    """Nanoseconds from an earlier segment (-1: from itself)."""
    import numpy as np

    time = replay.segments.time
    return time[late] - time[np.where(earlier >= 0, earlier, late)] if len(late) else late


def _probes(replay: Replay, late: Ints, waited: Ints) -> Bools:
    """The last segment again, before the retransmission timer, or while earlier ones are not acknowledged.

    That timer repeats the first segment that is not acknowledged (RFC 6298, 5.4); a probe repeats the last.
    """
    found = replay.segments
    last = found.end[late] >= found.highest(found.end, before=True)[late]
    behind = found.acknowledged[late] < found.seq[late]
    answer: Bools = last & ((waited < SHORTEST_TIMEOUT) | behind)
    return answer


def _keep_alives(replay: Replay) -> Bools:
    """Segments that carry nothing new and stand one before the next expected (RFC 9293, 3.8.4)."""
    found, cover = replay.segments, replay.coverage
    highest = found.highest(found.end, before=True)
    plain = found.has(ACK) & ~found.has(SYN) & ~found.has(FIN) & (found.payload <= 1)
    answer: Bools = plain & ~cover.carries & (found.seq == highest - 1) & (found.acknowledged >= highest)
    return answer


def _same_packet(replay: Replay, late: Ints) -> Bools:
    """Repeats with the IP identification of what they repeat, where the sender gives each packet its own."""
    import numpy as np

    found, before = replay.segments, replay.coverage.before[late]
    earlier = np.maximum(before, 0)
    if not len(late):
        return late > 0
    same = (found.ip_id[late] == found.ip_id[earlier]) & (found.seq[late] == found.seq[earlier])
    tells = found.telling
    same &= (found.tsval[late] == found.tsval[earlier]) & (found.end[late] == found.end[earlier])
    answer: Bools = (before >= 0) & same & tells[late] & tells[earlier]
    return answer


def _overtaken(replay: Replay, late: Ints) -> tuple[Bools, Bools]:
    """Originals that come after the copy that was sent for want of them; and those copies."""
    import numpy as np

    from k8scap.tables.recovery import sent_after

    before = replay.coverage.before[late]
    order = sent_after(replay.segments, late, np.where(before >= 0, before, late))
    overtaken = (before >= 0) & (order < 0)
    return overtaken, np.isin(late, before[overtaken])


def _had_it(replay: Replay, late: Ints) -> tuple[Bools, Bools]:
    """Whether the receiver had the bytes already: as it says itself, and by the time that its ACK echoes."""
    import numpy as np

    from k8scap.tables.recovery import reported_twice
    from k8scap.tables.unwrapping import signed

    found = replay.segments
    if not len(late):
        return late > 0, late > 0
    says = found.acknowledged[late] >= found.end[late]
    says |= reported_twice(found, late) | _selectively_acknowledged(replay, late)
    acks = found.advances
    place = acks.first_above(found.side[late] ^ 1, found.end[late] - 1, late)
    there = np.minimum(place, max(len(acks.index) - 1, 0))
    if not len(acks.index):
        return says, says & False
    answer = acks.index[there]
    mine = (place < len(acks.index)) & (acks.side[there] == found.side[late] ^ 1)
    mine &= acks.since[there] >= found.seq[late]  # elsewhere the echo is of what filled the edge
    stamped = (found.tsval[late] > 0) & (found.tsecr[answer] > 0)
    earlier = signed(found.tsecr[answer] - found.tsval[late]) < 0
    return says, mine & stamped & earlier


def _selectively_acknowledged(replay: Replay, late: Ints) -> Bools:
    """Repeats that lie wholly in a block which the receiver had reported (RFC 2018; each ACK's first)."""
    import numpy as np

    found = replay.segments
    reports = found.by_side[
        (found.sack_left > found.ack)[found.by_side] & (found.ack > LOWEST)[found.by_side]
    ]
    answer = np.zeros(len(late), dtype=bool)
    if not len(reports):
        return answer
    sides = found.side[reports]
    asked = np.flatnonzero(replay.coverage.repeats[late])
    low = np.searchsorted(sides, found.side[late[asked]] ^ 1, "left")
    high = np.searchsorted(sides, found.side[late[asked]] ^ 1, "right")
    for place, first, last in zip(asked.tolist(), low.tolist(), high.tolist(), strict=True):
        index = late[place]
        until = first + int(np.searchsorted(reports[first:last], index))
        near = reports[max(first, until - REPORTS) : until]
        whole = (found.sack_left[near] <= found.seq[index]) & (found.sack_right[near] >= found.end[index])
        answer[place] = bool(whole.any())
    return answer


def _judge_fills(replay: Replay, late: Ints, fills: Bools, answered: Bools, answers: _Open) -> None:
    """Bytes that come late for the first time: overtaken, or lost before this point and sent again."""
    import numpy as np

    from k8scap.tables.recovery import sent_after

    found, cover = replay.segments, replay.coverage
    if not fills.any():
        return
    opener = np.where(fills, cover.opener[late], late)
    order = np.where(fills, sent_after(found, late, opener), 0)
    waited = _since(replay, late, opener)
    round_trip = replay.handshakes.round_trip[found.flow[late]]
    known = round_trip != ABSENT
    answers.decide(fills & (order < 0), "reordering", SURE)
    answers.decide(fills & (order > 0) & answered, "fast", SURE)
    answers.decide(fills & (order > 0), "rto", LIKELY)
    soon = known & (waited < TOO_SOON * round_trip)
    answers.decide(fills & (soon | (~answered & (waited < SHORTEST_TIMEOUT))), "reordering", FAIR)
    whole = known & (waited >= round_trip)
    answers.decide(fills & answered & whole & (waited < SHORTEST_TIMEOUT), "fast", FAIR)
    answers.decide(fills & whole & (waited >= SHORTEST_TIMEOUT), "rto", FAIR)
