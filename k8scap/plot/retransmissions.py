"""Retransmissions on the timeline, a row for each conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    axes_or_new,
    milliseconds,
    name_of,
    port_of,
    say_empty,
    seconds_since,
    table_of,
    tidy,
    time_axis,
)
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

KINDS = {
    "timeout": ("#D55E00", "X", "timeout: the sender's timer ran out"),
    "fast": ("#0072B2", "o", "fast: asked for by the receiver"),
    "syn": ("#000000", "s", "SYN again: connecting waited"),
    "fin": ("#CC79A7", "D", "FIN again"),
    "spurious": ("#56B4E9", "^", "spurious: it had arrived already"),
    "ambiguous": ("#8C8C8C", "P", "ambiguous: repeated or reordered"),
}
MOST = 14


def retransmissions(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw each event at its time, a row for each conversation and direction, worst on top.

    `data` is a capture or its `retransmissions`. A line leads from when the bytes were first sent.
    Raises SchemaError.
    """
    table = table_of(data, "retransmissions")
    needed = ("time", "stream", "src", "src_port", "dst", "dst_port", "kind", "waited_ms")
    require(table, needed, what="plot.retransmissions")
    if table.empty:
        return say_empty(axes_or_new(ax), "Nothing was sent twice.")
    keys = ["stream", "src", "src_port", "dst", "dst_port"]
    rows = table.groupby(keys, observed=True, dropna=False).ngroup()
    order = rows.value_counts().index[:MOST].to_list()
    ax = axes_or_new(ax, height=1.9 + 0.34 * len(order))
    shown = table[rows.isin(order)].assign(row=rows.map({row: i for i, row in enumerate(order)}))
    start, end = _span(data, table)
    _events(ax, shown, start)
    ax.set_xlim(-0.02 * end, 1.02 * end)
    ax.set_yticks(
        range(len(order)), [_row_label(data, table[rows == row]) for row in order], fontsize="small"
    )
    ax.set_ylim(len(order) - 0.4, -0.6)
    time_axis(ax, start)
    _title(ax, table, hidden=rows.nunique() - len(order))
    return tidy(ax)


def _events(ax: Axes, shown: pd.DataFrame, start: pd.Timestamp) -> None:
    x = seconds_since(shown["time"], start)
    ax.hlines(
        shown["row"], x - shown["waited_ms"].fillna(0) / 1000, x, color="#BBBBBB", linewidth=2.5, zorder=1
    )
    for kind, (color, marker, label) in KINDS.items():
        mine = shown["kind"] == kind
        if mine.any():
            ax.scatter(
                x[mine],
                shown["row"][mine],
                s=34,
                color=color,
                marker=marker,
                label=f"{label} ({mine.sum():,})",
                edgecolors="white",
                linewidths=0.5,
                zorder=2,
            )


def _span(data: Any, table: pd.DataFrame) -> tuple[pd.Timestamp, float]:
    """The capture's start and length in seconds; of the table's events where there is only that."""
    import pandas as pd

    times = data.packets["time"] if hasattr(data, "packets") else table["time"]
    start = times.min()
    if not hasattr(data, "packets"):
        start -= pd.Timedelta(milliseconds=float(table["waited_ms"].max(skipna=True) or 0))
    return start, max((times.max() - start).total_seconds(), 1e-6)


def _row_label(data: Any, events: pd.DataFrame) -> str:
    first = events.iloc[0]
    source = f"{name_of(data, first['src'])}{port_of(first['src_port'])}"
    return f"{source} → {name_of(data, first['dst'])}{port_of(first['dst_port'])}"


def _title(ax: Axes, table: pd.DataFrame, *, hidden: int) -> None:
    longest = table["waited_ms"].max()
    waited = f", the longest wait {milliseconds(longest)}" if longest == longest else ""  # noqa: PLR0124 - not NaN
    more = f" ({hidden} more conversations not shown)" if hidden > 0 else ""
    noun = "segment was" if len(table) == 1 else "segments were"
    ax.set_title(f"{len(table):,} {noun} sent again{waited}{more}", loc="left")
