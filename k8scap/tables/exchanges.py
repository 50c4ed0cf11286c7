"""Requests and responses on TCP connections that take turns: who waited for whom, how long, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.exchange_parts import PART_COLUMNS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.dialogues import Beginnings, Dialogues
    from k8scap.tables.replay import Replay

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
    *PART_COLUMNS,
)


@dataclass(frozen=True, eq=False)
class Turns:
    """The exchanges as indices of segments, one array element an exchange; `flow` is its connection.

    `asked` is the request's first segment and `asked_last` its last one, a needed repeat included;
    `answered` says whether there is a response, from `reply` to `reply_last` (both `asked` without one).
    `handshake` marks the turns of a TLS handshake.
    """

    flow: Ints
    asked: Ints
    asked_last: Ints
    answered: Bools
    reply: Ints
    reply_last: Ints
    request_bytes: Ints
    response_bytes: Ints
    handshake: Bools

    def take(self, rows: Bools) -> Turns:
        return Turns(*(value[rows] for value in vars(self).values()))


def exchanges(
    packets: pd.DataFrame, *, beginnings: Beginnings | None = None, replay: Replay | None = None
) -> pd.DataFrame:
    """The exchanges of a packets table: `COLUMNS`, by point and first segment.

    An exchange is all new bytes that the client sends in a row, and all that the server then sends in a row,
    as in HTTP/1.1, Redis or Postgres without pipelining, encrypted or not. What the server says first (a
    greeting) belongs to none. Connections on which both talk at once, and those that multiplex (HTTP/2,
    detected or possible), do not take turns and are left out: `dialogues` says which. `think_ms` as seen here
    holds the path beyond the capture point, too.

    `begin` is when the client could have asked: its first SYN for a connection's first exchange, else the end
    of the exchange before. The parts from `idle_ms` to `response_ms` add up to `wall_ms`, from there to the
    response's end; see `exchange_parts`. A TLS handshake is no exchange, but `tls_ms` of the one that follows
    it: `beginnings` (see `dialogues`) tells where there is one. Raises SchemaError where columns are missing.
    """
    from k8scap.tables.dialogues import KINDS, spoken_in
    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="exchanges")
    told = spoken_in(replay, beginnings)
    import numpy as np

    judged = np.isin(told.kind, [KINDS.index("in turn"), KINDS.index("one way")])
    return _table(replay, _turns(replay, told, judged, beginnings))


def _turns(replay: Replay, told: Dialogues, judged: Bools, beginnings: Beginnings | None) -> Turns:
    import numpy as np

    found, cover, starts = replay.segments, replay.coverage, told.starts
    spoken = told.spoken
    last = np.append(starts[1:], len(spoken)) - 1 if len(starts) else starts
    side = found.side[spoken[starts]]
    request = np.flatnonzero((side % 2 == 0) & judged[side // 2])
    follows = np.append((side[1:] == side[:-1] + 1) & (side[:-1] % 2 == 0), False)
    answered = follows[request]
    response = np.where(answered, request + 1, request)
    fresh = np.minimum(cover.fresh, found.payload)[spoken]
    amount = np.add.reduceat(fresh, starts) if len(starts) else starts
    first = spoken[starts[response]]
    final = _with_repeats(replay, spoken[last[request]], np.where(answered, first, len(found)))
    turns = Turns(
        side[request] // 2,
        spoken[starts[request]],
        final,
        answered,
        first,
        spoken[last[response]],
        amount[request],
        np.where(answered, amount[response], 0),
        np.zeros(len(request), dtype=bool),
    )
    if beginnings is not None:
        _mark_handshakes(replay, turns, told.tls, beginnings)
    return turns


def _mark_handshakes(replay: Replay, turns: Turns, tls: Bools, beginnings: Beginnings) -> None:
    """The turns that a server ends with a handshake's records: hello, or change of cipher (RFC 8446, 5.1).

    Its answer to the first request begins with application data, be that in the flight that finishes the
    handshake (TLS 1.3) or after one more round trip (TLS 1.2).
    """
    import numpy as np

    rank = np.arange(len(turns.flow)) - np.searchsorted(turns.flow, turns.flow)
    early = np.flatnonzero(tls[turns.flow] & (rank < _HANDSHAKE_TURNS) & turns.answered)
    words = beginnings(replay.segments.row[turns.reply[early]])
    turns.handshake[early] = [word[:1] in _HANDSHAKE_RECORDS for word in words]


_HANDSHAKE_TURNS = 3
_HANDSHAKE_RECORDS = (b"\x14", b"\x16")


def _table(replay: Replay, turns: Turns) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import ABSENT, assemble, milliseconds
    from k8scap.tables.exchange_parts import parts

    found = replay.segments
    asked_parts = parts(replay, turns)
    real = ~turns.handshake
    turns = turns.take(real)
    time, answered = found.time, turns.answered

    def known(values: Ints) -> Ints:
        return np.where(answered, values, ABSENT)

    row = found.row[turns.asked]
    values: dict[str, Any] = {
        **replay.ends.take(row).columns(),
        "stream": replay.stream[row],
        "request_start": time[turns.asked],
        "request_end": time[turns.asked_last],
        "response_start": known(time[turns.reply]),
        "response_end": known(time[turns.reply_last]),
        "request_bytes": turns.request_bytes,
        "response_bytes": turns.response_bytes,
        "think_ms": milliseconds(known(time[turns.reply] - time[turns.asked_last])),
        "transfer_ms": milliseconds(known(time[turns.reply_last] - time[turns.reply])),
        "total_ms": milliseconds(known(time[turns.reply_last] - time[turns.asked])),
        "request_frame": found.number[turns.asked_last],
        "response_frame": known(found.number[turns.reply]),
        **{name: value[real] for name, value in asked_parts.items()},
    }
    order = np.lexsort((found.number[turns.asked], values["point"].codes))
    return assemble(COLUMNS, {name: value[order] for name, value in values.items()})


def _with_repeats(replay: Replay, last: Ints, limit: Ints) -> Ints:
    """The request's last segment: a repeat of its bytes where the server had not acknowledged them yet."""
    import numpy as np

    segments, cover = replay.segments, replay.coverage
    acknowledged = segments.acknowledged >= segments.end
    needed = np.flatnonzero(cover.repeats & ~acknowledged & segments.from_client & (segments.payload > 0))
    place = np.searchsorted(needed, limit) - 1
    if not len(needed):
        return last
    repeat = needed[np.maximum(place, 0)]
    same = (place >= 0) & (repeat > last) & (segments.side[repeat] == segments.side[last])
    return np.where(same, repeat, last)
