"""Throughput over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import COLORS, OTHERS, axes_or_new, name_of, say_empty, seconds_since, tidy, time_axis
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 5


def throughput(data: Any, *, interval: str = "100ms", ax: Axes | None = None) -> Axes:
    """Draw Mbit/s on the wire, a line for each sender and receiver, the busiest ones by name.

    `data` is a capture, cut in bins of `interval` ("1ms" at the least), or a throughput table as it is.
    Raises SchemaError and UsageError.
    """
    table = data.throughput(interval) if hasattr(data, "throughput") else data
    require(table, ("time", "src", "dst", "bytes", "mbps"), what="plot.throughput")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No packet with addresses is in this capture.")
    start = table["time"].min()
    width = _bin_seconds(table)
    pairs = table.groupby(["src", "dst"], observed=True)["bytes"].sum().sort_values(ascending=False).index
    for (src, dst), color in zip(pairs[:MOST], COLORS, strict=False):
        mine = table[(table["src"] == src) & (table["dst"] == dst)]
        _line(ax, mine, start, width, label=f"{name_of(data, src)} → {name_of(data, dst)}", color=color)
    if len(pairs) > MOST:
        pair = table.set_index(["src", "dst"]).index
        _line(
            ax,
            table[~pair.isin(pairs[:MOST])],
            start,
            width,
            label=f"{len(pairs) - MOST} other pairs",
            color=OTHERS,
        )
    total = table.groupby("time")["bytes"].sum() * 8 / 1e6 / width
    length = (total.index.max() - start).total_seconds() + width
    mean = table["bytes"].sum() * 8 / 1e6 / length
    ax.set_title(f"Throughput: {mean:.3g} Mbit/s on average, {total.max():.3g} at most", loc="left")
    ax.set_ylabel(f"Mbit/s in each {_bin_text(width)}")
    ax.set_ylim(bottom=0)
    time_axis(ax, start)
    return tidy(ax)


def _line(ax: Axes, rows: pd.DataFrame, start: pd.Timestamp, width: float, *, label: str, color: str) -> None:
    """A step a bin; where the pair is silent between its bins, the line is at zero."""
    import numpy as np

    rate = rows.groupby("time")["bytes"].sum() * 8 / 1e6 / width
    bins = np.rint(seconds_since(rate.index.to_series(), start).to_numpy() / width).astype(int)
    values = np.zeros(bins.max() - bins.min() + 2)
    values[bins - bins.min()] = rate.to_numpy()
    x = (np.arange(len(values)) + bins.min()) * width
    ax.step(x, values, where="post", color=color, label=label, linewidth=1.6)


def _bin_seconds(table: pd.DataFrame) -> float:
    """The bins' width: the least distance between two (0.1 s where there is but one)."""
    steps = table["time"].drop_duplicates().sort_values().diff().dt.total_seconds()
    shortest = steps[steps > 0].min()
    return float(shortest) if shortest == shortest else 0.1  # noqa: PLR0124 - not NaN


def _bin_text(width: float) -> str:
    return f"{width * 1000:.3g} ms" if width < 1 else f"{width:.3g} s"
