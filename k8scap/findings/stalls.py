"""When a receive window held its sender up: closed (zero announced), or full and left so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import FIN, RST, SYN, has_any

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

_COLUMNS = ["stream", "reader", "reader_port", "sender", "start", "end", "kind", "frames"]


def closed_windows(case: Case, *, waiting_ms: float) -> pd.DataFrame:
    """One row a closed window that held a sender up.

    Columns: stream, reader, reader_port, sender, start (zero announced), end (opened again, or the
    conversation's last frame), kind ("closed"), frames (list of numbers).
    Only those for which something waited: the sender probed meanwhile (Wireshark calls Linux's probes
    keep-alives), or sent data within `waiting_ms` after the window opened.
    """
    tcp = _by_side(case, "zero_window")
    if tcp.empty:
        return tcp.reindex(columns=_COLUMNS)
    spells = _spells(tcp)
    if spells.empty:
        return spells.reindex(columns=_COLUMNS)
    others = tcp[tcp["to_side"].isin(spells["side"])]
    is_probe = others["keep_alive"] | others["zero_window_probe"]
    probed = _probes_in(spells, others[is_probe])
    resumed = _resumed(spells, others[~is_probe & (others["payload_length"] > 0)], waiting_ms)
    opened = spells["opened"].map(lambda number: [] if number != number else [int(number)])  # noqa: PLR0124
    spells["frames"] = spells["frames"] + probed + opened
    return spells.loc[(probed.map(len) > 0) | resumed, _COLUMNS]


def full_windows(case: Case, *, at_least_ms: float, rtt_factor: float) -> pd.DataFrame:
    """One row a window that was filled to its last byte and not acknowledged for long.

    Columns as of `closed_windows`, with the kind "full".
    Long is at least `at_least_ms`, and `rtt_factor` times the path's round trip (on a long path every
    full window waits one). A wait that ends with a retransmission is the path's, not the reader's.
    """
    import pandas as pd

    tcp = _by_side(case, "window_full")
    if tcp.empty:
        return tcp.reindex(columns=_COLUMNS)
    filled = tcp[tcp["window_full"]]
    answers = tcp[["number", "side", "time"]].rename(columns={"side": "to_side", "time": "end"})
    answers["answer"] = answers["number"]
    waits = pd.merge_asof(filled, answers, on="number", by="to_side", direction="forward").dropna(
        subset="end"
    )
    rtts = case.round_trips.groupby("stream")["rtt_ms"].median() * rtt_factor
    longest = waits["stream"].map(rtts).astype("float64").fillna(0.0).clip(lower=at_least_ms)
    waits = waits[(waits["end"] - waits["time"]).dt.total_seconds() * 1000.0 >= longest]
    waits = waits[~_with_retransmission(case, waits)]
    waits["frames"] = [[int(a), int(b)] for a, b in zip(waits["number"], waits["answer"], strict=True)]
    columns = {"dst": "reader", "dst_port": "reader_port", "src": "sender", "time": "start"}
    return waits.rename(columns=columns).assign(kind="full")[_COLUMNS]


def _by_side(case: Case, verdict: str) -> pd.DataFrame:
    """The frames of TCP streams in which Wireshark's `verdict` fell, with `side` and `to_side`.

    `side` is one of a stream's two senders, as a number, `to_side` the other.
    """
    tcp = case.tcp
    tcp = tcp[tcp["stream"].isin(tcp.loc[tcp[verdict], "stream"].unique())]
    began = case.tcp_conversations.drop_duplicates("stream").set_index("stream")
    columns = [
        "stream",
        "time",
        "src",
        "src_port",
        "dst",
        "dst_port",
        "tcp_flags",
        "window",
        "payload_length",
    ]
    verdicts = ["zero_window", "zero_window_probe", "keep_alive", "window_full"]
    rows = tcp[columns + verdicts].astype({"src": "object", "dst": "object"}).reset_index()
    host = rows["stream"].map(began["src"].astype("object")) == rows["src"]
    port = (rows["stream"].map(began["src_port"]) == rows["src_port"]).fillna(value=False).astype(bool)
    first = (host & port).astype("int64")
    rows["side"] = 2 * rows["stream"].astype("int64") + first
    rows["to_side"] = rows["side"] + 1 - 2 * first
    return rows


def _spells(tcp: pd.DataFrame) -> pd.DataFrame:
    """Runs of announcements of zero by one side, with `opened` (the frame that ended it) where there is."""
    reader = tcp[tcp["side"].isin(tcp.loc[tcp["zero_window"], "side"])].copy()
    shut = (reader["window"] == 0).fillna(value=False).astype(bool) & ~has_any(reader, FIN | SYN | RST)
    sides = reader["side"]
    reader["spell"] = (shut != shut.groupby(sides).shift(fill_value=False)).groupby(sides).cumsum()
    reader["next"] = reader.groupby("side")["number"].shift(-1)
    reader["next_time"] = reader.groupby("side")["time"].shift(-1)
    spells = (
        reader[shut]
        .groupby(["side", "spell"])
        .agg(
            stream=("stream", "first"),
            reader=("src", "first"),
            reader_port=("src_port", "first"),
            sender=("dst", "first"),
            start=("time", "first"),
            frames=("number", list),
            opened=("next", "last"),
            end=("next_time", "last"),
        )
        .reset_index()
    )
    last = tcp.groupby("stream")["time"].max()
    ends = spells["stream"].map(last) if len(last) else spells["end"]  # an empty mapper's values are floats
    return spells.assign(kind="closed", end=spells["end"].fillna(ends)).sort_values("start", kind="stable")


def _probes_in(spells: pd.DataFrame, probes: pd.DataFrame) -> pd.Series:
    """For each spell the numbers of the other side's probes in it."""
    import pandas as pd

    known = spells.assign(row=spells.index, to_side=spells["side"])[["row", "to_side", "start", "end"]]
    times = probes[["number", "time", "to_side"]].sort_values("time", kind="stable")
    placed = pd.merge_asof(times, known, left_on="time", right_on="start", by="to_side")
    inside = placed[placed["time"] <= placed["end"]]
    numbers = inside.groupby("row")["number"].agg(list).to_dict()
    return pd.Series([numbers.get(row, []) for row in spells.index], index=spells.index, dtype="object")


def _resumed(spells: pd.DataFrame, data: pd.DataFrame, waiting_ms: float) -> pd.Series:
    """Whether data came soon after the window had opened (never where it stayed shut)."""
    import pandas as pd

    ends = spells.assign(row=spells.index, to_side=spells["side"])[["row", "to_side", "end", "opened"]]
    after = pd.merge_asof(
        ends.dropna(subset="opened").sort_values("end", kind="stable"),
        data[["time", "to_side"]].sort_values("time", kind="stable"),
        left_on="end",
        right_on="time",
        by="to_side",
        direction="forward",
        tolerance=pd.Timedelta(milliseconds=waiting_ms),
    )
    return pd.Series(spells.index.isin(after.loc[after["time"].notna(), "row"]), index=spells.index)


def _with_retransmission(case: Case, waits: pd.DataFrame) -> pd.Series:
    import pandas as pd

    times = {stream: list(group) for stream, group in case.retransmissions.groupby("stream")["time"]}
    rows = zip(waits["stream"], waits["time"], waits["end"], strict=True)
    has = [any(start <= time <= end for time in times.get(stream, ())) for stream, start, end in rows]
    return pd.Series(has, index=waits.index, dtype="bool")
