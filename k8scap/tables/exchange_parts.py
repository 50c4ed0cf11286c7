"""Where the seconds of an exchange went: parts that add up to its wall time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.assembly import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.exchanges import Turns
    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]

PARTS: Mapping[str, str] = {
    "idle_ms": "the client had nothing to ask",
    "syn_retry_ms": "waits for repeated SYNs and SYN-ACKs",
    "connect_ms": "the TCP handshake without those",
    "tls_ms": "the TLS handshake",
    "request_ms": "sending the request",
    "stall_ms": "silences that a retransmission ended",
    "zero_window_ms": "the receiver had closed its window",
    "delayed_ack_ms": "Nagle's algorithm waited for a delayed ACK",
    "path_ms": "a round trip from the capture point to the server",
    "server_ms": "the server's think time: what is left until the response begins",
    "response_ms": "the response's transfer",
}

PART_COLUMNS: tuple[Column, ...] = (
    Column("begin", "datetime64[ns, UTC]", "first SYN, or the end of the exchange before"),
    Column("wall_ms", "float64", "from `begin` to the response's end: the sum of the parts", "ms", "NaN"),
    *(Column(name, "float64", meaning, "ms", "NaN") for name, meaning in PARTS.items()),
)


def parts(replay: Replay, turns: Turns) -> dict[str, Any]:
    """`PART_COLUMNS` of each of the turns, as nanoseconds (`begin`) and milliseconds.

    Time is given to one cause only, the first that holds: a retransmission's stall, a closed window, a
    delayed ACK, then the phase that it fell into. Of the wait for an answer the path takes a round trip to
    the server, as its connection's handshake had it (else the median of that server's), and the server the
    rest. An exchange without an answer has no parts.
    """
    import numpy as np

    edges = _edges(replay, turns)
    own, lost = _own_and_lost(replay, turns, edges)
    path = np.minimum(_path(replay)[turns.flow], own["wait"])
    values = {
        "idle_ms": edges["tls"] - edges["ready"] + edges["asked"] - edges["secured"],
        "syn_retry_ms": edges["tried"] - edges["begin"],
        "connect_ms": edges["ready"] - edges["tried"],
        "tls_ms": own["tls"],
        "request_ms": own["request"],
        **lost,
        "path_ms": path,
        "server_ms": own["wait"] - path,
        "response_ms": own["response"],
    }
    wall = edges["end"] - edges["begin"]

    def known(span: Ints) -> npt.NDArray[np.float64]:
        return np.where(turns.answered, span / 1e6, np.nan)

    return {"begin": edges["begin"], "wall_ms": known(wall), **{n: known(v) for n, v in values.items()}}


def _edges(replay: Replay, turns: Turns) -> dict[str, Ints]:
    """When one phase of each exchange passes into the next; never backwards, whatever the clock did."""
    import numpy as np

    found, shakes, time = replay.segments, replay.handshakes, replay.segments.time
    asked, end = time[turns.asked], time[np.maximum(turns.reply_last, turns.asked_last)]
    real = ~turns.handshake
    before = np.full(len(turns.flow), -1, dtype=np.int64)
    index = np.arange(len(turns.flow))
    if len(index):
        before[1:] = np.maximum.accumulate(np.where(real, index, -1))[:-1]
        before[(before >= 0) & (turns.flow[np.maximum(before, 0)] != turns.flow)] = -1
    opening = before < 0
    syn = shakes.syn[turns.flow]
    begun = np.where(syn >= 0, time[syn], _first_word(turns, asked)) if len(found) else asked
    begin = np.where(opening, begun, end[np.maximum(before, 0)]) if len(index) else asked
    connect, round_trip = shakes.connect[turns.flow], shakes.round_trip[turns.flow]
    shaken = opening & (connect != ABSENT)
    ready = np.where(shaken, begin + np.maximum(connect, 0), begin)
    tried = np.where(shaken & (round_trip != ABSENT), ready - np.clip(round_trip, 0, connect), ready)
    tried = np.where(shaken & (round_trip == ABSENT), begin, tried)
    tls, secured = _tls(turns, asked, end, ready)
    names = ("begin", "tried", "ready", "tls", "secured", "asked", "sent", "replied", "end")
    sent, replied = time[turns.asked_last], time[turns.reply]
    columns = np.stack((begin, tried, ready, tls, secured, asked, sent, replied, end))
    return dict(zip(names, np.maximum.accumulate(columns, axis=0), strict=True))


def _first_word(turns: Turns, asked: Ints) -> Ints:
    """When each turn's connection first asked anything (a TLS handshake, perhaps)."""
    import numpy as np

    return asked[np.searchsorted(turns.flow, turns.flow)] if len(asked) else asked


