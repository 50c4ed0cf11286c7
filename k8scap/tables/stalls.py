"""When a TCP connection stood still, and for what: by connection and time, as nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.segments import RST, SYN
from k8scap.tables.spans import spans

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.replay import Replay
    from k8scap.tables.spans import Spans

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

SILENT_ROUND_TRIPS = 2
"""A silence longer than so many round trips, and ended by a repeat, is a stall (TAPO, Zhang et al. 2015)."""
DELAYED = 20_000_000
"""Nanoseconds: an ACK that comes so much later than the path lets it was delayed (RFC 9293, 3.8.6.3)."""
DELAYED_LONGEST = 600_000_000
"""No ACK may be delayed by more than 500 ms (RFC 1122, 4.2.3.2)."""
AT_ONCE = 2_000_000
"""Nanoseconds within which a sender goes on that was held up by Nagle's algorithm alone (RFC 896)."""
_UNKNOWN_ROUND_TRIP = 1_000_000


def retransmission_stalls(replay: Replay) -> Spans:
    """The silence before each segment that was sent again for need, where that was a stall.

    From the last segment of either side; the handshake's repeats, and repeats without need, are none.
    """
    import numpy as np

    found = replay.segments
    event = replay.events[~np.isin(replay.kinds, ("spurious", "syn"))]
    before = np.maximum(event - 1, 0)
    round_trip = round_trips_by_flow(replay)[found.flow[event]] if len(event) else event
    gap = found.time[event] - found.time[before]
    stalled = (
        (event > 0) & (found.flow[before] == found.flow[event]) & (gap > SILENT_ROUND_TRIPS * round_trip)
    )
    chosen = event[stalled]
    return spans(found.flow[chosen], found.time[chosen - 1], found.time[chosen])


def zero_windows(replay: Replay, *, of_client: bool) -> Spans:
    """From a side's announcement of a zero window to its next one of more, or to the connection's end."""
    import numpy as np

    found = replay.segments
    mine = (found.side % 2 == (0 if of_client else 1)) & ~found.has(RST) & ~found.has(SYN)
    order = np.flatnonzero(mine & (found.window >= 0))
    shut = found.window[order] == 0
    if not shut.any():
        return spans(order[:0], order[:0], order[:0])
    same = np.zeros(len(order), dtype=bool)
    same[1:] = found.flow[order[1:]] == found.flow[order[:-1]]
    begins = np.flatnonzero(shut & ~(same & np.concatenate(([False], shut[:-1]))))
    flow_end = np.append(found.flow_start[1:], len(found)) - 1
    opens = np.flatnonzero(~shut | ~same)
    following = np.searchsorted(opens, begins, "right")
    place = opens[np.minimum(following, max(len(opens) - 1, 0))] if len(opens) else begins
    flow = found.flow[order[begins]]
    inside = (following < len(opens)) & (found.flow[order[place]] == flow)
    end = np.where(inside, order[place], flow_end[flow])
    return spans(flow, found.time[order[begins]], found.time[end])


def delayed_acks(replay: Replay, spoken: Ints) -> tuple[Spans, Ints]:
    """Where Nagle's algorithm waited for an ACK that its receiver delayed; and the segments that waited.

    `spoken` are indices of the segments with new payload. A sender with a small segment under way holds the
    next small one back until that is acknowledged (RFC 896); a receiver delays the ACK, hoping for data to
    send along (RFC 9293, 3.8.6.3). Counted is what goes beyond the round trip.
    """
    import numpy as np

    found = replay.segments
    held, before = spoken[1:], spoken[:-1]
    ack = found.other[held] if len(spoken) else held
    largest = np.zeros(2 * found.flows, dtype=np.int64)
    np.maximum.at(largest, found.side[spoken], found.payload[spoken])
    waits = (found.side[held] == found.side[before]) & (ack > before)
    waits &= found.pure_ack[ack] & (found.ack[ack] == found.end[before])
    waits &= found.highest(found.ack, before=True)[ack] < found.end[before]
    waits &= found.payload[held] < np.maximum(largest[found.side[held]], _SMALL)
    waits &= found.payload[before] < _SMALL
    round_trip = round_trips_by_flow(replay)[found.flow[held]] if len(held) else held
    lost = found.time[held] - found.time[before] - round_trip
    prompt = found.time[held] - found.time[ack] <= round_trip + AT_ONCE
    chosen = np.flatnonzero(waits & prompt & (lost >= DELAYED) & (lost <= DELAYED_LONGEST))
    segment, until = held[chosen], found.time[held[chosen]]
    return spans(found.flow[segment], until - lost[chosen], until), segment


_SMALL = 1200
"""Bytes: what is below is less than a full segment on any path (RFC 8200: an MTU of 1280 at the least)."""


def round_trips_by_flow(replay: Replay) -> Ints:
    """Each connection's handshake's round trip (a millisecond where nothing was measured)."""
    import numpy as np

    known = replay.handshakes.round_trip
    return np.where(known == ABSENT, _UNKNOWN_ROUND_TRIP, np.maximum(known, 0))
