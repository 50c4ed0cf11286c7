"""Round-trip times: one row a sample, from the handshake, acknowledgments and timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.schema import Column
from k8scap.tables.segments import RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.advances import Advances
    from k8scap.tables.coverage import Coverage
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "frame that answered"),
    Column("time", "datetime64[ns, UTC]", "when the answer was captured"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "who sent the measured segment"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "who acknowledged it"),
    Column("dst_port", "Int32", "its port"),
    Column("kind", "category", "handshake, ack or timestamp"),
    Column("half", "category", "which half of the path: capture point ↔ server, or ↔ client"),
    Column("segment", "int64", "frame of the measured segment"),
    Column("rtt_ms", "float64", "from the segment to its answer, at the capture point", "ms"),
)
KINDS = ("handshake", "ack", "timestamp")
HALVES = ("server", "client")


def round_trips(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """The round-trip samples of a packets table: `COLUMNS`, by point and frame that answered.

    Each acknowledgment that advances gives one sample: from the segment that carries the newest byte it
    covers, so that a super-packet (GRO) acknowledged in parts gives one a part. Karn's rule (RFC 6298, 3):
    an acknowledgment that covers any byte sent twice, or bytes that came out of order, gives none, for
    nobody knows which copy it answers; unless its echoed timestamp (RFC 7323, 4) names the copy: kind
    `timestamp`. `handshake` measures a SYN or a SYN-ACK (a refusal's RST answers a SYN too). What is
    measured is the path from the capture point to `dst` and back, with what `dst` waited before it
    answered. Raises SchemaError where columns are missing.
    """
    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="round_trips")
    return _table(replay, *replay.samples)


def samples(segments: Segments, cover: Coverage) -> tuple[Ints, Ints, Ints]:
    """Indices of answers, of what they answer, and the samples' kinds (places in `KINDS`)."""
    import numpy as np

    acks = segments.advances
    measured = _newest(segments, cover, acks)
    unclear = _unclear(segments, cover, acks)
    named = _named_by_timestamp(segments, cover, acks, np.flatnonzero(unclear))
    syn = segments.has(SYN)[measured] if len(segments) else measured
    trusted = ~segments.has(RST)[acks.index] | (syn == 1)
    plain = (measured >= 0) & ~unclear & trusted
    kind = np.where(syn == 1, 0, 1)
    answer = np.concatenate([acks.index[plain], acks.index[named >= 0]])
    segment = np.concatenate([measured[plain], named[named >= 0]])
    kinds = np.concatenate([kind[plain], np.full(np.count_nonzero(named >= 0), 2)])
    sane = segments.time[answer] >= segments.time[segment] if len(answer) else answer == 0
    return answer[sane], segment[sane], kinds[sane]


def _newest(segments: Segments, cover: Coverage, acks: Advances) -> Ints:
    """Index of the segment that carries the newest byte each acknowledgment covers; -1 where not captured."""
    import numpy as np

    order = segments.by_side
    sent = order[cover.in_order[order]]
    if not len(sent):
        return np.full(len(acks.index), -1, dtype=np.int64)
    keys = acks.key(segments.side[sent], segments.seq[sent])
    wanted = acks.key(acks.side ^ 1, acks.ack)
    place = np.searchsorted(keys, wanted, "left") - 1
    candidate = sent[np.maximum(place, 0)]
    covered = (segments.side[candidate] == acks.side ^ 1) & (acks.ack <= segments.end[candidate])
    return np.where((place >= 0) & covered & (candidate < acks.index), candidate, -1)


def _unclear(segments: Segments, cover: Coverage, acks: Advances) -> Bools:
    """Acknowledgments that cover bytes of a segment sent again, or out of order, before them."""
    import numpy as np

    late = np.flatnonzero(cover.carries & ~cover.in_order)
    by = segments.side[late] ^ 1
    first = acks.first_above(by, segments.seq[late], late)
    last = acks.first_beyond(by, segments.end[late])
    some = last > first
    marks = np.zeros(len(acks.index) + 1, dtype=np.int64)
    np.add.at(marks, first[some], 1)
    np.add.at(marks, last[some], -1)
    answer: Bools = np.cumsum(marks)[:-1] > 0
    return answer


def _named_by_timestamp(segments: Segments, cover: Coverage, acks: Advances, unclear: Ints) -> Ints:
    """For each acknowledgment, the one copy at the edge it moves whose timestamp it echoes; -1: none.

    A receiver echoes the timestamp of the segment that filled the edge (RFC 7323, 4.3); two copies with
    the same timestamp tell nothing.
    """
    import numpy as np

    named = np.full(len(acks.index), -1, dtype=np.int64)
    stamped = np.flatnonzero(cover.carries & (segments.tsval > 0))
    key = segments.side[stamped] * 2**32 + segments.tsval[stamped]
    order = np.argsort(key, kind="stable")
    key, stamped = key[order], stamped[order]
    wanted = (acks.side[unclear] ^ 1) * 2**32 + segments.tsecr[acks.index[unclear]]
    bounds = np.searchsorted(key, wanted, "left").tolist(), np.searchsorted(key, wanted, "right").tolist()
    for position, low, high in zip(unclear.tolist(), *bounds, strict=True):
        if low == high:
            continue
        index = acks.index[position]
        copies = stamped[low:high]
        edge = max(int(acks.since[position]), int(segments.seq[copies].min(initial=0)))
        at_edge = (segments.seq[copies] <= edge) & (segments.end[copies] > edge) & (copies < index)
        if np.count_nonzero(at_edge) == 1 and segments.tsecr[index] > 0:
            named[position] = copies[at_edge][0]
    return named


def shortest(replay: Replay) -> Ints:
    """For each side the shortest round trip of its data from here on, in ns; 0 where none is known."""
    import numpy as np

    found = replay.segments
    answer, segment, kind = replay.samples
    answer, segment = answer[kind > 0], segment[kind > 0]
    longest = np.iinfo(np.int64).max
    least = np.full(2 * found.flows, longest, dtype=np.int64)
    if len(answer):
        np.minimum.at(least, found.side[segment], found.time[answer] - found.time[segment])
    return np.where(least == longest, 0, least)


def _table(replay: Replay, answer: Ints, segment: Ints, kind: Ints) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import assemble, milliseconds

    found = replay.segments
    ends = replay.ends.take(found.row[segment])
    order = np.lexsort((found.number[answer], ends.point))
    answer, segment, kind = answer[order], segment[order], kind[order]
    values = {
        **ends.take(order).columns(),
        "number": found.number[answer],
        "time": found.time[answer],
        "stream": replay.stream[found.row[answer]],
        "kind": pd.Categorical.from_codes(kind, dtype=pd.CategoricalDtype(list(KINDS))),
        "half": pd.Categorical.from_codes(found.side[segment] % 2, dtype=pd.CategoricalDtype(list(HALVES))),
        "segment": found.number[segment],
        "rtt_ms": milliseconds(found.time[answer] - found.time[segment]),
    }
    return assemble(COLUMNS, values)
