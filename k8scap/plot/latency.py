"""Round trips over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    COLORS,
    OTHERS,
    RASTERIZE_FROM,
    at_point,
    axes_or_new,
    end_columns,
    headline,
    milliseconds,
    port_of,
    say_empty,
    seconds_since,
    start_of,
    table_of,
    tidy,
    time_axis,
    wants_log,
    who,
)
from k8scap.plot.marks import mark_times
from k8scap.plot.selectable import stands_for
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

MARKERS = {"handshake": ("D", "handshake"), "ack": ("o", "acknowledgment"), "timestamp": ("x", "timestamp")}
MOST = 5
NEEDED = ("point", "time", "stream", "src", "src_port", "dst", "dst_port", "kind", "rtt_ms")
SHORTEST_MS = 0.001
"""What a logarithmic axis shows for 0: the clock's microsecond."""


def latency(data: Any, *, marks: bool = True, ax: Axes | None = None) -> Axes:
    """Draw each round trip (ms) at the time of its answer, one colour for each end that answered.

    `data` is a capture or its `round_trips`. The legend gives median and 95th percentile. Logarithmic
    where the spread asks for it. Raises SchemaError.
    """
    table = table_of(data, "round_trips")
    require(table, NEEDED, what="plot.latency")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No round trip was measured: no segment and its ACK are in this capture.")
    start = start_of(data, table)
    log = wants_log(services(table)["rtt_ms"])
    for order, (label, color, part) in enumerate(by_answerer(data, table)):
        for kind, (marker, _) in MARKERS.items():
            mine = part[part["kind"] == kind]
            if len(mine):
                rtt = mine["rtt_ms"].clip(lower=SHORTEST_MS) if log else mine["rtt_ms"]
                x = seconds_since(mine["time"], start)
                _dots(ax, x, rtt, color=color, marker=marker, above=-order)
                _stand_for(ax, mine, x, rtt)
        ax.scatter([], [], s=22, color=color, label=label)
    _explain_markers(ax, table)
    _title(ax, table)
    ax.set_yscale("log" if log else "linear")
    ax.set_ylabel("round-trip time (ms, logarithmic)" if log else "round-trip time (ms)")
    if not log:
        ax.set_ylim(0, max(table["rtt_ms"].max() * 1.08, SHORTEST_MS))
    if marks:
        mark_times(ax, data, start)
    time_axis(ax, start)
    return tidy(ax)


def _stand_for(ax: Axes, trips: pd.DataFrame, x: pd.Series, rtt: pd.Series) -> None:
    """A round trip is two packets: the answer, and the segment that was measured."""
    for frame in ("number", "segment"):
        if frame in trips:
            rows = trips[["point"]].assign(number=trips[frame])
            stands_for(ax, rows, x=x.to_numpy(), low=rtt.to_numpy())


def by_answerer(data: Any, table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Label, colour and rows for each end that acknowledged: the busiest services, then all others."""
    keys = table.groupby(["point", *end_columns(table, "dst"), "dst_port"], observed=True, dropna=False)
    answering = keys.ngroup()
    ends = keys.agg(samples=("rtt_ms", "size"), least=("src_port", "min"), most=("src_port", "max"))
    ends = ends.reset_index()
    ends["client"] = _clients(ends)
    named = ends[~ends["client"]].sort_values("samples", ascending=False, kind="stable").index[:MOST]
    for color, group in zip(COLORS, named, strict=False):
        part = table[answering == group]
        end = part.iloc[0]
        name = f"{who(data, end, 'dst')}{port_of(end['dst_port'])}{at_point(table, end['point'])}"
        yield _label(name, part), color, part
    rest = ends.index.difference(named)
    for clients, what, color in ((False, "other services", COLORS[-1]), (True, "clients", OTHERS)):
        groups = rest[ends.loc[rest, "client"] == clients]
        part = table[answering.isin(groups)]
        if len(part):
            alone = clients and (part["dst"] == part["dst"].iloc[0]).all()
            name = f"{who(data, part.iloc[0], 'dst')}, as client" if alone else f"{len(groups):,} {what}"
            yield _label(name, part), color, part


def services(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that a service's end answered; all, where none looks like one."""
    ends = table.groupby(["point", *end_columns(table, "dst"), "dst_port"], observed=True, dropna=False)
    group = ends.ngroup()
    known = ends.agg(least=("src_port", "min"), most=("src_port", "max")).reset_index()
    asked = table[group.isin(known.index[~_clients(known)])]
    return asked if len(asked) else table


def _clients(ends: pd.DataFrame) -> pd.Series:
    """Ends that only one port speaks to, a lower one: a client's kernel, on an ephemeral port."""
    return (ends["least"] == ends["most"]) & (ends["dst_port"] > ends["least"])


def _label(name: str, part: pd.DataFrame) -> str:
    median, p95 = part["rtt_ms"].quantile([0.5, 0.95])
    return f"{name}\n  median {milliseconds(median)}, 95 % ≤ {milliseconds(p95)}"


def _dots(ax: Axes, x: pd.Series, y: pd.Series, *, color: str, marker: str, above: int) -> None:
    many = len(x) > RASTERIZE_FROM
    ax.scatter(
        x,
        y,
        s=6 if many else 16,
        marker=marker,
        color=color,
        alpha=0.6,
        linewidths=0.8,
        rasterized=many,
        zorder=2 + above / 100,
    )


def _explain_markers(ax: Axes, table: pd.DataFrame) -> None:
    kinds = [kind for kind in MARKERS if (table["kind"] == kind).any()]
    if len(kinds) > 1:
        for marker, label in (MARKERS[kind] for kind in kinds):
            ax.scatter(
                [], [], s=18, marker=marker, color="#555555", linewidths=0.8, label=f"measured by {label}"
            )


def _title(ax: Axes, table: pd.DataFrame) -> None:
    answered = services(table)
    median, p95 = answered["rtt_ms"].quantile([0.5, 0.95])
    where = " to the services" if len(answered) < len(table) else ""
    headline(ax, f"Round trips{where}: half within {milliseconds(median)}, 95 % within {milliseconds(p95)}")
