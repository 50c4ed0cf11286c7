"""Segments that others overtook on their way: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "frame that shows it: the late segment, or the ACK that reports the hole"),
    Column("time", "datetime64[ns, UTC]", "when that was captured"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "who sent the late segment"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "to whom"),
    Column("dst_port", "Int32", "its port"),
    Column("shown", "category", "arrived: late at the capture point; reported: by the receiver, beyond it"),
    Column("late_ms", "float64", "how much later than the segment that overtook it", "ms"),
    Column("overtaken_by", "int64", "segments that overtook it (1 where only reported)"),
)
SHOWN = ("arrived", "reported")


def reorderings(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """The reordered segments of a packets table: `COLUMNS`, by point and frame (RFC 4737).

    Only sure ones. `arrived`: the segment's bytes came after later ones, for the first time, and its
    timestamp (RFC 7323) or IP identification says that it was sent before those; what the evidence leaves
    open is a retransmission of kind `ambiguous`, and no row here. `reported`: the receiver told of a hole
    (SACK, RFC 2018), and then acknowledged its bytes although nobody had sent them again. Raises SchemaError
    where columns are missing.
    """
    import numpy as np

    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="reorderings")
    late = np.setdiff1d(np.flatnonzero(replay.coverage.fills), replay.events)
    report, filled = _reported(replay)
    return _table(replay, late.astype(np.int64), report, filled)


def _reported(replay: Replay) -> tuple[Ints, Ints]:
    """The ACKs that first told of a hole which then closed by itself, and those that closed it."""
    import numpy as np

    from k8scap.tables.resent import sent_again
    from k8scap.tables.segments import LOWEST

    found = replay.segments
    holes = np.flatnonzero((found.sack_left > found.ack) & (found.ack > LOWEST))
    _, first = np.unique(np.stack((found.side[holes], found.ack[holes])), axis=1, return_index=True)
    holes = holes[np.sort(first)]
    acks = found.advances
    if not len(holes) or not len(acks.index):
        return holes[:0], holes[:0]
    side, left = found.side[holes], found.ack[holes]
    place = acks.first_above(side, left, holes)
    there = np.minimum(place, len(acks.index) - 1)
    closed = (place < len(acks.index)) & (acks.side[there] == side)
    again = sent_again(replay, side ^ 1, left, found.sack_left[holes])
    captured = _captured(replay, side ^ 1, left, holes)
    chosen = closed & ~again & captured
    return holes[chosen], acks.index[there[chosen]]


def _captured(replay: Replay, side: Ints, position: Ints, before: Ints) -> npt.NDArray[np.bool_]:
    """Whether the segment that begins the hole passed here before its receiver missed it."""
    import numpy as np

    found = replay.segments
    sent = np.flatnonzero(replay.coverage.carries)
    span = 2**62 // max(2 * found.flows, 1)
    keys = found.side[sent] * span + found.seq[sent]
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], side * span + position, "right") - 1
    carrier = sent[order[np.maximum(place, 0)]]
    covers = (found.side[carrier] == side) & (found.end[carrier] > position) & (carrier < before)
    answer: npt.NDArray[np.bool_] = (place >= 0) & covers
    return answer


def _table(replay: Replay, late: Ints, report: Ints, filled: Ints) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import assemble, milliseconds

    found, opener = replay.segments, replay.coverage.opener[late]
    shown = np.concatenate((late, report))
    after = np.concatenate((late, filled))
    since = np.concatenate((opener, report))
    reported = np.repeat([False, True], [len(late), len(report)])
    row = found.row[shown]
    order = np.lexsort((found.number[shown], replay.ends.point[row]))
    shown, after, since, reported = shown[order], after[order], since[order], reported[order]
    row = found.row[shown]
    values: dict[str, Any] = {
        **replay.ends.take(row).turned(reported).columns(),
        "number": found.number[shown],
        "time": found.time[shown],
        "stream": replay.stream[row],
        "shown": pd.Categorical.from_codes(reported.astype(int), dtype=pd.CategoricalDtype(list(SHOWN))),
        "late_ms": milliseconds(found.time[after] - found.time[since]),
        "overtaken_by": np.where(reported, 1, _between(replay, since, shown)),
    }
    return assemble(COLUMNS, values)


def _between(replay: Replay, opener: Ints, late: Ints) -> Ints:
    """How many data segments of the same side came from `opener` up to `late`, that not included."""
    import numpy as np

    order = replay.segments.by_side
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(replay.coverage.carries[order])
    return rank[late] - rank[opener] if len(late) else late
