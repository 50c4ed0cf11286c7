"""Requests and responses on TCP connections that take turns: who waited for whom, and how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.coverage import Coverage
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_NA, _NAT, _NAN = "<NA>", "NaT", "NaN"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "client: who began the connection"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "server"),
    Column("dst_port", "Int32", "its port"),
    Column("request_start", "datetime64[ns, UTC]", "first segment of the request"),
    Column("request_end", "datetime64[ns, UTC]", "its last one, a needed repeat included"),
    Column("response_start", "datetime64[ns, UTC]", "first segment of the response", absent=_NAT),
    Column("response_end", "datetime64[ns, UTC]", "its last one", absent=_NAT),
    Column("request_bytes", "int64", "payload, every byte once", "bytes"),
    Column("response_bytes", "int64", "payload, every byte once; 0 unanswered", "bytes"),
    Column("think_ms", "float64", "from the request's end to the response's start, as seen here", "ms", _NAN),
    Column("transfer_ms", "float64", "from the response's start to its end", "ms", _NAN),
    Column("total_ms", "float64", "from the request's start to the response's end", "ms", _NAN),
    Column("request_frame", "int64", "last frame of the request"),
    Column("response_frame", "Int64", "first frame of the response", absent=_NA),
)

IN_TURN = 0.75
"""Share of the turns that must begin with everything heard and acknowledged; else both talk at once."""


def exchanges(packets: pd.DataFrame) -> pd.DataFrame:
    """The exchanges of a packets table: `COLUMNS`, by point and first segment.

    An exchange is all new bytes that the client sends in a row, and all that the server then sends in a row,
    as in HTTP/1.1, Redis or Postgres without pipelining. What the server says first (a greeting) belongs to
    none. Connections on which both talk at once (HTTP/2 streams, full duplex) do not take turns and are left
    out: a turn begins where its sender has acknowledged all that the other had sent, and three of four must.
    `think_ms` as seen here holds the path beyond the capture point, too. Raises SchemaError where columns
    are missing.
    """
    from k8scap.tables.coverage import coverage
    from k8scap.tables.segments import segments

    found = segments(packets, what="exchanges")
    cover = coverage(found)
    return _table(packets, found, cover, _spoken(found, cover))


def _spoken(segments: Segments, cover: Coverage) -> Ints:
    """Indices of the segments with new payload, on connections that take turns, from the first request on."""
    import numpy as np

    data = np.flatnonzero(cover.carries & (segments.payload > 0) & (cover.fresh > 0))
    side = segments.side[data]
    turn = np.ones(len(data), dtype=bool)
    turn[1:] = side[1:] != side[:-1]
    first = np.ones(len(data), dtype=bool)
    first[1:] = segments.flow[data][1:] != segments.flow[data][:-1]
    sent = np.where(cover.carries, segments.end, -1)
    heard = segments.heard(segments.highest(sent))[data]
    polite = segments.highest(segments.ack)[data] >= heard
    changes = turn & ~first
    total = np.bincount(segments.flow[data[changes]], minlength=segments.flows)
    good = np.bincount(segments.flow[data[changes & polite]], minlength=segments.flows)
    in_turn = (good >= IN_TURN * total)[segments.flow[data]]
    asked = np.maximum.accumulate(np.where(side % 2 == 0, side, -1)) == side - side % 2
    chosen: Ints = data[in_turn & asked]
    return chosen


def _table(packets: pd.DataFrame, segments: Segments, cover: Coverage, spoken: Ints) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import ABSENT, assemble, integers, milliseconds
    from k8scap.tables.endpoints import endpoints, group_starts

    starts = group_starts(segments.side[spoken])
    last = np.append(starts[1:], len(spoken)) - 1 if len(starts) else starts
    asks = segments.side[spoken[starts]] % 2 == 0
    request = np.flatnonzero(asks)
    answered = np.append(~asks, False)[request + 1]
    response = np.where(answered, request + 1, request)
    fresh = np.minimum(cover.fresh, segments.payload)[spoken]
    amount = np.add.reduceat(fresh, starts) if len(starts) else starts
    begun, over = spoken[starts[request]], spoken[last[response]]
    first = spoken[starts[response]]
    final = _with_repeats(segments, cover, spoken[last[request]], np.where(answered, first, len(segments)))

    def known(values: Ints) -> Ints:
        return np.where(answered, values, ABSENT)

    time = segments.time
    values: dict[str, Any] = {
        **endpoints(packets).take(segments.row[begun]).columns(),
        "stream": integers(packets["stream"])[segments.row[begun]],
        "request_start": time[begun],
        "request_end": time[final],
        "response_start": known(time[first]),
        "response_end": known(time[over]),
        "request_bytes": amount[request],
        "response_bytes": np.where(answered, amount[response], 0),
        "think_ms": milliseconds(known(time[first] - time[final])),
        "transfer_ms": milliseconds(known(time[over] - time[first])),
        "total_ms": milliseconds(known(time[over] - time[begun])),
        "request_frame": segments.number[final],
        "response_frame": known(segments.number[first]),
    }
    order = np.lexsort((segments.number[begun], values["point"].codes))
    return assemble(COLUMNS, {name: value[order] for name, value in values.items()})


def _with_repeats(segments: Segments, cover: Coverage, last: Ints, limit: Ints) -> Ints:
    """The request's last segment: a repeat of its bytes where the server had not acknowledged them yet."""
    import numpy as np

    acknowledged = segments.heard(segments.highest(segments.ack)) >= segments.end
    needed = np.flatnonzero(cover.repeats & ~acknowledged & segments.from_client & (segments.payload > 0))
    place = np.searchsorted(needed, limit) - 1
    if not len(needed):
        return last
    repeat = needed[np.maximum(place, 0)]
    same = (place >= 0) & (repeat > last) & (segments.side[repeat] == segments.side[last])
    return np.where(same, repeat, last)