def _tls(turns: Turns, asked: Ints, end: Ints, ready: Ints) -> tuple[Ints, Ints]:
    """Start and end of the TLS handshake that directly precedes each turn (both `ready` without one)."""
    import numpy as np

    start, over = ready.copy(), ready.copy()
    for place in np.flatnonzero(turns.handshake).tolist():
        after = place + 1
        while after < len(turns.flow) and turns.handshake[after] and turns.flow[after] == turns.flow[place]:
            after += 1
        if after < len(turns.flow) and turns.flow[after] == turns.flow[place]:
            first = place == 0 or not (
                turns.handshake[place - 1] and turns.flow[place - 1] == turns.flow[place]
            )
            start[after] = asked[place] if first else start[after]
            over[after] = end[place]
    return start, over


def _own_and_lost(
    replay: Replay, turns: Turns, edges: Mapping[str, Ints]
) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """What each phase kept of its time, and what of all phases went to stalls, closed windows, late ACKs."""
    import numpy as np

    from k8scap.tables.spans import union
    from k8scap.tables.stalls import delayed_acks, retransmission_stalls, zero_windows

    stall = retransmission_stalls(replay)
    late, _ = delayed_acks(replay, replay.spoken)
    shut = {side: union(stall, zero_windows(replay, of_client=side)) for side in (True, False)}
    all_of = {side: union(shut[side], late) for side in (True, False)}
    phases = {  # the side whose closed window holds this phase up: the one that reads
        "tls": ("tls", "secured", True),
        "request": ("asked", "sent", False),
        "wait": ("sent", "replied", True),
        "response": ("replied", "end", True),
    }
    own = {}
    nothing = np.zeros(len(turns.flow), dtype=np.int64)
    lost = dict.fromkeys(_LOST, nothing)
    for phase, (since, until, side) in phases.items():
        span = (turns.flow, edges[since], edges[until])
        upto = [layer.within(*span) for layer in (stall, shut[side], all_of[side])]
        own[phase] = edges[until] - edges[since] - upto[-1]
        for name, more, less in zip(_LOST, upto, (nothing, *upto[:-1]), strict=True):
            lost[name] = lost[name] + more - less
    return own, lost


_LOST = ("stall_ms", "zero_window_ms", "delayed_ack_ms")


def _path(replay: Replay) -> Ints:
    """The round trip from the capture point to each connection's server, in nanoseconds (0: never measured).

    Its own handshake's; where that was not captured the median of the same server's handshakes, else the
    quick tenth of the server's ACKs, as a receiver may delay those.
    """
    import numpy as np

    from k8scap.tables.endpoints import dense

    found, own = replay.segments, replay.handshakes.server_half
    if not len(found) or (own != ABSENT).all():
        return np.maximum(own, 0)
    first = found.flow_start
    ends = replay.ends.take(found.row[first]).turned(~found.from_client[first])
    server = dense(ends.point, ends.dst, ends.dst_port)
    result = np.zeros(int(server.max()) + 1, dtype=np.int64)
    flow, span = _acknowledged(replay)
    for values, group, quantile in (
        (span, server[flow], 0.1),
        (own[own != ABSENT], server[own != ABSENT], 0.5),
    ):
        order = np.lexsort((values, group))
        there, start, count = np.unique(group[order], return_index=True, return_counts=True)
        result[there] = values[order][start + (quantile * (count - 1)).astype(np.int64)]
    return np.maximum(np.where(own != ABSENT, own, result[server]), 0)


def _acknowledged(replay: Replay) -> tuple[Ints, Ints]:
    """Connection and time of each sample from the client's segments to the server's ACKs."""
    import numpy as np

    found = replay.segments
    answer, segment, _ = replay.samples
    chosen = np.flatnonzero(found.from_client[segment])
    return found.flow[segment[chosen]], found.time[answer[chosen]] - found.time[segment[chosen]]
