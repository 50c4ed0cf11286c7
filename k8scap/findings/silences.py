"""Connections on which one side went on sending, and the other never said anything again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import FIN, RST, has_any
from k8scap.findings.unheard import unheard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case

MIN_REPEATS = 2
MIN_SECONDS = 1.0
_NEVER_OPENED = ("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR")
_COLUMNS = ["stream", "src", "src_port", "dst", "dst_port", "service", "service_port", "since", "until",
            "repeats", "bytes", "idle_s", "frames", "heard", "closed", "behind"]  # fmt: skip


def silences(case: Case) -> pd.DataFrame:
    """One row a connection whose one side (`dst`) left the other (`src`) without any answer, to the end.

    Columns: stream, src, src_port (who went on), dst, dst_port (who fell silent), service, service_port (the
    server), `since` and `until` (first and last unanswered frame), `repeats` (segments sent again, and
    keep-alives), `bytes` (payload that nobody acknowledged), `idle_s` (silence of both before), `frames`;
    `heard` (bool: the silent side was captured before), `closed` (bool: it had sent its FIN), `behind` (bool:
    the window that it announced last is less than a segment).
    Unanswered is what was repeated twice, over a second at the least, and without an answer to the end: nor
    may what its sender acknowledges show that it was answered where nobody captured it.
    What did not arrive because of its size has a reason of its own.
    """
    import pandas as pd

    rows = _unanswered(case)
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    own = rows.groupby("stream")
    table = own.agg(
        src=("src", "first"),
        src_port=("src_port", "first"),
        dst=("dst", "first"),
        dst_port=("dst_port", "first"),
        service=("service", "first"),
        service_port=("service_port", "first"),
        since=("time", "min"),
        until=("time", "max"),
        repeats=("again", "sum"),
        bytes=("new", "sum"),
        idle_s=("idle_s", "first"),
        frames=("number", list),
        heard=("heard", "first"),
        closed=("closed", "first"),
        behind=("behind", "first"),
    ).reset_index()
    lasted = (table["until"] - table["since"]).dt.total_seconds()
    chosen: pd.DataFrame = table.loc[(table["repeats"] >= MIN_REPEATS) & (lasted >= MIN_SECONDS), _COLUMNS]
    return chosen


def _unanswered(case: Case) -> pd.DataFrame:
    """Data and keep-alives after the last word of the other side, on connections with enough repeats."""
    tcp, talks = case.tcp, case.tcp_conversations.drop_duplicates("stream")
    events = _events(case)
    again = sorted({*events["number"], *case.tcp.index[case.tcp["keep_alive"]]})
    never_opened = talks["state"].isin(_NEVER_OPENED) & talks["stream"].isin(case.handshakes["stream"])
    known = talks[~never_opened]
    known = known[known["stream"].isin(_streams(case, again))]
    streams = known[["stream", "dst", "dst_port"]].set_axis(["stream", "service", "service_port"], axis=1)
    if streams.empty:
        return streams
    columns = [
        "time",
        "stream",
        "src",
        "src_port",
        "dst",
        "dst_port",
        "payload_length",
        "tcp_flags",
        "window",
    ]
    rows = tcp.loc[tcp["stream"].isin(streams["stream"]), columns].reset_index()
    rows["again"] = rows["number"].isin(again)
    rows = rows.merge(streams, on="stream").sort_values("number", kind="stable")
    rows = rows.astype({"src": "object", "dst": "object", "service": "object"})
    side = rows["src"].astype(str) + " " + rows["src_port"].astype(str)
    speaker = rows.assign(side=side)[~has_any(rows, RST)].groupby("stream")["side"].last()
    rows["mine"] = side == rows["stream"].map(speaker)
    theirs = rows.loc[~rows["mine"]].groupby("stream")["number"].max()
    stuck = events.groupby("stream")["repeats"].min() - 1
    after = rows[rows["mine"] & (rows["number"] > rows["stream"].map(theirs.combine_first(stuck)))]
    carries = (after["payload_length"].fillna(0) > 0) | after["again"]
    after = after[carries & ~has_any(after, RST)]
    after = after.assign(heard=after["stream"].isin(theirs.index))
    return _as_it_stood(after.assign(new=after["payload_length"].fillna(0).where(~after["again"], 0)), rows)


def _events(case: Case) -> pd.DataFrame:
    """The data that was sent again to somebody who answered nothing more; its size is not to blame."""
    events = case.retransmissions
    events = events[(events["payload_length"] > 0) & ~events["number"].isin(list(case.oversized))]
    return events[unheard(case, events, since_first=False)]


def _streams(case: Case, again: list[int]) -> npt.NDArray[np.int64]:
    """The connections with enough repeats after one side's last word: few, and cheap to find."""
    import numpy as np
    import pandas as pd

    if len(again) < MIN_REPEATS:
        return np.zeros(0, dtype=np.int64)
    tcp = case.tcp
    stream, port, number = (_integers(values) for values in (tcp["stream"], tcp["src_port"], tcp.index))
    repeated = np.isin(number, again)
    wanted = np.isin(stream, np.unique(stream[repeated]))
    stream, port, number, repeated = stream[wanted], port[wanted], number[wanted], repeated[wanted]
    code, sides = pd.factorize(stream * 2**16 + port)
    word = np.zeros(len(sides), dtype=np.int64)
    word[code] = number  # of several the last one stays
    last = pd.Series(word).groupby(sides // 2**16)  # by stream, of each side that was heard
    quiet = last.min().where(last.size() > 1, 0)
    late = stream[repeated], number[repeated]
    unanswered = late[0][late[1] > quiet.reindex(late[0]).to_numpy()]
    there, count = np.unique(unanswered, return_counts=True)
    return there[count >= MIN_REPEATS]


def _integers(values: pd.Series | pd.Index) -> npt.NDArray[np.int64]:
    import numpy as np

    return values.to_numpy(dtype=np.int64, na_value=0)


def _as_it_stood(after: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """How long nothing was said before, and what the other side had said last."""
    first = after.groupby("stream")["number"].min()
    earlier = rows[rows["number"] < rows["stream"].map(first)].groupby("stream")["time"].max()
    idle = (after.groupby("stream")["time"].min() - earlier).dt.total_seconds()
    theirs = rows[~rows["mine"] & ~has_any(rows, RST)]
    closed = theirs.loc[has_any(theirs, FIN), "stream"]
    segment = rows[rows["mine"]].groupby("stream")["payload_length"].max()
    window = theirs.groupby("stream")["window"].last()
    behind = window < segment.reindex(window.index)
    return after.assign(
        idle_s=after["stream"].map(idle),
        closed=after["stream"].isin(closed),
        behind=after["stream"].isin(behind.index[behind.fillna(value=False)]),
    )
