"""How long packets were on their way between two points, each way, and when one was lost there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    RASTERIZE_FROM,
    axes_or_new,
    headline,
    literal,
    say_empty,
    seconds_since,
    tidy,
    time_axis,
)
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NEEDED = ("time", "from_point", "to_point", "delay_ms")
MARKERS = ("o", "^", "s", "D")
_STRIP = 0.06
"""Share of the height that one way's losses take, above the delays."""


def one_way_delays(correlation: Any, *, ax: Axes | None = None) -> Axes:
    """Draw each packet's delay (ms) from one point to the next, a colour each way; ✕ is one lost between.

    `correlation` is what `correlate` gives. The legend counts what was sent and lost. Delays are by clocks
    set right (`clocks` says how sure that is). Raises SchemaError.
    """
    packets, missing = correlation.packets, correlation.missing
    require(packets, NEEDED, what="plot.one_way_delays")
    ax = axes_or_new(ax)
    known = packets[packets["delay_ms"].notna()]
    if known.empty:
        return say_empty(ax, "No packet is known to have passed from one point to the other.")
    lost = missing[missing["verdict"] == "lost"]
    start = known["time"].min()
    ways = list(known.groupby(["from_point", "to_point"], observed=True))
    for (way, part), color, marker in zip(ways, COLORS, MARKERS, strict=False):
        x = seconds_since(part["time"], start)
        label = f"{_words(way)}\n{len(part):,} passed, median {part['delay_ms'].median():.3g} ms"
        ax.plot(x, part["delay_ms"], marker, color=color, markersize=3.5, alpha=0.7, label=label,
                rasterized=len(part) > RASTERIZE_FROM)  # fmt: skip
    _mark_lost(ax, lost, ways, start)
    headline(ax, _title(known, lost))
    ax.set_ylabel("on the way, ms")
    time_axis(ax, start)
    return tidy(ax)


def _mark_lost(ax: Axes, lost: pd.DataFrame, ways: list[Any], start: pd.Timestamp) -> None:
    """Above all delays, a row for each way: what was lost has no delay."""
    bottom, top = ax.get_ylim()
    for row, ((way, _), color) in enumerate(zip(ways, COLORS, strict=False), start=1):
        mine = lost[(lost["from_point"] == way[0]) & (lost["to_point"] == way[1])]
        if mine.empty:
            continue
        x = seconds_since(mine["time"], start)
        height = [top + (top - bottom) * _STRIP * row] * len(mine)
        ax.plot(x, height, "x", color=color, markeredgewidth=1.8, markersize=7, linestyle="",
                label=f"{_words(way)}\n{len(mine):,} lost between")  # fmt: skip
    if len(lost):
        ax.axhline(top, color=ALARM, linewidth=0.8, linestyle=":")
        ax.set_ylim(min(bottom, 0.0), top + (top - bottom) * _STRIP * (len(ways) + 1))
    else:
        ax.set_ylim(bottom=min(bottom, 0.0))


def _words(way: Any) -> str:
    return literal(" → ".join(map(str, way)))


def _title(known: pd.DataFrame, lost: pd.DataFrame) -> str:
    sent = len(known) + len(lost)
    lost_of_all = f"{len(lost):,} of {sent:,} packets were lost"
    return f"Between the two points {lost_of_all if len(lost) else f'none of {sent:,} packets was lost'}"
