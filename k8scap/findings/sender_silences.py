"""Messages that their sender interrupted, though nothing held it up: "out of data" in web100's triage.

Then the sender's socket is idle: all that was given to it is sent and acknowledged, and its peer has room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.tables.assembly import ABSENT
from k8scap.tables.segments import FIN, RST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

ROOM_BYTES = 2920
"""Two full segments: for a window of less a sender may wait (RFC 9293, 3.8.6.2.1)."""
CLOSED_SOON_NS = 20_000_000
"""A receiver that closes so soon behind the last byte, and two round trips, had all that it wanted."""
_MILLISECOND = 1_000_000


def large_messages(case: Case, *, least_bytes: int, least_seconds: float) -> pd.DataFrame:
    """The requests that were answered, and the responses, of so many bytes and so long; in no order.

    Columns: stream, src, dst (sender and receiver, object), service, service_port, `upload` (a request),
    start, end (times), bytes, `followed` (something else was said on its connection after it).
    """
    import pandas as pd

    asked = case.exchanges[case.exchanges["response_start"].notna()]
    asked = asked.astype({"src": "object", "dst": "object"})
    last = ~asked.duplicated("stream", keep="last")
    ends = {"service": asked["dst"], "service_port": asked["dst_port"], "stream": asked["stream"]}
    up = pd.DataFrame(
        {"src": asked["src"], "dst": asked["dst"], **ends, "upload": True, "followed": True}
        | {"start": asked["request_start"], "end": asked["request_end"], "bytes": asked["request_bytes"]}
    )
    down = pd.DataFrame(
        {"src": asked["dst"], "dst": asked["src"], **ends, "upload": False, "followed": ~last}
        | {"start": asked["response_start"], "end": asked["response_end"], "bytes": asked["response_bytes"]}
    )
    both = pd.concat([up, down], ignore_index=True)
    seconds = (both["end"] - both["start"]).dt.total_seconds()
    return both[(both["bytes"] >= least_bytes) & (seconds >= least_seconds)]


def silences(case: Case, messages: pd.DataFrame, *, silent_ms: float, rtt_factor: float) -> pd.DataFrame:
    """`messages` of `large_messages` whose connection's round trip is known, with their silences.

    Adds `whole` (bool: its end was seen, as something followed, or the connection was closed behind it),
    `silent` (list of (start, end), nanoseconds), `burst` (bytes sent between two of them, median; 0: none),
    `lost` (segments sent again or late), `frames` (list of those that ended a silence).

    A silence begins a round trip after all was acknowledged with a window open, ends with new data, is longer
    than `silent_ms` and `rtt_factor` round trips, and has nothing sent again in it.
    """
    import pandas as pd

    replay = case.replayed
    found = replay.segments
    flows = dict(zip(replay.stream[found.row[found.flow_start]].tolist(), range(found.flows), strict=True))
    timed = replay.handshakes.round_trip != ABSENT  # without, a round trip looks like a silence
    known: pd.DataFrame = messages[timed[messages["stream"].map(flows).to_numpy(dtype="int64")]]
    measured = [
        _measured(replay, flows[message.stream], message, silent_ms=silent_ms, rtt_factor=rtt_factor)
        for message in known.itertuples()
    ]
    return known.join(pd.DataFrame(measured, columns=_MEASURED, index=known.index))


_MEASURED = ["whole", "silent", "burst", "lost", "frames"]


def _measured(replay: Replay, flow: int, message: Any, *, silent_ms: float, rtt_factor: float) -> list[Any]:
    """What `silences` adds, of one message."""
    import numpy as np

    found, cover = replay.segments, replay.coverage
    here = _segments_of(replay, flow)
    theirs, mine = (
        here[found.side[here] % 2 == side] for side in (int(message.upload), int(not message.upload))
    )
    span = (found.time[mine] >= message.start.value) & (found.time[mine] <= message.end.value)
    fresh = mine[span & cover.carries[mine] & (found.payload[mine] > 0) & (cover.fresh[mine] > 0)]
    events = slice(*np.searchsorted(replay.events, (here[0], here[-1] + 1)).tolist())
    again = np.union1d(replay.events[events], mine[cover.fills[mine]])
    round_trip = int(replay.handshakes.round_trip[flow])
    since, idle = _idle(replay, fresh, theirs, again)
    begin, end = since + round_trip, found.time[fresh[1:]]
    silent = np.flatnonzero(idle & (end - begin >= max(silent_ms * _MILLISECOND, rtt_factor * round_trip)))
    edges = np.concatenate(([0], cover.fresh[fresh].cumsum()[silent], [message.bytes]))
    return [
        bool(message.followed) or _closed_behind(replay, here, message, round_trip),
        list(zip(begin[silent].tolist(), end[silent].tolist(), strict=True)),
        int(np.median(np.diff(edges))) if len(silent) else 0,
        int(np.isin(again, mine[span]).sum()),
        found.number[fresh[1:][silent]].tolist(),
    ]


def _segments_of(replay: Replay, flow: int) -> Ints:
    import numpy as np

    starts = replay.segments.flow_start
    end = int(starts[flow + 1]) if flow + 1 < len(starts) else len(replay.segments)
    return np.arange(int(starts[flow]), end)


def _idle(replay: Replay, fresh: Ints, theirs: Ints, again: Ints) -> tuple[Ints, Bools]:
    """Of each two neighbours of `fresh`: when all was acknowledged between them (ns), and whether it was.

    Not where the window was shut from then on, or something was sent `again` between the two.
    """
    import numpy as np

    found = replay.segments
    before, after = fresh[:-1], fresh[1:]
    if not len(theirs):
        return found.time[before], np.zeros(len(before), dtype=bool)
    later = np.searchsorted(theirs, before, "right")
    covering = np.searchsorted(found.highest_ack[theirs], found.reached[before])
    place = np.maximum(later, covering)
    ack = theirs[np.minimum(place, len(theirs) - 1)]
    shut = theirs[found.window[theirs] < ROOM_BYTES]
    idle = (place < len(theirs)) & (ack < after)
    idle &= np.searchsorted(shut, ack) == np.searchsorted(shut, after)
    idle &= np.searchsorted(again, before, "right") == np.searchsorted(again, after, "right")
    return found.time[ack], idle


def _closed_behind(replay: Replay, here: Ints, message: Any, round_trip: int) -> bool:
    """The server closed first, or the client so soon behind a response that this must have been its end."""
    found = replay.segments
    closing = here[found.has(FIN)[here] | found.has(RST)[here]]
    if not len(closing) or found.has(RST)[closing[0]]:
        return False
    by_server = bool(found.side[closing[0]] % 2)
    soon = int(found.time[closing[0]]) - message.end.value <= CLOSED_SOON_NS + 2 * round_trip
    return by_server or soon
