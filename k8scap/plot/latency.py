"""Round trips over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    COLORS,
    OTHERS,
    RASTERIZE_FROM,
    axes_or_new,
    milliseconds,
    name_of,
    port_of,
    say_empty,
    seconds_since,
    table_of,
    tidy,
    time_axis,
    wants_log,
)
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

MARKERS = {"handshake": "D", "ack": "o", "timestamp": "x"}
MOST = 6


def latency(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw each round trip (ms) at the time of its answer, one colour for each end that answered.

    `data` is a capture or its `round_trips`. The legend gives median and 95th percentile. Logarithmic
    where the spread asks for it. Raises SchemaError.
    """
    table = table_of(data, "round_trips")
    require(table, ("time", "dst", "dst_port", "kind", "rtt_ms"), what="plot.latency")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No round trip was measured: no segment and its ACK are in this capture.")
    start = table["time"].min()
    for label, color, part in by_answerer(data, table):
        for kind, marker in MARKERS.items():
            mine = part[part["kind"] == kind]
            if len(mine):
                _dots(ax, seconds_since(mine["time"], start), mine["rtt_ms"], color=color, marker=marker)
        ax.scatter([], [], s=22, color=color, label=label)
    _title(ax, table["rtt_ms"])
    time_axis(ax, start)
    return tidy(ax)


def by_answerer(data: Any, table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Label, colour and rows for each end that acknowledged: the busiest ones, then all others."""
    ends = table.groupby(["dst", "dst_port"], observed=True, dropna=False)
    answering = ends.ngroup()
    ranked = answering.value_counts().index.to_list()
    clients = [
        group for group in ranked if (answering == group).sum() and _is_client(table[answering == group])
    ]
    named = [group for group in ranked if group not in clients][:MOST]
    for color, group in zip(COLORS, named, strict=False):
        part = table[answering == group]
        first = part.iloc[0]
        yield _label(f"{name_of(data, first['dst'])}{port_of(first['dst_port'])}", part), color, part
    rest = table[~answering.isin(named)]
    for address, part in rest.groupby("dst", observed=True):
        yield _label(f"{name_of(data, address)}, other ports", part), OTHERS, part


def _is_client(part: pd.DataFrame) -> bool:
    """An ephemeral port: what answers there is the client's kernel, one port a connection."""
    port = part["dst_port"].iloc[0]
    return bool(port >= 32768)


def _label(name: str, part: pd.DataFrame) -> str:
    median, p95 = part["rtt_ms"].quantile([0.5, 0.95])
    return f"{name}\n  median {milliseconds(median)}, 95 % ≤ {milliseconds(p95)}"


def _dots(ax: Axes, x: pd.Series, y: pd.Series, *, color: str, marker: str) -> None:
    many = len(x) > RASTERIZE_FROM
    ax.scatter(
        x, y, s=6 if many else 16, marker=marker, color=color, alpha=0.6, linewidths=0.8, rasterized=many
    )


def _title(ax: Axes, rtt: pd.Series) -> None:
    median, p95 = rtt.quantile([0.5, 0.95])
    ax.set_title(
        f"Round trips: half within {milliseconds(median)}, 95 % within {milliseconds(p95)}", loc="left"
    )
    if wants_log(rtt):
        ax.set_yscale("log")
        ax.set_ylabel("round-trip time (ms, logarithmic)")
    else:
        ax.set_ylim(0, rtt.max() * 1.08)
        ax.set_ylabel("round-trip time (ms)")
