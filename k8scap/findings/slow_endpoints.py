"""Which endpoints of a server are slow while its others are quick."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from k8scap.findings.groups import finder
from k8scap.findings.intervals import times_apart
from k8scap.findings.slow_server import (
    MIN_SLOW,
    POLLER_MS,
    SERVER,
    TIMER_MS,
    TIMER_SPREAD,
    WARNING_SHARE,
    is_slow,
)

if TYPE_CHECKING:
    import pandas as pd

ENDPOINT_SHARE = 0.5
MIN_OTHERS = 5
TIMES_SLOWER = 3.0
BY_CHANCE = 0.01
WAITING_SHARE = 0.9


def with_slow_endpoints(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` of `endpoint_waits` with `slow` and `told` (bool): the latter where an endpoint alone is."""
    rows = rows.assign(slow=is_slow(rows))
    slow = rows[rows["slow"]]
    often = slow.groupby([*SERVER, "endpoint"])["slow"].transform("size") >= MIN_SLOW
    of_server = finder(rows, SERVER)
    told = [_told(of_server(first)) for _, first in slow[often].drop_duplicates(SERVER).iterrows()]
    return rows.assign(told=rows.index.isin([row for index in told for row in index]))


def _told(rows: pd.DataFrame) -> pd.Index:
    """Of one server's rows, those of the endpoints that are slow by themselves."""
    groups = {name: group for name, group in rows.groupby("endpoint") if not _waits_for_news(group, rows)}
    slow = {name: group for name, group in groups.items() if _is_often_slow(group)}
    others = rows[rows["endpoint"].isin(groups.keys() - slow.keys())]
    quick = len(others) >= MIN_OTHERS and others["slow"].mean() < WARNING_SHARE
    if not quick or len(slow) > others["endpoint"].nunique():
        return rows.index[:0]
    share = (others["slow"].sum() + 1) / (len(others) + 2)
    usual_ms = TIMES_SLOWER * others["wait_ms"].median()
    sure = [
        name
        for name, group in slow.items()
        if _chance(int(group["slow"].sum()), len(group), share) * len(groups) <= BY_CHANCE
        and group.loc[group["slow"], "wait_ms"].median() >= usual_ms
    ]
    return rows.index[rows["endpoint"].isin(sure)]


def _is_often_slow(group: pd.DataFrame) -> bool:
    """Enough of its requests, at enough different times: a pause of the whole server is one time."""
    slow = group[group["slow"]]
    if len(slow) < max(MIN_SLOW, ENDPOINT_SHARE * len(group)):
        return False
    return times_apart(slow["wait_start"], slow["wait_end"]) >= MIN_SLOW


def _chance(slow: int, total: int, share: float) -> float:
    """No less than the chance of so many slow ones among `total`, were they slow at the rate `share`.

    Chernoff's bound: exp(-n·D), D the divergence of the two rates (Hoeffding 1963, theorem 1).
    """
    rate = slow / total
    if rate <= share:
        return 1.0
    rest = (1 - rate) * math.log((1 - rate) / (1 - share)) if rate < 1 else 0.0
    return math.exp(-total * (rate * math.log(rate / share) + rest))


def _waits_for_news(group: pd.DataFrame, rows: pd.DataFrame) -> bool:
    """Whether these of the server's `rows` are long polls: they end like a timer, or begin again at once.

    A client is a connection that asked more than once, else an address that asks one thing at a time.
    """
    slow = group[group["slow"]]
    if slow.empty:
        return False
    low, middle, high = slow["wait_ms"].quantile([0.1, 0.5, 0.9])
    if low >= TIMER_MS and high - low <= TIMER_SPREAD * middle:
        return True
    often = slow["stream"].map(slow["stream"].value_counts()) > 1
    clients = slow["stream"].astype("object").where(often, slow["src"])
    polling = [len(mine) for _, mine in slow.groupby(clients) if _is_poller(mine, rows)]
    return sum(polling) > len(slow) / 2


def _is_poller(mine: pd.DataFrame, rows: pd.DataFrame) -> bool:
    """One client's requests: each long, one at a time, nearly always one under way, nothing in between."""
    if len(mine) < 2 or mine["wait_ms"].min() < POLLER_MS:
        return False
    begin, end = mine["wait_start"].min(), mine["wait_end"].max()
    between = rows["stream"].isin(mine["stream"]) & (rows["exchange"] >= 0)
    between &= (rows["wait_start"] >= begin) & (rows["wait_end"] <= end)
    if times_apart(mine["wait_start"], mine["wait_end"]) < len(mine) or between.sum() > len(mine):
        return False
    seconds = (mine["wait_end"] - mine["wait_start"]).dt.total_seconds().sum()
    return bool(seconds >= WAITING_SHARE * (end - begin).total_seconds())
