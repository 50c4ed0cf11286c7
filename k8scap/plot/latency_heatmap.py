"""Latency over time as a heat map: how many were how slow, when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError
from k8scap.plot.canvas import (
    ALARM,
    axes_or_new,
    headline,
    milliseconds,
    say_empty,
    seconds_since,
    start_of,
    tidy,
    time_axis,
)
from k8scap.plot.latency import NEEDED, SHORTEST_MS, services
from k8scap.plot.marks import mark_times
from k8scap.schema import require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]

COLUMNS = 100
ROWS = 40
LINES = ((50, "#000000", "-"), (95, "#000000", "--"), (99, ALARM, "-"))
"""Percentiles drawn as lines, their colours and dashes."""
ENOUGH = 5
"""Fewer values in a column of the map have no percentiles worth a line."""

_A_COLUMN = 10
"""Values that a column of the map should have on average, before there are more columns."""
_NARROWEST_S = 1e-3
_MARGIN = 1.25
_SHORT_SPAN = 200
_HALF = 50


@dataclass(frozen=True)
class Latency:
    """What may be drawn: the columns of a table that tell when and how long, and what they are called."""

    time: str
    duration: str
    noun: str
    axis: str


KINDS = {
    "round_trips": Latency("time", "rtt_ms", "round trips", "round-trip time"),
    "exchanges": Latency("request_start", "total_ms", "exchanges", "from request to answer"),
    "requests": Latency("time", "latency_ms", "requests", "from request to answer"),
}
"""By the name of the capture's table."""


def latency_heatmap(
    data: Any, *, of: str = "round_trips", marks: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw how many took how long (ms, logarithmic) at which time, colour being the number.

    `data` is a capture, of which `of` names the table ("round_trips", "exchanges" or "requests"), or one of
    these tables. Lines are the median, the 95th and 99th percentile of each column with values enough. Of
    round trips it is those to the services; with several capture points those at the first. What was never
    answered has no latency, and is counted in the title. Raises SchemaError and UsageError.
    """
    import pandas as pd

    kind = _kind(data, of)
    table: pd.DataFrame = data if isinstance(data, pd.DataFrame) else getattr(data, of)
    needed = NEEDED if kind is KINDS["round_trips"] else ()
    require(table, ("point", *needed, kind.time, kind.duration), what="plot.latency_heatmap")
    ax = axes_or_new(ax)
    here = _first_point(services(table) if needed and len(table) else table)
    known = here[here[kind.duration].notna() & here[kind.time].notna()]
    if known.empty:
        return say_empty(ax, f"No latency was measured: there are no {kind.noun} in this capture.")
    start = start_of(data, known.assign(time=known[kind.time]))
    x = seconds_since(known[kind.time], start).to_numpy(dtype="float64")
    y = known[kind.duration].to_numpy(dtype="float64").clip(min=SHORTEST_MS)
    edges = _time_edges(x)
    _cells(ax, x, y, edges, kind)
    _percentiles(ax, x, y, edges)
    _log_axis(ax, y)
    ax.set_ylabel(f"{kind.axis} (ms, logarithmic)")
    ax.set_xlim(edges[0], edges[-1])
    _title(ax, here, known, kind)
    if marks:
        mark_times(ax, data, start)
    time_axis(ax, start)
    return tidy(ax)


def _kind(data: Any, of: str) -> Latency:
    """What the table is, by its own columns; of a capture, what is asked for."""
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return next((kind for kind in KINDS.values() if kind.duration in data), KINDS["round_trips"])
    if of not in KINDS:
        raise UsageError(f"There is no latency of {of!r:.80}.", next_step=f"of={next(iter(KINDS))!r}")
    return KINDS[of]


def _first_point(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["point"] == table["point"].iloc[0]] if len(table["point"].unique()) > 1 else table


def _time_edges(x: Floats) -> Floats:
    """Columns of one width, the fewer the fewer values there are."""
    import numpy as np

    count = int(np.clip(len(x) // _A_COLUMN, 10, COLUMNS))
    low, high = float(x.min()), float(x.max())
    return np.linspace(low, max(high, low + count * _NARROWEST_S), count + 1)


def _log_axis(ax: Axes, y: Floats) -> None:
    """Marks with whole numbers: of a span as short as a decade three."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_yscale("log")
    steps = (1.0, 2.0, 5.0) if y.max() < _SHORT_SPAN * y.min() else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=steps))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def _cells(ax: Axes, x: Floats, y: Floats, edges: Floats, kind: Latency) -> None:
    import numpy as np
    from matplotlib.colors import LogNorm

    rows = np.geomspace(y.min() / _MARGIN, y.max() * _MARGIN, ROWS + 1)
    counts = np.histogram2d(x, y, bins=(edges, rows))[0].T
    shown = np.ma.masked_equal(counts, 0)
    norm = LogNorm(vmin=1, vmax=max(float(counts.max()), 10))
    mesh = ax.pcolormesh(edges, rows, shown, norm=norm, cmap="YlGnBu", rasterized=True)
    beside = ax.inset_axes((1.02, 0.0, 0.02, 0.38))
    bar = ax.figure.colorbar(mesh, cax=beside)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bar.set_label(f"{kind.noun} in a cell", fontsize="small")
    beside.tick_params(labelsize="small")


def _percentiles(ax: Axes, x: Floats, y: Floats, edges: Floats) -> None:
    """A line each, where a column has values enough."""
    import numpy as np
    from matplotlib.patheffects import withStroke

    column = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    ordered = y[np.lexsort((y, column))]
    counts = np.bincount(column, minlength=len(edges) - 1)
    starts, enough = np.cumsum(counts) - counts, counts >= ENOUGH
    for share, color, dashes in LINES:
        place = starts + np.ceil(share / 100 * counts).astype(np.int64) - 1
        values = np.where(enough, ordered[np.clip(place, 0, len(y) - 1)], np.nan)
        if enough.any():
            ax.step(
                *(edges, np.append(values, values[-1:])),
                where="post",
                color=color,
                linestyle=dashes,
                linewidth=1.3,
                path_effects=[withStroke(linewidth=3, foreground="white")],
                label=f"{share} % are faster" if share != _HALF else "half are faster",
            )


def _title(ax: Axes, here: pd.DataFrame, known: pd.DataFrame, kind: Latency) -> None:
    median, most = known[kind.duration].quantile([0.5, 0.99])
    unanswered = len(here) - len(known)
    said = f", {unanswered:,} never answered" if unanswered else ""
    noun = kind.noun if len(known) > 1 else kind.noun.removesuffix("s")
    spread = f"half within {milliseconds(median)}, 99 % within {milliseconds(most)}"
    headline(ax, f"{len(known):,} {noun}: {spread}{said}")
