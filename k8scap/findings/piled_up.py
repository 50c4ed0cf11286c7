"""Connections that one client opened to one server, and which of them it neither used again nor closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from k8scap.findings.case import Case

MIN_LEFT = 20
LEFT_SHARE = 0.8
CLOSED_SHARE = 0.2
REUSED_SHARE = 0.2
MIN_SECONDS = 5.0
OPENING_SHARE = 0.5
EVEN_FROM, EVEN_TO = 0.25, 0.75
PASSED_OVER = 3
"""Connections opened since a connection's last use, from which on a pool would have taken that one."""
PAIR = ["src", "dst", "dst_port"]
_CLOSED = "[FIRr]"  # Zeek's history: the client's FIN, or a reset by either side
_SWITCHED = "101"  # a WebSocket is there to stay (RFC 9110, 15.2.2)


def piled_up(case: Case) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """The `pairs` between which unused connections pile up; and those where a pool may have filled.

    Both worst first.
    """
    piles = [rows for rows in pairs(case, at_least=MIN_LEFT) if _piles_up(rows)]
    piles.sort(key=lambda rows: -int(rows["left"].sum()))
    going_on = [_goes_on(rows, case.end) for rows in piles]
    leaks = [rows for rows, goes_on in zip(piles, going_on, strict=True) if goes_on]
    return leaks, [rows for rows, goes_on in zip(piles, going_on, strict=True) if not goes_on]


def _piles_up(rows: pd.DataFrame) -> bool:
    """Of the connections between two, nearly all are left over, few are closed, and few are used again."""
    opened, left = int(rows["opened"].sum()), int(rows["left"].sum())
    return (
        left >= max(MIN_LEFT, LEFT_SHARE * (opened - PASSED_OVER))
        and rows["closed"].sum() <= CLOSED_SHARE * opened
        and rows["reused"].sum() <= REUSED_SHARE * opened
    )


def _goes_on(rows: pd.DataFrame, end: pd.Timestamp) -> bool:
    """They are opened evenly, for long enough, and to near the end: nobody fills a pool."""
    starts = rows.loc[rows["opened"], "start"]
    first, last = starts.min(), starts.max()
    span = (last - first).total_seconds()
    if span < MIN_SECONDS or span < OPENING_SHARE * (end - first).total_seconds():
        return False
    middle = (starts.quantile(0.5) - first).total_seconds() / span
    return bool(EVEN_FROM <= middle <= EVEN_TO)


def pairs(case: Case, *, at_least: int) -> Iterator[pd.DataFrame]:
    """The connections between one client and one server, where so many were opened and are open.

    TCP rows of the conversations table by time, with `opened` (bool: its handshake was captured), `closed`
    (bool: by its client, or by a reset), `half_closed` (bool: by its server only), `last_used` (time of the
    last payload, else of its first frame), `later` (int64: how many its client opened after that), `waits`
    (bool: its client spoke last), `reused` (bool: it was idle while others were opened, and then used again)
    and `left` (bool: opened, not closed, not waiting, and passed over `PASSED_OVER` times).
    WebSockets are left out.
    """
    table = case.tcp_conversations.astype({"src": "object", "dst": "object"})
    table = table[~table["stream"].isin(_switched(case))]
    table = table.assign(opened=table["connect_ms"].notna(), closed=table["history"].str.contains(_CLOSED))
    keys = [*PAIR, *(name for name in ("dst_name",) if name in table)]
    is_open = table["opened"] & ~table["closed"]
    among = [table[key] for key in keys]
    many = table[is_open.groupby(among, dropna=False, observed=True).transform("sum") >= at_least]
    if many.empty:
        return
    many = many.assign(half_closed=many["history"].str.contains("f", regex=False) & ~many["closed"])
    many = _with_last_words(case, many.sort_values("start", kind="stable"))
    for _, rows in many.groupby(keys, dropna=False, observed=True):
        yield _with_fates(case, rows)


def _switched(case: Case) -> pd.Series:
    requests = case.requests
    return requests.loc[requests["status"] == _SWITCHED, "stream"].dropna()


def _with_last_words(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """Adds `last_used` and `waits`."""
    tcp = case.tcp
    spoken = tcp["stream"].isin(rows["stream"]) & (tcp["payload_length"] > 0) & ~tcp["keep_alive"]
    said = tcp.loc[spoken, ["stream", "time", "src", "src_port"]]
    last = said.drop_duplicates("stream", keep="last").set_index("stream")
    last = last.set_axis(["last_used", "speaker", "speaker_port"], axis=1).astype({"speaker": "object"})
    rows = rows.join(last, on="stream")
    waits = (rows["speaker"] == rows["src"]) & (rows["speaker_port"] == rows["src_port"]).fillna(value=False)
    return rows.assign(last_used=rows["last_used"].fillna(rows["start"]), waits=waits.astype(bool))


def _with_fates(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """Adds `later`, `reused` and `left` to the connections of one pair."""
    openings = rows.loc[rows["opened"], "start"].sort_values()
    later = len(openings) - openings.searchsorted(rows["last_used"], side="right")
    asked = case.exchanges.loc[
        case.exchanges["stream"].isin(rows["stream"]), ["stream", "request_start", "response_end"]
    ]
    before = asked.groupby("stream")["response_end"].shift()
    known = asked[before.notna()].assign(before=before)
    idle = openings.searchsorted(known["request_start"]) > openings.searchsorted(known["before"])
    rows = rows.assign(later=later, reused=rows["stream"].isin(known.loc[idle, "stream"]))
    over = rows["later"] >= PASSED_OVER
    return rows.assign(left=rows["opened"] & ~rows["closed"] & ~rows["waits"] & over)
