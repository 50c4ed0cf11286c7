"""Why bytes were sent again: what the sender had heard from the other side when it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.segments import FIN, LOWEST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.coverage import Coverage
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Texts = npt.NDArray[np.str_]

KINDS = ("syn", "fin", "timeout", "fast", "spurious", "ambiguous")
VERDICTS = ("spurious_retransmission", "fast_retransmission", "out_of_order", "retransmission")
"""Wireshark's, the more telling ones first: it may flag one frame with several."""

DUPLICATE_ACKS = 3
"""RFC 5681, 3.2: so many duplicate ACKs start a fast retransmission."""
PROMPT = 20_000_000
"""Nanoseconds: an answer to an ACK comes this soon after it, and a round trip and a half.

The path to the sender and back, and the quarter of a round trip for which it waits for stragglers (RFC 8985,
6.2)."""
SHORTEST_TIMEOUT = 200_000_000
"""Nanoseconds: no common TCP's retransmission timer is shorter (Linux' TCP_RTO_MIN; RFC 6298 says 1 s)."""
LONGEST_OVERTAKEN = 1_000_000_000
"""Nanoseconds: whatever comes later than that was sent again (RFC 6298's shortest timer)."""


def verdicts(packets: pd.DataFrame, rows: Ints) -> Texts:
    """Wireshark's most telling verdict on these rows of a packets table; empty where it has none."""
    import numpy as np

    flags = [packets[name].to_numpy(dtype=bool)[rows] for name in VERDICTS]
    return np.select(flags, VERDICTS, "") if len(rows) else np.zeros(0, dtype="U1")


def events(segments: Segments, cover: Coverage) -> Ints:
    """Indices of the segments that were sent again, or may have been: reordered ones are left out."""
    import numpy as np

    reordered = np.zeros(len(segments), dtype=bool)
    fills = np.flatnonzero(cover.fills)
    reordered[fills] = sent_after(segments, fills, overtakers(segments, cover, fills)) < 0
    return np.flatnonzero(cover.repeats | (cover.fills & ~reordered)).astype(np.int64)


def kinds(segments: Segments, cover: Coverage, event: Ints, verdicts: Texts) -> Texts:
    """The kind of each event, one of `KINDS`; `verdicts` are Wireshark's on the same segments."""
    import numpy as np

    flags, payload = segments.flags[event], segments.payload[event]
    acknowledged = segments.acknowledged[event] >= segments.end[event]
    unneeded = acknowledged | reported_twice(segments, event)
    own = np.where(provoked(segments, event), "fast", "timeout")
    kind = np.where(unneeded, "spurious", own)
    kind = np.where(cover.fills[event], _of_fills(segments, cover, event, own, verdicts), kind)
    kind = np.where((flags & FIN != 0) & (payload == 0), "fin", kind)
    return np.where((flags & SYN != 0) & cover.repeats[event], "syn", kind)


def _of_fills(segments: Segments, cover: Coverage, event: Ints, own: Texts, verdicts: Texts) -> Texts:
    """Of segments whose first copy was not captured: sure ones by their own evidence, else by Wireshark's."""
    import numpy as np

    opener = overtakers(segments, cover, event)
    sure = sent_after(segments, event, opener) > 0
    waited = segments.time[event] - segments.time[opener] if len(event) else event
    too_soon = (verdicts == "retransmission") & (waited < SHORTEST_TIMEOUT)
    theirs = np.select(
        [
            verdicts == "fast_retransmission",
            verdicts == "spurious_retransmission",
            verdicts == "retransmission",
        ],
        ["fast", "spurious", "timeout"],
        "ambiguous",
    )
    return np.where(sure, own, np.where(too_soon, "ambiguous", theirs))


def sent_after(segments: Segments, late: Ints, opener: Ints) -> Ints:
    """1 where `late` was sent after the segment that it should precede, -1 where before, 0 where unknown.

    A sender's timestamps (RFC 7323) never go back, and Linux counts a connection's IP identifications up. No
    path holds a packet back for a second: then they count otherwise (old Windows swaps their bytes).
    """
    import numpy as np

    from k8scap.tables.unwrapping import signed

    if not len(late):
        return late
    stamped = (segments.tsval[late] >= 0) & (segments.tsval[opener] >= 0)
    by_time = np.where(stamped, np.sign(signed(segments.tsval[late] - segments.tsval[opener])), 0)
    tells = segments.telling
    counted = tells[late] & tells[opener]
    step = ((segments.ip_id[late] - segments.ip_id[opener] + 2**15) & 0xFFFF) - 2**15
    counted &= (step > 0) | (segments.time[late] - segments.time[opener] <= LONGEST_OVERTAKEN)
    return np.where(by_time != 0, by_time, np.where(counted, np.sign(step), 0))


