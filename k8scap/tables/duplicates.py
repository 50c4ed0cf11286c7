"""Packets that the network delivered twice: one row each, as their receivers report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.segments import LOWEST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "ACK in which the receiver reports it"),
    Column("time", "datetime64[ns, UTC]", "when that was captured"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "who sent what came twice"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "who got it twice"),
    Column("dst_port", "Int32", "its port"),
    Column("seq", "int64", "first byte that came twice, relative", "bytes"),
    Column("bytes", "int64", "how many came twice", "bytes"),
    Column("seen_twice", "bool", "the capture shows both copies"),
)
_PROBE = 1
"""Bytes: what a keep-alive repeats (RFC 9293, 3.8.4), which receivers report as well."""


def duplicates(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """The packets that came twice to their receiver although they were sent once: `COLUMNS`, by frame.

    A receiver reports bytes that it got twice (D-SACK, RFC 2883). Mostly they were sent again without need;
    where the capture shows no repeat of them, and misses nothing else that their sender said, the network
    doubled a packet. A packet that only the capture
    shows twice (`-i any`, a veth and its bridge) is reported by nobody. Raises SchemaError where columns
    are missing.
    """
    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="duplicates")
    return _table(replay, _reports(replay))


def _reports(replay: Replay) -> Ints:
    """The acknowledgments whose first block lies below what they acknowledge, and was sent only once."""
    import numpy as np

    from k8scap.tables.resent import sent_again

    found = replay.segments
    known = (found.sack_left > LOWEST) & (found.ack > LOWEST)
    below = known & (found.sack_right <= found.ack) & (found.sack_right - found.sack_left > _PROBE)
    report = np.flatnonzero(below)
    side = found.side[report] ^ 1
    again = sent_again(replay, side, found.sack_left[report], found.sack_right[report])
    answer: Ints = report[~again & _whole(replay)[side]].astype(np.int64)
    return answer


def _whole(replay: Replay) -> npt.NDArray[np.bool_]:
    """By side: whether the capture has all that it sent, from its first byte to the last acknowledged."""
    import numpy as np

    found, cover = replay.segments, replay.coverage
    sides = 2 * found.flows
    first, last = np.full(sides, -LOWEST, dtype=np.int64), np.full(sides, LOWEST, dtype=np.int64)
    said = np.flatnonzero(cover.carries)
    np.minimum.at(first, found.side[said], found.seq[said])
    np.maximum.at(last, found.side[said], found.end[said])
    np.maximum.at(last, found.side ^ 1, found.ack)
    seen = np.bincount(found.side, weights=cover.fresh, minlength=sides)
    whole: npt.NDArray[np.bool_] = (seen > 0) & (seen >= last - first)
    return whole


def _table(replay: Replay, report: Ints) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import assemble

    found = replay.segments
    report = report[np.lexsort((found.number[report], replay.ends.point[found.row[report]]))]
    row, left = found.row[report], found.sack_left[report]
    turned = np.ones(len(report), dtype=bool)
    values: dict[str, Any] = {
        **replay.ends.take(row).turned(turned).columns(),
        "number": found.number[report],
        "time": found.time[report],
        "stream": replay.stream[row],
        "seq": left,
        "bytes": found.sack_right[report] - left,
        "seen_twice": _seen_twice(replay, found.side[report] ^ 1, left),
    }
    return assemble(COLUMNS, values)


def _seen_twice(replay: Replay, side: Ints, position: Ints) -> npt.NDArray[np.bool_]:
    """Whether a second sighting of a segment that begins there was captured."""
    import numpy as np

    everything = replay.sightings
    twice = np.flatnonzero(replay.seen_before)
    span = 2**62 // max(2 * everything.flows, 1)
    answer: npt.NDArray[np.bool_] = np.isin(
        side * span + position, everything.side[twice] * span + everything.seq[twice]
    )
    return answer
