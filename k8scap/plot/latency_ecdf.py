"""Round trips as shares: how many were how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import RASTERIZE_FROM, axes_or_new, headline, milliseconds, say_empty, table_of, tidy
from k8scap.plot.latency import NEEDED, SHORTEST_MS, by_answerer, services
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKED = (50, 95, 99)
_SPREAD = 50.0


def latency_ecdf(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the share of round trips (%) that took so long or less, one line for each end that answered.

    `data` is a capture or its `round_trips`. Lines mark 50, 95 and 99 %. Raises SchemaError.
    """
    table = table_of(data, "round_trips")
    require(table, NEEDED, what="plot.latency_ecdf")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No round trip was measured: no segment and its ACK are in this capture.")
    log = _wants_log(table["rtt_ms"])
    for label, color, part in by_answerer(data, table):
        _curve(ax, part["rtt_ms"].clip(lower=SHORTEST_MS if log else 0), color=color, label=label)
    _mark_shares(ax)
    ax.set_xscale("log" if log else "linear")
    if not log:
        ax.set_xlim(left=0)
    ax.set_xlabel("took this long or less (ms, logarithmic)" if log else "took this long or less (ms)")
    _title(ax, table)
    return tidy(ax)


def _wants_log(rtt: pd.Series) -> bool:
    """Curves side by side: where the slow ones are far from the fast ones, a linear axis hides those."""
    low, high = rtt.clip(lower=SHORTEST_MS).quantile([0.05, 0.95])
    return bool(high > _SPREAD * low)


def _curve(ax: Axes, rtt: pd.Series, *, color: str, label: str) -> None:
    import numpy as np

    values = np.sort(rtt.to_numpy())
    share = 100 * np.arange(1, len(values) + 1) / len(values)
    ax.step(
        np.append(values[:1], values),
        np.append(0.0, share),
        where="post",
        color=color,
        label=label,
        linewidth=1.8,
        rasterized=len(values) > RASTERIZE_FROM,
    )


def _mark_shares(ax: Axes) -> None:
    for share in MARKED:
        ax.axhline(share, color="#999999", linewidth=0.8, linestyle=":")
    ax.set_yticks([0, 25, 50, 75, 95])
    ax.set_yticks([99], ["99"], minor=True, fontsize="x-small")
    ax.tick_params(axis="y", which="minor", length=9)
    ax.set_ylim(0, 101)
    ax.set_ylabel("share of round trips (%)")


def _title(ax: Axes, table: pd.DataFrame) -> None:
    answered = services(table)
    times = answered["rtt_ms"].quantile([share / 100 for share in MARKED]).tolist()
    parts = [f"{share} % within {milliseconds(time)}" for share, time in zip(MARKED, times, strict=True)]
    where = " to the services" if len(answered) < len(table) else ""
    headline(ax, f"Round trips{where}: {', '.join(parts)}")
