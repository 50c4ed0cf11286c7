"""The flow graph of a conversation: an arrow a packet between two lifelines, time going down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    axes_or_new,
    beside,
    headline,
    milliseconds,
    packets_of,
    port_of,
    say_empty,
    seconds_since,
    shortened,
    start_of,
    table_of,
    tidy,
    who,
)
from k8scap.plot.ladder_words import Repeat, closed, remark, said
from k8scap.plot.repeats import STYLES, classes
from k8scap.plot.selectable import stands_for
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

MOST = 60
LONGEST_STEP = 4.0
"""Rows that a wait may take; a longer one is cut, and says how long it was."""

NEEDED = ("point", "time", "protocol", "stream", "src", "src_port", "dst", "dst_port", "tcp_flags", "seq",
          "ack", "window", "payload_length")  # fmt: skip

_ROW_INCHES, _FEWEST_ROWS = 0.23, 12.0
_SYN, _ACK = 0x02, 0x10
_FAR = 0.72
"""How far a packet that was lost gets."""


def exchange_ladder(
    data: Any,
    *,
    stream: int | Sequence[int] | None = None,
    protocol: str = "TCP",
    around: int | None = None,
    most: int = MOST,
    ax: Axes | None = None,
) -> Axes:
    """Draw the packets of one conversation as arrows between its ends, from top to bottom.

    Waits are to scale as far as rows can show them: packets close together stand a row apart, and a wait
    longer than four rows is cut and says how long it was. Orange-red is a segment sent again; a dashed arrow
    that ends on its way is one that was sent again later for want of an answer (as concluded, not as seen).
    A black triangle is a window of 0.

    `data` is a capture or its packets; `stream` a stream number of `protocol` ("TCP" or "UDP"), or several
    whose ends then share lifelines; None takes that of the frame `around`, else the connection with the most
    segments sent again, else with the most frames. Of more than `most` frames a part is drawn: around the
    frame number `around`, else around the first that was sent again, else from the beginning. With several
    capture points it is the first that saw the conversation. Raises SchemaError.
    """
    packets = table_of(data, "packets")
    require(packets, NEEDED, what="plot.exchange_ladder")
    mine = _frames(data, packets, stream, protocol, around)
    if mine.empty:
        which = "" if stream is None else f" in {protocol} stream {stream}"
        return say_empty(axes_or_new(ax), f"No packet{which} to draw is in this capture.")
    repeats, lost = _repeats(mine, protocol)
    shown = _window(mine, repeats, around=around, most=max(most, 1))
    x = seconds_since(shown["time"], start_of(data, packets))
    places = _places(x.to_numpy(dtype="float64"))
    ax = axes_or_new(ax, height=1.9 + _ROW_INCHES * (_bottom(places) + 1))
    ends, names = _ends(data, mine, together=len(mine["stream"].unique()) > 1)
    _lifelines(ax, names, places)
    for (number, row), place in zip(shown.iterrows(), places, strict=True):
        _arrow(ax, row, place, ends, repeat=repeats.get(_frame(number)), lost=number in lost)
    _stand_for(ax, shown, places, len(names))
    _waits(ax, x.to_numpy(dtype="float64"), places, len(names))
    _axis(ax, x, places, start_of(data, packets))
    _title(ax, mine, shown, names, repeats)
    _explain(ax, shown, repeats, lost)
    tidy(ax, below=4)
    ax.grid(visible=False)
    return ax


def _stand_for(ax: Axes, shown: pd.DataFrame, places: list[float], lifelines: int) -> None:
    """An arrow is a packet, wherever between the lifelines a box meets it."""
    import numpy as np

    for x in np.linspace(0, max(lifelines - 1, 1), 21):
        stands_for(ax, shown, x=np.full(len(places), x), low=np.array(places))


def _frame(number: Any) -> int:
    return int(number)


def _frames(
    data: Any, packets: pd.DataFrame, stream: int | Sequence[int] | None, protocol: str, around: int | None
) -> pd.DataFrame:
    """The frames of the chosen streams at the first point that saw any, in the order of their times."""
    kind = packets[(packets["protocol"] == protocol) & packets["stream"].notna()]
    if kind.empty:
        return kind
    if stream is None:
        there = kind[kind.index == around]
        stream = int(there["stream"].iloc[0]) if len(there) else _worst(data, kind)
    mine = kind[kind["stream"].isin([stream] if isinstance(stream, int) else list(stream))]
    if len(mine["point"].unique()) > 1:
        mine = mine[mine["point"] == mine["point"].iloc[0]]
    return mine.sort_values("time", kind="stable")


def _worst(data: Any, kind: pd.DataFrame) -> int:
    again = None if packets_of(data) is None else getattr(data, "retransmissions", None)
    known = again is not None and len(again) > 0 and kind["protocol"].iloc[0] == "TCP"
    streams = again["stream"] if known and again is not None else kind["stream"]
    return int(streams.value_counts().index[0])


def _repeats(mine: pd.DataFrame, protocol: str) -> tuple[dict[int, Repeat], set[int]]:
    """The frames that carry bytes again, and those that must have been lost, by frame number."""
    from k8scap.tables.recovery import VERDICTS
    from k8scap.tables.retransmissions import retransmissions

    if protocol != "TCP" or not set(VERDICTS) <= set(mine.columns):
        return {}, set()
    table = retransmissions(mine)
    why = classes(table)
    numbers = zip(table["number"], why, table["waited_ms"], strict=True)
    repeats = {int(number): Repeat(str(reason), float(waited)) for number, reason, waited in numbers}
    gone = {name for name, style in STYLES.items() if style.lost}
    return repeats, {int(n) for n in table.loc[why.isin(gone), "repeats"].dropna()}


def _window(mine: pd.DataFrame, repeats: Iterable[int], *, around: int | None, most: int) -> pd.DataFrame:
    import numpy as np

    if len(mine) <= most:
        return mine
    wanted = around if around is not None else next(iter(repeats), mine.index[0])
    place = int(np.abs(mine.index.to_numpy() - wanted).argmin())
    begin = min(max(place - most // 3, 0), len(mine) - most)
    return mine.iloc[begin : begin + most]


def _places(x: Any) -> list[float]:
    """Where each packet stands, in rows from the top: waits to scale between one row and the longest step."""
    import numpy as np

    gaps = np.diff(x).clip(min=0)
    if not len(gaps):
        return [0.0]
    scale = max(float(np.quantile(gaps, 0.9)) / (LONGEST_STEP - 1), 1e-9)
    steps = np.clip(gaps / scale, 1.0, LONGEST_STEP)
    return [0.0, *(float(place) for place in np.cumsum(steps))]


def _bottom(places: list[float]) -> float:
    """Where the lifelines end: low enough for the axis' words beside them."""
    return max(places[-1] + 1, _FEWEST_ROWS)


