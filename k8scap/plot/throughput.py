"""Throughput over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    COLORS,
    OTHERS,
    at_point,
    axes_or_new,
    end_columns,
    headline,
    packets_of,
    rate_text,
    say_empty,
    seconds_since,
    start_of,
    tidy,
    time_axis,
    who,
)
from k8scap.plot.marks import mark_times
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 5
MOST_BINS = 2000
NEEDED = ("time", "point", "src", "dst", "bytes", "mbps")


def throughput(data: Any, *, interval: str | None = None, marks: bool = True, ax: Axes | None = None) -> Axes:
    """Draw Mbit/s on the wire, a line for each sender and receiver, the busiest ones by name.

    `data` is a capture, cut in bins of `interval` ("1ms" at the least; None takes 100 ms, and more where the
    capture is so long that nobody could tell them apart), or a throughput table as it is. Raises SchemaError
    and UsageError.
    """
    packets = packets_of(data)
    table = data if packets is None else data.throughput(interval or _readable(packets))
    require(table, NEEDED, what="plot.throughput")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No packet is in this capture.")
    start, width = start_of(data, table), _bin_seconds(table)
    pair = table.groupby(["point", *end_columns(table, "src", "dst")], observed=True, dropna=False).ngroup()
    order = table.groupby(pair)["bytes"].sum().sort_values(ascending=False, kind="stable").index
    for number, color in zip(order[:MOST], COLORS, strict=False):
        mine = table[pair == number]
        _line(ax, mine, start, width, label=_label(data, table, mine.iloc[0]), color=color)
    if len(order) > MOST:
        rest = table[~pair.isin(order[:MOST])]
        _line(ax, rest, start, width, label=f"{len(order) - MOST:,} other pairs", color=OTHERS)
    _title(ax, table, width)
    ax.set_ylabel(f"Mbit/s in each {_bin_text(width)}")
    ax.set_ylim(bottom=0)
    begin, end = (seconds_since(table["time"], start).agg(pick) for pick in ("min", "max"))
    ax.set_xlim(begin, end + width)
    if marks:
        mark_times(ax, data, start)
    time_axis(ax, start)
    return tidy(ax)


def _readable(packets: pd.DataFrame) -> str:
    """100 ms, or the next longer width of 1, 2 or 5 and zeros that cuts the capture in 2,000 at most."""
    span_ms = (packets["time"].max() - packets["time"].min()).total_seconds() * 1000 if len(packets) else 0
    widths = (digit * 10**zeros for zeros in range(2, 12) for digit in (1, 2, 5))
    return f"{next(width for width in widths if span_ms / width <= MOST_BINS)}ms"


def _label(data: Any, table: pd.DataFrame, first: pd.Series) -> str:
    return f"{who(data, first, 'src')} → {who(data, first, 'dst')}{at_point(table, first['point'])}"


def _line(ax: Axes, rows: pd.DataFrame, start: pd.Timestamp, width: float, *, label: str, color: str) -> None:
    """A step a bin; where the pair is silent before, between and after its bins, the line is at zero."""
    import numpy as np

    rate = rows.groupby("time")["bytes"].sum() * 8 / 1e6 / width
    x = seconds_since(rate.index.to_series(), start).to_numpy()
    silent = np.flatnonzero(np.diff(x, append=np.inf) > 1.5 * width) + 1
    x = np.insert(x, silent, x[silent - 1] + width)
    values = np.insert(rate.to_numpy(), silent, 0.0)
    ax.step(
        np.append(x[:1], x), np.append(0.0, values), where="post", color=color, label=label, linewidth=1.6
    )


def _title(ax: Axes, table: pd.DataFrame, width: float) -> None:
    """What the busiest point saw: several points see the same packets."""
    busiest = table.groupby("point", observed=True, dropna=False)["bytes"].sum().idxmax()
    seen = table[table["point"] == busiest] if table["point"].notna().all() else table
    rate = seen.groupby("time")["bytes"].sum() * 8 / 1e6 / width
    length = (rate.index.max() - rate.index.min()).total_seconds() + width
    mean = seen["bytes"].sum() * 8 / 1e6 / length
    headline(ax, f"Throughput: {rate_text(mean)} on average, {rate_text(rate.max())} at most")


def _bin_seconds(table: pd.DataFrame) -> float:
    """The bins' width: the bits of a bin by its rate, for that is how the table was made."""
    busy = table[table["mbps"] > 0]
    return round(float((busy["bytes"] * 8 / 1e6 / busy["mbps"]).median()), 9) if len(busy) else 0.1


def _bin_text(width: float) -> str:
    return f"{width * 1000:.3g} ms" if width < 1 else f"{width:g} s"
