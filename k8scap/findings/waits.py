"""How long each request waited for its server alone: without the path, and without TCP's own stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.intervals import overlap_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from k8scap.findings.case import Case

_LOW = 0.1
_CLOSED = ("SF", "S2", "S3", "RSTO", "RSTR", "RSTRH", "SH", "SHR")


def waits(case: Case, *, give_up_ms: float) -> pd.DataFrame:
    """The exchanges with `answered` (bool), `wait_end` (time), `rtt_ms` and `wait_ms` (float64, ≥ 0).

    `rtt_ms` is the round trip between the capture point and the server (0 where nothing measured it).
    A request without an answer waits until its conversation closes or the capture ends, and no longer
    than `give_up_ms`.
    Exchanges in which the client had closed its window are left out.
    """
    rows = case.exchanges.copy()
    rows["answered"] = rows["response_start"].notna()
    rows["wait_end"] = rows["response_start"].fillna(_patience(case, rows, give_up_ms))
    rows["rtt_ms"] = _path_rtt(case, rows)
    between = (rows["wait_end"] - rows["request_end"]).dt.total_seconds() * 1000.0
    rows["wait_ms"] = (between - rows["rtt_ms"] - _stalls_ms(case, rows)).clip(lower=0.0)
    return rows[~_window_closed(case, rows)]


def _patience(case: Case, rows: pd.DataFrame, give_up_ms: float) -> pd.Series:
    """When it was given up, by stream: the end of a closed conversation, else the capture's."""
    tcp = case.tcp_conversations
    ends = tcp["end"].where(tcp["state"].isin(_CLOSED), case.end).set_axis(tcp["stream"])
    import pandas as pd

    until: pd.Series = rows["stream"].map(ends).fillna(case.end)
    given_up = rows["request_end"] + pd.Timedelta(milliseconds=give_up_ms)
    return until.where(until < given_up, given_up)


def _path_rtt(case: Case, rows: pd.DataFrame) -> pd.Series:
    """By server: the handshakes' median, as no receiver delays those; else the quick tenth of the ACKs."""
    samples = case.round_trips.merge(
        case.tcp_conversations[["stream", "dst", "dst_port"]], on="stream", suffixes=("", "_server")
    )
    toward = samples[
        (samples["dst"].astype("object") == samples["dst_server"].astype("object"))
        & (samples["dst_port"] == samples["dst_port_server"])
    ]
    handshakes = toward[toward["kind"] == "handshake"]
    best = {**_by_server(toward, _LOW), **_by_server(handshakes, 0.5)}
    keys = zip(rows["dst"].astype("object"), rows["dst_port"], strict=True)
    import pandas as pd

    return pd.Series([best.get(key, 0.0) for key in keys], index=rows.index, dtype="float64")


def _by_server(samples: pd.DataFrame, quantile: float) -> Mapping[tuple[object, object], float]:
    keys = [samples["dst"].astype("object"), samples["dst_port"]]
    return dict(samples.groupby(keys)["rtt_ms"].quantile(quantile))


def _stalls_ms(case: Case, rows: pd.DataFrame) -> pd.Series:
    """What of each wait passed until a lost segment of its conversation was sent again."""
    import pandas as pd

    events = case.retransmissions[case.retransmissions["kind"] != "spurious"].dropna(subset="waited_ms")
    events = events.assign(first=events["time"] - pd.to_timedelta(events["waited_ms"], unit="ms"))
    of = dict(iter(events[["stream", "first", "time"]].groupby("stream")))
    stalls = [
        _covered_ms(of[stream], start, end) if stream in of else 0.0
        for stream, start, end in zip(rows["stream"], rows["request_end"], rows["wait_end"], strict=True)
    ]
    return pd.Series(stalls, index=rows.index, dtype="float64")


def _covered_ms(events: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> float:
    near = events[(events["time"] > start) & (events["first"] < end)]
    return overlap_seconds(zip(near["first"], near["time"], strict=True), start, end) * 1000.0


def _window_closed(case: Case, rows: pd.DataFrame) -> pd.Series:
    """The client said, during the exchange, that it could take nothing: the server had to wait for it."""
    import pandas as pd

    closed = case.tcp.loc[case.tcp["zero_window"], ["time", "stream", "src"]].astype({"src": "object"})
    asked = rows[["stream", "src", "request_start", "wait_end"]].astype({"src": "object"})
    asked = asked.assign(row=rows.index).sort_values("request_start", kind="stable")
    first = pd.merge_asof(
        asked.dropna(subset="request_start"),
        closed.sort_values("time", kind="stable"),
        left_on="request_start",
        right_on="time",
        by=["stream", "src"],
        direction="forward",
    )
    within = first.loc[first["time"] <= first["wait_end"], "row"]
    return pd.Series(rows.index.isin(within), index=rows.index)
