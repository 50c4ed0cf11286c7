"""Whether the two sides of a TCP conversation take turns: only then are there requests and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.schema import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Beginnings = Callable[[Ints], list[bytes]]
    """Positions in a packets table → how each frame's TCP payload begins (empty where it is not known)."""

KINDS = ("silent", "one way", "in turn", "at once", "HTTP/2", "HTTP/2 possible")

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "client: who began the connection"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "server"),
    Column("dst_port", "Int32", "its port"),
    Column("dialogue", "category", "silent, one way, in turn, at once, HTTP/2, or HTTP/2 possible"),
    Column("tls", "bool", "it begins with a TLS handshake, as far as payloads are known"),
    Column("changes", "int64", "how often the other side began to speak"),
)

IN_TURN = 0.75
"""Share of the changes that must begin with everything heard and acknowledged; else both talk at once."""
TLS_HANDSHAKE = b"\x16\x03"
"""A TLS record of type handshake, version 3.x (RFC 8446, 5.1)."""
_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_ALPN_HTTP2 = b"\x02h2"
_ALPN = b"\x00\x10\x00"
"""The extension in which a server tells its choice (RFC 7301), in a ServerHello up to TLS 1.2."""
_TLS13_CHOSEN = b"\x00\x2b\x00\x02\x03\x04"
"""supported_versions in a ServerHello (RFC 8446, 4.2.1): what follows it is encrypted, ALPN included."""


@dataclass(frozen=True, eq=False)
class Dialogues:
    """`kind` (place in `KINDS`), `tls` and `changes` by connection; `spoken` by segment with new payload.

    `spoken` are indices of segments, from each connection's first request on: what its server says before
    is a greeting, and left out. `starts` are the places in it where a turn begins.
    """

    kind: Ints
    tls: Bools
    changes: Ints
    spoken: Ints
    starts: Ints


def dialogues(
    packets: pd.DataFrame, *, beginnings: Beginnings | None = None, replay: Replay | None = None
) -> pd.DataFrame:
    """How the two sides of each TCP conversation speak: `COLUMNS`, by point and stream.

    `in turn`: one side says all it has to, then the other: a turn begins where its sender has acknowledged
    all that the other had said, and three of four must. `at once` do not. `HTTP/2` multiplexes: it is told by
    its preface (RFC 9113, 3.4) or the server's choice (ALPN, RFC 7301); `HTTP/2 possible` where the client
    offers it and TLS 1.3 hides the choice. Payloads are known through `beginnings`; without them neither TLS
    nor HTTP/2 is told. Raises SchemaError where columns are missing.
    """
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import assemble
    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="dialogues")
    found, told = replay.segments, spoken_in(replay, beginnings)
    first = found.row[found.flow_start] if len(found) else found.row
    ends = replay.ends.take(first).turned(~found.from_client[found.flow_start] if len(found) else first > 0)
    values = {
        **ends.columns(),
        "stream": replay.stream[first],
        "dialogue": pd.Categorical.from_codes(told.kind, dtype=pd.CategoricalDtype(list(KINDS))),
        "tls": told.tls,
        "changes": told.changes,
    }
    order = np.lexsort((values["stream"], ends.point))
    return assemble(COLUMNS, {name: value[order] for name, value in values.items()})


def spoken_in(replay: Replay, beginnings: Beginnings | None) -> Dialogues:
    """What is said on each connection, and in which manner."""
    import numpy as np

    from k8scap.tables.endpoints import group_starts

    found, cover = replay.segments, replay.coverage
    data = replay.spoken
    side, flow = found.side[data], found.flow[data]
    turn = np.ones(len(data), dtype=bool)
    turn[1:] = side[1:] != side[:-1]
    first = np.ones(len(data), dtype=bool)
    first[1:] = flow[1:] != flow[:-1]
    sent = np.where(cover.carries, found.end, -1)
    heard = found.heard(found.highest(sent))[data]
    polite = found.highest_ack[data] >= heard
    changing = turn & ~first
    changes = np.bincount(flow[changing], minlength=found.flows)
    good = np.bincount(flow[changing & polite], minlength=found.flows)
    speaks = np.bincount(flow, minlength=found.flows) > 0
    kind = np.select(
        [~speaks, changes == 0, good >= IN_TURN * changes],
        [KINDS.index(word) for word in ("silent", "one way", "in turn")],
        KINDS.index("at once"),
    )
    lately = np.maximum.accumulate(np.where(side % 2 == 0, side, -1)) if len(data) else side
    asked = lately == side - side % 2
    spoken = data[asked]
    starts = group_starts(found.side[spoken])
    tls = np.zeros(found.flows, dtype=bool)
    told = Dialogues(kind, tls, changes, spoken, starts)
    if beginnings is not None and len(spoken):
        _listen(replay, told, beginnings)
    return told


def _listen(replay: Replay, told: Dialogues, beginnings: Beginnings) -> None:
    """Tell TLS and HTTP/2 by each connection's first words."""
    import numpy as np

    found, spoken, starts = replay.segments, told.spoken, told.starts
    flow = found.flow[spoken[starts]]
    new = np.ones(len(starts), dtype=bool)
    new[1:] = flow[1:] != flow[:-1]
    opening = np.flatnonzero(new)
    flows = flow[opening]
    answered = np.append(flow[1:] == flow[:-1], False)[opening]
    asks = spoken[starts[opening]]
    words = beginnings(found.row[asks])
    told.tls[flows] = [word.startswith(TLS_HANDSHAKE) for word in words]
    replies = spoken[starts[np.minimum(opening + 1, len(starts) - 1)]]
    wanted = np.flatnonzero(answered & np.array([_ALPN_HTTP2 in word for word in words], dtype=bool))
    said = dict(zip(wanted.tolist(), beginnings(found.row[replies[wanted]]), strict=True))
    for place, word in enumerate(words):
        name = _http2(word, said.get(place, b""))
        if name:
            told.kind[flows[place]] = KINDS.index(name)


def _http2(asked: bytes, answered: bytes) -> str:
    if asked.startswith(_HTTP2_PREFACE):
        return "HTTP/2"
    if not (asked.startswith(TLS_HANDSHAKE) and _ALPN_HTTP2 in asked):
        return ""
    if not answered.startswith(TLS_HANDSHAKE) or _TLS13_CHOSEN in answered:
        return "HTTP/2 possible"
    return "HTTP/2" if _ALPN in answered and _ALPN_HTTP2 in answered else ""