def _ends(
    data: Any, mine: pd.DataFrame, *, together: bool
) -> tuple[dict[tuple[str, int | None], int], list[str]]:
    """Which lifeline each end is, and their names: the client left, a proxy between its two sides."""
    ends: dict[tuple[str, int | None], int] = {}
    names: list[str] = []
    for _, frames in mine.groupby("stream", observed=True, sort=False):
        opening = frames.iloc[0]
        order = ("dst", "src") if _answers(opening) else ("src", "dst")
        for end in order:
            key = _end(opening, end)
            alone = (key[0], None)
            if together and alone in ends:
                ends[key] = ends[alone]
            elif key not in ends:
                ends[key] = ends[alone] = len(names)
                port = "" if together else port_of(opening[f"{end}_port"])
                names.append(f"{who(data, opening, end)}{port}")
    return ends, names


def _answers(row: pd.Series) -> bool:
    """Whether a conversation's first frame is its server's: a SYN-ACK, or midstream the lower port's."""
    import pandas as pd

    flags = 0 if pd.isna(row["tcp_flags"]) else int(row["tcp_flags"])
    if flags & _SYN:
        return bool(flags & _ACK)
    ports = row["src_port"], row["dst_port"]
    return not any(pd.isna(port) for port in ports) and ports[0] < ports[1]


def _end(row: pd.Series, end: str) -> tuple[str, int | None]:
    import pandas as pd

    port = row[f"{end}_port"]
    return str(row[end]), None if pd.isna(port) else int(port)


def _lifelines(ax: Axes, names: list[str], places: list[float]) -> None:
    ax.vlines(range(len(names)), -1, _bottom(places), color="#999999", linewidth=1.4, zorder=1)
    ax.set_xlim(-0.04, max(len(names) - 1, 1) + 0.04)
    ax.set_ylim(_bottom(places), -1)
    ax.xaxis.tick_top()
    crowded = len(names) > 2
    heads = [f"{shortened(name, most=24)}\n" if crowded and n % 2 else name for n, name in enumerate(names)]
    ax.set_xticks(
        range(len(names)), heads, fontweight="bold", fontsize="small" if crowded else "medium", va="bottom"
    )
    ax.tick_params(axis="x", length=0)