def overtakers(segments: Segments, cover: Coverage, late: Ints) -> Ints:
    """The segment that showed the gap which each of `late` begins in: the first from beyond, in order.

    Its place in the sender's order tells what `late` was; the gap's other edge may have been sent again since
    (`cover.opener`, which stands where the first from beyond was no segment with bytes).
    """
    import numpy as np

    opener = cover.opener[late]
    sent = segments.by_side[cover.in_order[segments.by_side]]
    if not len(sent) or not len(late):
        return opener
    span = 2**62 // max(2 * segments.flows, 1)
    keys = segments.side[sent] * span + np.clip(segments.seq[sent], -span // 2 + 1, span // 2 - 1)
    place = np.searchsorted(keys, segments.side[late] * span + segments.end[late])
    first = sent[np.minimum(place, len(sent) - 1)]
    there = (place < len(sent)) & (segments.side[first] == segments.side[late]) & (first < late)
    return np.where(there & (opener >= 0), first, opener)


def provoked(segments: Segments, event: Ints) -> Bools:
    """Events that answer what the other side had just said: that it lacks these bytes.

    It says so by three duplicate ACKs (RFC 5681) or a selective ACK from beyond (RFC 6675); and, until all
    is acknowledged that was sent when the recovery began, by any partial acknowledgment (RFC 6582).
    """
    import numpy as np

    if not len(event):
        return np.zeros(0, dtype=bool)
    patience = np.maximum(segments.handshakes.round_trip, 0) * 3 // 2 + PROMPT
    acknowledged, reached = segments.acknowledged[event], segments.reached[event]
    silent = segments.time[event] - segments.heard(segments.time, by=event)
    prompt = (silent <= patience[segments.flow[event]]) & (acknowledged <= segments.seq[event])
    beyond = segments.heard(segments.highest(segments.sack_right), by=event) > segments.end[event]
    duplicates = segments.heard(segments.duplicate_acks, 0, by=event) >= DUPLICATE_ACKS
    reported = prompt & (beyond | duplicates)
    answers = reported.copy()
    recovery: dict[int, int] = {}
    for place, side in enumerate(segments.side[event].tolist()):
        partial = prompt[place] and acknowledged[place] < recovery.get(side, LOWEST)
        answers[place] = reported[place] or partial
        if not answers[place]:
            recovery.pop(side, None)
        elif not partial:
            recovery[side] = int(reached[place])
    return answers


def pointed_at(segments: Segments, event: Ints) -> Bools:
    """Events whose bytes the other side had shown to be missing: it waits for them, or holds what follows.

    Senders also repeat what nothing points at, by the time at which it was sent (RFC 8985, 6.2): where that
    is measured against a copy that was not needed, neither was the repeat.
    """
    beyond = segments.heard(segments.highest(segments.sack_right), by=event) > segments.end[event]
    answer: Bools = beyond | (segments.acknowledged[event] >= segments.seq[event])
    return answer


def duplicate_acks(segments: Segments) -> Ints:
    """How many pure ACKs in a row, up to each segment, repeated their side's highest acknowledgment."""
    import numpy as np

    order = segments.by_side
    highest = segments.highest(segments.ack, before=True)
    again = segments.pure_ack & (segments.ack == highest) & (segments.window != 0)
    advances = (segments.ack > highest)[order]
    counted = np.cumsum(again[order])
    since = np.maximum.accumulate(np.where(advances, counted, 0))
    result = np.empty(len(order), dtype=np.int64)
    result[order] = counted - since
    return result


def reported_twice(segments: Segments, event: Ints) -> Bools:
    """Events whose bytes the other side then reported as received twice (D-SACK, RFC 2883)."""
    import numpy as np

    marked = np.zeros(len(event), dtype=bool)
    reports = segments.second_reports
    flow, side = segments.flow[event], segments.side[event]
    for index in reports.tolist():
        low = int(np.searchsorted(flow, segments.flow[index]))
        high = int(np.searchsorted(event, index))
        of_other = side[low:high] != segments.side[index]
        overlap = (segments.seq[event[low:high]] < segments.sack_right[index]) & (
            segments.end[event[low:high]] > segments.sack_left[index]
        )
        hits = low + np.flatnonzero(of_other & overlap & ~marked[low:high])
        marked[hits[-1:]] = True
    return marked


def second_reports(segments: Segments) -> Ints:
    """Indices of the segments whose first SACK block reports what came twice (RFC 2883, 4).

    It lies below what is acknowledged; or above, and then inside a block that was reported before, though
    nothing but its arrival called for an ACK: neither the acknowledgment nor the window has moved.
    """
    import numpy as np

    known = (segments.sack_left > LOWEST) & (segments.ack > LOWEST)
    below = known & (segments.sack_right <= segments.ack)
    order = segments.by_side
    before = np.full(len(order), -1, dtype=np.int64)
    before[order[1:]] = order[:-1]
    before[before >= 0] = np.where(segments.side[before] == segments.side, before, -1)[before >= 0]
    still = (segments.ack == segments.ack[before]) & (segments.window == segments.window[before])
    front = segments.highest(np.where(known, segments.sack_right, LOWEST), before=True)
    above = known & ~below & (before >= 0) & still & segments.pure_ack & (segments.sack_right <= front)
    reporting = order[known[order]]
    sides = segments.side[reporting]
    second = [
        index for index in np.flatnonzero(above).tolist() if _reported(segments, reporting, sides, index)
    ]
    return np.sort(np.concatenate((np.flatnonzero(below), np.array(second, dtype=np.int64))))


def _reported(segments: Segments, reporting: Ints, sides: Ints, index: int) -> bool:
    """Whether an earlier report of the same side holds the whole of this one's first block."""
    import numpy as np

    side = segments.side[index]
    first, last = int(np.searchsorted(sides, side)), int(np.searchsorted(sides, side, "right"))
    until = first + int(np.searchsorted(reporting[first:last], index))
    near = reporting[max(first, until - REPORTS) : until]
    left, right = segments.sack_left[near], segments.sack_right[near]
    return bool(((left <= segments.sack_left[index]) & (right >= segments.sack_right[index])).any())


REPORTS = 4096
"""So many of the last selective ACKs are searched: a window's worth, and then some."""


def since_earlier(segments: Segments, later: Ints, earlier: Ints) -> Ints:
    """Nanoseconds between two segments each, `ABSENT` where the earlier one is -1."""
    import numpy as np

    gap = segments.time[later] - segments.time[earlier] if len(later) else later
    return np.where(earlier >= 0, gap, ABSENT)
