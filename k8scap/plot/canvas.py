"""What every view draws on: axes, colours that the colour-blind can tell apart, words in an empty plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.selectable import starts_at
from k8scap.tables.naming import TIMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Okabe and Ito's, in an order in which neighbours differ in brightness too."""

OTHERS = "#8C8C8C"
ALARM = "#D55E00"
SIZE = (9.0, 4.2)
RASTERIZE_FROM = 3000
"""More marks than these are drawn as pixels in a vector picture."""

_ONE_LINE = 46
"""Letters of a row's label that leave half of the width to the plot."""
_SPACE = 8
"""Letters of a namespace's that stay before a name too long."""
_WIDE = 20.0
_LONG, _TICKS = 600.0, 9
_DAY = 86_400
_STEPS = (
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800),
    *(_DAY * digit * 10**zeros for zeros in range(6) for digit in (1, 2, 5)),
)
"""Seconds between the marks of a long time axis."""
_UNITS = (("days", _DAY), ("hours", 3600), ("minutes", 60))


def axes_or_new(ax: Axes | None, *, height: float = SIZE[1], width: float = SIZE[0]) -> Axes:
    """`ax`, or that of a new figure that pyplot knows (so a notebook shows it)."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def detached_axes(*, height: float = SIZE[1]) -> Axes:
    """Axes of a figure that nothing else holds: gone with its last reference."""
    from matplotlib.figure import Figure

    axes: Axes = Figure(figsize=(SIZE[0], height), layout="constrained").subplots()
    return axes


def svg(ax: Axes) -> bytes:
    """The picture that an Axes is in, as SVG."""
    from io import BytesIO

    figure = ax.get_figure(root=True)
    drawn = BytesIO()
    if figure is not None:
        figure.savefig(drawn, format="svg")
    return drawn.getvalue()


def table_of(data: Any, name: str) -> pd.DataFrame:
    """The table itself, or that of the capture under `name`."""
    import pandas as pd

    table: pd.DataFrame = data if isinstance(data, pd.DataFrame) else getattr(data, name)
    return table


def packets_of(data: Any) -> pd.DataFrame | None:
    """The capture's packets; None where only a table was given (it may have a column of that name)."""
    import pandas as pd

    return None if isinstance(data, pd.DataFrame) else getattr(data, "packets", None)


def who(data: Any, row: pd.Series, end: str) -> str:
    """Who the `end` ("src" or "dst") of a row is at its time: by the capture's names, or its name column.

    The address where nobody named it. Never mathtext.
    """
    import pandas as pd

    address = row[end]
    if pd.isna(address):
        return "no address"
    names, column = getattr(data, "names", None), row.get(f"{end}_name")
    if names is not None and hasattr(names, "of"):
        text = names.of(str(address), next((row[time] for time in TIMES if time in row), None))
    else:
        text = column if isinstance(column, str) and column else str(address)
    return literal(shortened(text))


def end_columns(table: pd.DataFrame, *columns: str) -> list[str]:
    """The columns that tell ends apart: an address that changed hands is several, by its names."""
    return [name for end in columns for name in (end, f"{end}_name") if name in table]


def at_point(table: pd.DataFrame, point: Any) -> str:
    """` at POINT` where a table has several capture points: the same packets are seen at each."""
    import pandas as pd

    if pd.isna(point) or table["point"].nunique() < 2:
        return ""
    return f" at {literal(shortened(str(point)))}"


def shortened(text: str, *, most: int = 28) -> str:
    """A long name with its middle left out: pods differ at the end, and services at the beginning.

    Of a namespace before it the beginning stays, so that there is room for the name.
    """
    if len(text) <= most:
        return text
    space, slash, name = text.rpartition("/")
    if slash:
        space = space if len(space) <= _SPACE else f"{space[: _SPACE - 1]}…"
    room = max(most - len(space) - len(slash), _SPACE)
    keep = (room - 1) // 2
    return f"{space}{slash}{name if len(name) <= room else f'{name[: room - 1 - keep]}…{name[-keep:]}'}"


def arrow(source: str, target: str) -> str:
    """`source → target`, on two lines where one would leave no room for the plot beside it."""
    line = f"{source} → {target}"
    return line if len(line) <= _ONE_LINE else f"{source}\n→ {target}"


