"""How long each request waited for its server alone: without the path, and without TCP's own stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

_CLOSED = ("SF", "S2", "S3", "RSTO", "RSTR", "RSTRH", "SH", "SHR")


def waits(case: Case, *, give_up_ms: float) -> pd.DataFrame:
    """The exchanges with `answered` (bool), `wait_end` (time), `rtt_ms` and `wait_ms` (float64, ≥ 0).

    `wait_ms` is the server's part of an exchange (see `tables.exchange_parts`), `rtt_ms` the path's.
    A request without an answer waits until its conversation closes or the capture ends, and no longer
    than `give_up_ms`; one whose client had closed its window is left out: the server had to wait for it.
    """
    rows = case.exchanges.copy()
    rows["answered"] = rows["response_start"].notna()
    rows["wait_end"] = rows["response_start"].fillna(_patience(case, rows, give_up_ms))
    waited = (rows["wait_end"] - rows["request_end"]).dt.total_seconds() * 1000.0
    rows["rtt_ms"] = rows["path_ms"].fillna(0.0)
    rows["wait_ms"] = rows["server_ms"].fillna(waited.clip(lower=0.0))
    return rows[rows["answered"] | ~_window_closed(case, rows)]


def _patience(case: Case, rows: pd.DataFrame, give_up_ms: float) -> pd.Series:
    """When it was given up, by stream: the end of a closed conversation, else the capture's."""
    tcp = case.tcp_conversations
    ends = tcp["end"].where(tcp["state"].isin(_CLOSED), case.end).set_axis(tcp["stream"])
    import pandas as pd

    until: pd.Series = rows["stream"].map(ends).fillna(case.end)
    given_up = rows["request_end"] + pd.Timedelta(milliseconds=give_up_ms)
    return until.where(until < given_up, given_up)


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
