"""Where the seconds went: the parts of all exchanges, summed for each service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    at_point,
    axes_or_new,
    beside,
    end_columns,
    headline,
    milliseconds,
    port_of,
    say_empty,
    table_of,
    tidy,
    who,
)
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 10

IDLE = "idle_ms"
"""The client's own time before its next request: nobody waited for anybody."""


@dataclass(frozen=True)
class Part:
    """What a part of an exchange is in words, and how its bar looks."""

    words: str
    color: str
    hatch: str = ""


PARTS = {
    "syn_retry_ms": Part("SYN sent again", ALARM),
    "connect_ms": Part("connecting", COLORS[4]),
    "tls_ms": Part("TLS handshake", COLORS[3]),
    "request_ms": Part("sending the request", COLORS[0]),
    "stall_ms": Part("stalled by loss", ALARM, "////"),
    "zero_window_ms": Part("receiver full (window 0)", COLORS[6]),
    "delayed_ack_ms": Part("waiting for a delayed ACK", "#F0E442"),
    "path_ms": Part("the path's round trip", COLORS[0], "////"),
    "server_ms": Part("the server", COLORS[1]),
    "response_ms": Part("sending the response", COLORS[2]),
    IDLE: Part("client idle", "#E4E4E4", "...."),
}
"""In the order in which an exchange goes through them; the client's idle time last, for it is left out."""

_NEEDED = ("point", "dst", "dst_port", "response_end")


def where_time_went(data: Any, *, idle: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the seconds that clients waited for each service, by what they waited for, the longest on top.

    `data` is a capture or its `exchanges`, whose parts add up to the wall time. A bar is the sum over all
    exchanges with a service, so several that wait at once count several times; the services beyond the tenth
    share the last bar, and those that never answered have none. With `idle`, the time in which clients asked
    for nothing stands behind. Raises SchemaError.
    """
    table = table_of(data, "exchanges")
    require(table, (*_NEEDED, *PARTS), what="plot.where_time_went")
    if table.empty:
        return say_empty(
            axes_or_new(ax), "No request and answer in turns are in this capture: nobody waited."
        )
    seconds = table[[part for part in PARTS if idle or part != IDLE]].fillna(0.0).clip(lower=0) / 1000
    keys = ["point", *end_columns(table, "dst"), "dst_port"]
    service = table.groupby(keys, observed=True, dropna=False).ngroup()
    sums = seconds.groupby(service).sum()
    order = sums.sum(axis=1).loc[lambda total: total > 0]
    if order.empty:
        return say_empty(
            axes_or_new(ax), f"None of the {len(table):,} requests in this capture was answered."
        )
    order = sums.drop(columns=IDLE, errors="ignore").sum(axis=1)[order.index]
    order = order.sort_values(ascending=False, kind="stable")
    named = order.index[: MOST if len(order) <= MOST else MOST - 1]
    rows = [sums.loc[number] for number in named]
    groups = [table[service == number] for number in named]
    labels = [_label(data, table, group.iloc[0]) for group in groups]
    if len(order) > len(named):
        rest = order.index[len(named) :]
        rows.append(sums.loc[rest].sum())
        groups.append(table[service.isin(rest)])
        labels.append(f"{len(order) - len(named):,} other services")
    ax = axes_or_new(ax, height=2.3 + 0.42 * len(rows))
    _bars(ax, rows)
    for place, (row, group) in enumerate(zip(rows, groups, strict=True)):
        beside(ax, place, _words(row, group))
    ax.set_yticks(range(len(rows)), labels, fontsize="small")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, max(float(row.sum()) for row in rows) * 1.02 or 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    ax.set_xlabel("seconds, summed over exchanges")
    _title(ax, table, seconds)
    return tidy(ax, below=3)


def _bars(ax: Axes, rows: list[pd.Series]) -> None:
    import numpy as np

    left = np.zeros(len(rows))
    for name in rows[0].index:
        width, part = np.array([float(row[name]) for row in rows]), PARTS[name]
        if width.any():
            ax.barh(
                range(len(rows)),
                width,
                left=left,
                height=0.62,
                color=part.color,
                hatch=part.hatch,
                edgecolor="white" if part.hatch else part.color,
                linewidth=0,
                label=part.words,
            )
            left += width


def _words(row: pd.Series, group: pd.DataFrame) -> str:
    """`1.2 s in 40 exchanges, 83 % the server`; what was never answered has no parts, and is counted."""
    waited = row.drop(IDLE, errors="ignore")
    noun = "exchange" if len(group) == 1 else "exchanges"
    said = f"{milliseconds(float(waited.sum()) * 1000)} in {len(group):,} {noun}"
    unanswered = int(group["response_end"].isna().sum())
    said += f" ({unanswered:,} unanswered)" if unanswered else ""
    return f"{said}, {_largest(waited)}" if waited.sum() > 0 else said


def _largest(waited: pd.Series) -> str:
    share = 100 * waited.max() / waited.sum()
    return f"{share:.0f} % {PARTS[str(waited.idxmax())].words}"


def _title(ax: Axes, table: pd.DataFrame, seconds: pd.DataFrame) -> None:
    """What the point saw at which most was waited: several points see the same exchanges."""
    waited = seconds.drop(columns=IDLE, errors="ignore")
    points = table["point"].astype("object").fillna("")
    busiest = waited.sum(axis=1).groupby(points).sum().idxmax()
    most = waited[points == busiest].sum()
    total = milliseconds(float(most.sum()) * 1000)
    said = f": {_largest(most)}" if most.sum() > 0 else ""
    unanswered = int(table["response_end"].isna()[points == busiest].sum())
    silent = f"; {unanswered:,} never answered" if unanswered else ""
    headline(ax, f"Where the time went: clients waited {total} in all{said}{silent}", width=72)


def _label(data: Any, table: pd.DataFrame, first: pd.Series) -> str:
    return f"{who(data, first, 'dst')}{port_of(first['dst_port'])}{at_point(table, first['point'])}"
