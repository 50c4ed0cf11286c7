"""Which class each late or repeated segment belongs to, by the evidence that stands beside it.

The order of the questions matters: what was never sent again is no loss, what the receiver had is none
either, and only the rest was lost. Each answer bears how sure its evidence makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.loss import CLASSES
from k8scap.tables.recovery import SHORTEST_TIMEOUT
from k8scap.tables.segments import ACK, FIN, SYN

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

    from k8scap.tables.reception import arrived_here, echoed, reported_alone, said
    from k8scap.tables.recovery import pointed_at, provoked

    found, cover = replay.segments, replay.coverage
    again, former = replay.unseen
    late = np.flatnonzero((cover.carries & (cover.repeats | cover.fills)) | _keep_alives(replay))
    late = np.union1d(late, again)
    count = len(late)
    answers = _Open(np.full(count, CODE["ambiguous"]), np.full(count, OPEN), np.ones(count, dtype=bool))
    repeats, fills = cover.repeats[late], cover.fills[late]
    waited = _since(replay, late, cover.before[late])
    answered = provoked(found, late)
    answers.decide(~cover.carries[late], "keep_alive", SURE)
    answers.decide(_same_packet(replay, late), "duplicate_capture", SURE)
    overtaken = _overtaken(replay, late)
    answers.decide(overtaken.copies & ~overtaken.needed, "reordering", SURE)
    answers.decide(np.isin(late, overtaken.by), "spurious", CERTAIN)
    prompted = np.isin(cover.before[late], late[answered])
    answers.decide(overtaken.needed & prompted, "fast", LIKELY)
    answers.decide(overtaken.needed, "rto", LIKELY)
    answers.decide(repeats & found.has(SYN)[late], "syn", SURE)
    answers.decide(said(replay, late), "spurious", CERTAIN)
    answers.decide(echoed(replay, late), "spurious", SURE)
    answers.decide(arrived_here(replay, late), "spurious", LIKELY)
    answers.decide(_of_needless(replay, late, answers) & reported_alone(replay, late), "ambiguous", OPEN)
    amid = _amid_needless(replay, late, answers)
    answers.decide(amid & answered & ~pointed_at(found, late), "ambiguous", OPEN)
    answers.decide(repeats & answered, "fast", SURE)
    answers.decide(repeats & _probes(replay, late, waited), "tail_probe", LIKELY)
    answers.decide(repeats & (waited >= SHORTEST_TIMEOUT), "rto", SURE)
    answers.decide(repeats, "rto", FAIR)
    _judge_fills(replay, late, fills, answered, answers)
    by_timer = again[found.time[again] - found.time[former] >= SHORTEST_TIMEOUT]
    answers.decide(np.isin(late, by_timer), "rto", FAIR)
    answers.decide(np.isin(late, again), "tail_probe", FAIR)
    return Judged(late, answers.code, answers.confidence)


def _of_needless(replay: Replay, late: Ints, answers: _Open) -> Bools:
    """Segments of sides that were seen to repeat for nothing."""
    import numpy as np

    side = replay.segments.side[late]
    needless = (answers.code == CODE["spurious"]) & ~answers.open
    return np.isin(side, side[needless])


def _amid_needless(replay: Replay, late: Ints, answers: _Open) -> Bools:
    """Segments before and after which their sender's nearest decided repeats were both for nothing."""
    import numpy as np

    found = replay.segments
    repeats = np.flatnonzero(replay.coverage.repeats[late])
    repeats = repeats[np.argsort(found.side[late[repeats]], kind="stable")]
    side, place = found.side[late[repeats]], np.arange(len(repeats))
    needless = (answers.code[repeats] == CODE["spurious"]) & ~answers.open[repeats]
    decided = ~answers.open[repeats]
    before = np.maximum.accumulate(np.where(decided, place, -1)) if len(place) else place
    after = np.minimum.accumulate(np.where(decided, place, len(place))[::-1])[::-1]
    inside = (before >= 0) & (after < len(place))
    before, after = np.maximum(before, 0), np.minimum(after, max(len(place) - 1, 0))
    inside &= (side[before] == side) & (side[after] == side) & needless[before] & needless[after]
    answer = np.zeros(len(late), dtype=bool)
    answer[repeats] = inside
    return answer


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


@dataclass(frozen=True, eq=False)
class _Overtaken:
    """Copies that come after a later one; `needed` where the first was lost, so that both are repeats.

    `by` is the copy that came before them: whoever sent that did so for nothing.
    """

    copies: Bools
    needed: Bools
    by: Ints


def _overtaken(replay: Replay, late: Ints) -> _Overtaken:
    import numpy as np

    from k8scap.tables.recovery import overtakers, sent_after

    cover = replay.coverage
    before = cover.before[late]
    copies = (before >= 0) & (sent_after(replay.segments, late, np.where(before >= 0, before, late)) < 0)
    by = np.where(copies, before, 0)
    opener = np.where(copies & cover.fills[by], overtakers(replay.segments, cover, by), -1)
    beyond = np.where(opener >= 0, opener, late)
    needed = (opener >= 0) & (sent_after(replay.segments, late, beyond) > 0)
    return _Overtaken(copies, needed, before[copies])


def _judge_fills(replay: Replay, late: Ints, fills: Bools, answered: Bools, answers: _Open) -> None:
    """Bytes that come late for the first time: overtaken, or lost before this point and sent again."""
    import numpy as np

    from k8scap.tables.recovery import overtakers, sent_after

    found, cover = replay.segments, replay.coverage
    if not fills.any():
        return
    opener = np.where(fills, overtakers(found, cover, late), late)
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