def literal(text: str) -> str:
    """Text from the wire as text: no mathtext between dollars, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain.replace("$", r"\$")


def port_of(port: Any) -> str:
    import pandas as pd

    return "" if pd.isna(port) else f":{int(port)}"


def say_empty(ax: Axes, text: str) -> Axes:
    """Axes that say in words why there is nothing to see."""
    ax.set_axis_off()
    ax.text(
        0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize="large", color="#555555"
    )
    return ax


def bars(ax: Axes, x: Any, low: Any, high: Any, **look: Any) -> None:
    """Upright bars as one broken line: a hundred thousand cost what a thousand do."""
    import numpy as np

    from k8scap.plot.thinning import between_gaps

    ends = (np.asarray(values, np.float64) for values in (x, low, high))
    ax.plot(*between_gaps(*ends), solid_capstyle="butt", **look)


def start_of(data: Any, table: pd.DataFrame) -> pd.Timestamp:
    """The capture's first packet, so that all its plots have one zero, which is Wireshark's too.

    Of a table alone: its first time.
    """
    packets = packets_of(data)
    start: pd.Timestamp = (table if packets is None or packets.empty else packets)["time"].min()
    return start


def seconds_since(times: pd.Series, start: pd.Timestamp) -> pd.Series:
    """Times as seconds (float64) after `start`."""
    return (times - start).dt.total_seconds()


def time_axis(ax: Axes, start: pd.Timestamp) -> None:
    """Label x, seconds since `start`; a long capture's in minutes, hours or days."""
    starts_at(ax, start)
    clock = f"{start:%H:%M:%S}.{start.microsecond // 1000:03d} UTC on {start:%Y-%m-%d}"
    low, high = ax.get_xlim()
    if high - low < _LONG:
        ax.set_xlabel(f"seconds since {clock}")
        return
    step = next((step for step in _STEPS if (high - low) / step <= _TICKS), _STEPS[-1])
    unit, size = next(unit for unit in _UNITS if step >= unit[1])
    ax.xaxis.set_major_locator(_multiples(step))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / size:g}")
    ax.set_xlabel(f"{unit} since {clock}")


def _multiples(step: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(step)


def headline(ax: Axes, text: str, *, width: int = 94, pad: float | None = None) -> None:
    """The title: what is seen, in words, broken where a line would leave the picture."""
    from textwrap import fill

    ax.set_title(fill(text, width, break_long_words=False), loc="left", pad=pad)


def beside(ax: Axes, row: float, words: str) -> None:
    """Words about a row, right of the plot: over no bar, however long the bar."""
    ax.text(
        *(1.01, row, words),
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize="small",
        color="#333333",
    )


def tidy(ax: Axes, *, below: int = 0) -> Axes:
    """Light grid, no frame on top and right; the legend beside the plot, where it covers nothing.

    Or `below` it, in so many columns, where words stand beside the plot.
    """
    ax.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[1]:
        place = _below(ax, below) if below else {"bbox_to_anchor": (1.01, 1.0)}
        ax.legend(loc="upper left", borderaxespad=0.0, frameon=False, fontsize="small", **place)
    return ax


def _below(ax: Axes, columns: int) -> dict[str, Any]:
    """Under the axis and its label, whatever the plot's height."""
    from matplotlib.transforms import ScaledTranslation

    down = ScaledTranslation(0, -0.55 if ax.get_xlabel() else -0.15, ax.figure.dpi_scale_trans)
    return {"bbox_to_anchor": (0.0, 0.0), "bbox_transform": ax.transAxes + down, "ncols": columns}


def wants_log(values: pd.Series) -> bool:
    """Whether positive values spread so far that a linear axis would hide most of them."""
    positive = values[values > 0]
    return len(positive) > 0 and positive.max() > _WIDE * positive.median()


def milliseconds(value: float) -> str:
    """A duration in milliseconds as people write it: 0.12 ms, 4.1 ms, 230 ms, 1.2 s, 20,500 s."""
    if value >= 1e6:
        return f"{value / 1000:,.0f} s"
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def bytes_text(value: float) -> str:
    """A number of bytes in decimal units: 512 B, 4.1 kB, 2.3 MB."""
    step = 1000.0
    for unit in ("B", "kB", "MB", "GB"):
        if value < step:
            return f"{value:.3g} {unit}"
        value /= step
    return f"{value:.3g} TB"


def rate_text(mbps: float) -> str:
    """A rate of bits: 12 kbit/s, 8.4 Mbit/s, 1.2 Gbit/s."""
    for unit, size in (("Gbit/s", 1000.0), ("Mbit/s", 1.0)):
        if mbps >= size:
            return f"{mbps / size:.3g} {unit}"
    return f"{mbps * 1000:.3g} kbit/s"