def _arrow(
    ax: Axes,
    row: pd.Series,
    place: float,
    ends: dict[tuple[str, int | None], int],
    *,
    repeat: Repeat | None,
    lost: bool,
) -> None:
    source, target = ends.get(_end(row, "src"), 0), ends.get(_end(row, "dst"), 0)
    color = ALARM if repeat else COLORS[0]
    reached = source + (target - source) * (_FAR if lost else 1.0)
    style = {
        "arrowstyle": "-|>",
        "color": color,
        "linestyle": "--" if lost else "-",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.annotate("", (reached, place), (source, place), arrowprops=style, zorder=2)
    _label(ax, row, place, source, target, alone=max(ends.values()) < 2)
    if lost:
        ax.plot([reached], [place], "x", color=color, markersize=6, markeredgewidth=1.8, zorder=3)
    if closed(row):
        ax.plot([source], [place], "v", color="#000000", markersize=7, zorder=3)
    if words := remark(row, repeat, lost=lost):
        beside(ax, place, words)


def _label(ax: Axes, row: pd.Series, place: float, source: int, target: int, *, alone: bool) -> None:
    """What the packet is, over its arrow; of several conversations where it starts, to tell them apart."""
    onward = target >= source
    at, side = (source + (0.03 if onward else -0.03), "left" if onward else "right")
    if alone:
        at, side = (source + target) / 2, "center"
    ax.text(at, place - 0.06, said(row), ha=side, va="bottom", fontsize="x-small")


def _waits(ax: Axes, x: Any, places: list[float], lifelines: int) -> None:
    """How long each cut wait was, in its middle, over a break in the lifelines."""
    for n in range(1, len(places)):
        if places[n] - places[n - 1] >= LONGEST_STEP:
            middle = (places[n] + places[n - 1]) / 2
            words = f"… {milliseconds((x[n] - x[n - 1]) * 1000)} …"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            for lifeline in range(lifelines):
                ax.text(lifeline, middle, "≈", ha="center", va="center", color="#777777", bbox=box, zorder=2)
            centre = 0.5 if lifelines > 1 else 0.0
            ax.text(centre, middle, words, ha="center", va="center", color="#777777", fontsize="small")


def _axis(ax: Axes, x: pd.Series, places: list[float], start: pd.Timestamp) -> None:
    ax.set_yticks(places, [f"{at:.6f}" for at in x], fontsize="x-small")
    clock = f"{start:%H:%M:%S}.{start.microsecond // 1000:03d} UTC on {start:%Y-%m-%d}"
    ax.set_ylabel(f"seconds since {clock}")
    ax.spines[["bottom", "left"]].set_visible(False)


def _title(
    ax: Axes, mine: pd.DataFrame, shown: pd.DataFrame, names: list[str], repeats: dict[int, Repeat]
) -> None:
    lasted = (mine["time"].max() - mine["time"].min()).total_seconds()
    noun = "packet" if len(mine) == 1 else "packets"
    again = f", {len(repeats):,} sent again" if repeats else ""
    ends = " → ".join(names) if len(names) <= 2 else f"Between {len(names)} ends"
    words = f"{ends}: {len(mine):,} {noun} in {lasted:.3g} s{again}"
    if len(shown) < len(mine):
        place = int((mine["time"] < shown["time"].iloc[0]).sum()) + 1
        words += f"; here packets {place:,} to {place + len(shown) - 1:,}"
    headline(ax, words, width=72, pad=10)


def _explain(ax: Axes, shown: pd.DataFrame, repeats: dict[int, Repeat], lost: set[int]) -> None:
    here = {int(number) for number in shown.index}
    ax.plot([], [], color=COLORS[0], label="packet")
    if here & repeats.keys():
        ax.plot([], [], color=ALARM, label="sent again")
    if here & lost:
        ax.plot(
            [], [], color=COLORS[0], linestyle="--", marker="x", label="lost, for it was sent again later"
        )
    if any(closed(row) for _, row in shown.iterrows()):
        ax.plot([], [], "v", color="#000000", label="window closed")
