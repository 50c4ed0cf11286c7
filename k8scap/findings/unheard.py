"""Repeats after which nothing more was heard of whom they were sent to: lost, or nobody was there; who knows.

A FIN to a host that is gone, a SYN-ACK to a port scan, the last words on a connection that a NAT has
forgotten: they are repeated until their sender gives up. Nothing tells that the path lost them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

NEW_SEGMENTS = 2
"""After a time-out a sender's window is one segment (RFC 5681, 3.1): who goes on has heard an ACK."""


def unheard(case: Case, events: pd.DataFrame, *, since_first: bool = True) -> pd.Series:
    """Which `events` (rows of the retransmissions table) got no answer of any kind (bool, as `events`).

    From the first copy on (`since_first`; else from the event on) the other side said nothing to the end of
    the conversation, but for resets. Nor does the sender show that it heard anything: it acknowledges nothing
    that was not captured before, and sends nothing new.
    """
    import numpy as np
    import pandas as pd

    replay = case.replayed
    found, event = replay.segments, replay.events
    chosen = event[np.isin(found.number[event], events["number"].to_numpy(dtype=np.int64))]
    since = _first_copies(chosen, replay.coverage.before) if since_first else chosen
    alone = (_last_words(found)[found.side[chosen] ^ 1] < since) & ~_went_on(replay, chosen, since)
    return pd.Series(np.isin(events["number"], found.number[chosen[alone]]), index=events.index)


def _first_copies(event: Ints, before: Ints) -> Ints:
    """The segments in which the events' bytes were captured first."""
    import numpy as np

    first = event
    while len(first):
        earlier = np.where(before[first] >= 0, before[first], first)
        if (earlier == first).all():
            break
        first = earlier
    return first


def _last_words(found: Segments) -> Ints:
    """By side, its last segment that is no reset; -1 where it never spoke."""
    import numpy as np

    from k8scap.tables.segments import RST

    return _last(found, np.flatnonzero(~found.has(RST)))


def _last(found: Segments, rows: Ints) -> Ints:
    """By side, the last of these segments (in capture order by connection); -1 where there is none."""
    import numpy as np

    last = np.full(2 * found.flows, -1, dtype=np.int64)
    last[found.side[rows]] = rows  # of several for one side the last one stays
    return last


def _went_on(replay: Replay, event: Ints, since: Ints) -> Bools:
    """Whether the sender's own later segments show that it had heard something."""
    import numpy as np

    from k8scap.tables.segments import LOWEST

    found = replay.segments
    side, last = found.side[event], _last(found, np.arange(len(found)))
    count = len(found) + 1
    spoken = np.zeros(len(found), dtype=bool)
    spoken[replay.spoken] = True
    order = found.by_side[spoken[found.by_side]]
    key = found.side[order] * count + order
    later = np.searchsorted(key, (side + 1) * count) - np.searchsorted(key, side * count + event, "right")
    theirs = last[side ^ 1]
    shown = np.where(theirs >= 0, found.reached[theirs], LOWEST) if len(event) else event
    known = np.maximum(found.ack[since], shown)
    answer: Bools = (found.highest_ack[last[side]] > known) | (later >= NEW_SEGMENTS)
    return answer
