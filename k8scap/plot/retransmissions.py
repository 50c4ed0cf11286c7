"""Retransmissions on the timeline, a row for each conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    RASTERIZE_FROM,
    arrow,
    at_point,
    axes_or_new,
    headline,
    milliseconds,
    packets_of,
    port_of,
    say_empty,
    seconds_since,
    start_of,
    table_of,
    tidy,
    time_axis,
    who,
)
from k8scap.plot.marks import mark_times
from k8scap.plot.repeats import classes, styled
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 14
NEEDED = ("point", "time", "stream", "src", "src_port", "dst", "dst_port", "waited_ms")


def retransmissions(data: Any, *, marks: bool = True, ax: Axes | None = None) -> Axes:
    """Draw each event at its time, a row for each conversation and direction, worst on top.

    `data` is a capture or its `retransmissions`. A line leads from when the bytes were sent before. Colours
    tell the `loss_class` (`kind` where the table has none). Raises SchemaError.
    """
    table = table_of(data, "retransmissions")
    cause = "loss_class" if "loss_class" in table else "kind"
    require(table, (*NEEDED, cause), what="plot.retransmissions")
    if table.empty:
        return say_empty(axes_or_new(ax), "Nothing was sent twice.")
    keys = ["point", "stream", "src", "src_port", "dst", "dst_port"]
    group = table.groupby(keys, observed=True, dropna=False).ngroup()
    order = group.value_counts().index
    named = order if len(order) <= MOST else order[: MOST - 1]
    labels = [_row_label(data, table, group == number) for number in named]
    if len(order) > len(named):
        labels.append(f"{len(order) - len(named):,} other conversations")
    ax = axes_or_new(ax, height=1.9 + 0.34 * len(labels))
    row = group.map({number: place for place, number in enumerate(named)}).fillna(len(named))
    start, end = _span(data, table)
    _events(ax, table.assign(row=row), start)
    ax.set_xlim(-0.02 * end, 1.02 * end)
    ax.set_yticks(range(len(labels)), labels, fontsize="small")
    ax.set_ylim(len(labels) - 0.4, -0.6)
    if marks:
        mark_times(ax, data, start)
    time_axis(ax, start)
    _title(ax, table)
    return tidy(ax)


def _events(ax: Axes, shown: pd.DataFrame, start: pd.Timestamp) -> None:
    x = seconds_since(shown["time"], start)
    many = len(shown) > RASTERIZE_FROM
    before = x - shown["waited_ms"].fillna(0) / 1000
    ax.hlines(shown["row"], before, x, color="#BBBBBB", linewidth=2.5, zorder=1, rasterized=many)
    if (before < x).any():
        ax.plot([], [], color="#BBBBBB", linewidth=2.5, label="since it was sent before")
    for style, mine in styled(classes(shown)):
        ax.scatter(
            x[mine],
            shown["row"][mine],
            s=34,
            color=style.color,
            marker=style.marker,
            label=f"{style.words} ({mine.sum():,})",
            edgecolors="white",
            linewidths=0.5,
            zorder=2,
            rasterized=many,
        )


def _span(data: Any, table: pd.DataFrame) -> tuple[pd.Timestamp, float]:
    """The capture's start and length in seconds; of the table's events where there is only that."""
    import pandas as pd

    start, packets = start_of(data, table), packets_of(data)
    if packets is None:
        waited = table["waited_ms"].max()
        start -= pd.Timedelta(milliseconds=0 if pd.isna(waited) else waited)
    end = (table if packets is None else packets)["time"].max()
    return start, max((end - start).total_seconds(), 1e-6)


def _row_label(data: Any, table: pd.DataFrame, mine: pd.Series) -> str:
    first = table[mine].iloc[0]
    source = f"{who(data, first, 'src')}{port_of(first['src_port'])}"
    target = f"{who(data, first, 'dst')}{port_of(first['dst_port'])}"
    return arrow(source, f"{target}{at_point(table, first['point'])}")


def _title(ax: Axes, table: pd.DataFrame) -> None:
    longest = table["waited_ms"].max()
    waited = f", the longest wait {milliseconds(longest)}" if longest == longest else ""  # noqa: PLR0124 - not NaN
    noun = "segment was" if len(table) == 1 else "segments were"
    headline(ax, f"{len(table):,} {noun} sent again{waited}", width=60)
