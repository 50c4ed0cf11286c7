"""The time-sequence diagram of one TCP connection, as tcptrace drew it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    RASTERIZE_FROM,
    axes_or_new,
    bars,
    bytes_text,
    headline,
    port_of,
    say_empty,
    table_of,
    tidy,
    time_axis,
    who,
)
from k8scap.plot.marks import mark_times
from k8scap.plot.repeats import classes, styled
from k8scap.plot.selectable import stands_for

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    from k8scap.tables.segments import Segments

    Bools = npt.NDArray[np.bool_]


def time_sequence(
    data: Any, *, stream: int | None = None, marks: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw the bytes of one connection's busier direction against time.

    A bar is a segment, from its first byte to its last; an orange-red one was sent before, and the mark on it
    says why. The step below is what the other side has acknowledged, the one above how far its window lets
    the sender go; where they meet, the receiver stops the sender, and where the window is closed the ground
    is grey. Light blue bars are selective ACKs (the first block of each).
    `data` is a capture or its packets; `stream` is a TCP stream number, None takes the connection with the
    most segments sent again, else with the most bytes. With several capture points it is the first that saw
    the connection. Raises SchemaError.
    """
    from k8scap.tables.segments import segments

    packets = table_of(data, "packets")
    found = segments(packets, what="plot.time_sequence")
    ax = axes_or_new(ax)
    flow = _flow(packets, found, stream)
    if flow is None:
        what = "No TCP connection with data" if stream is None else f"No data in TCP stream {stream}"
        return say_empty(ax, f"{what} is in this capture.")
    mine = found.take(found.flow == flow)
    return _draw(ax, data, packets, mine, marks=marks)


def _flow(packets: pd.DataFrame, found: Segments, stream: int | None) -> int | None:
    """The connection to draw; None where it has no data."""
    import numpy as np

    from k8scap.tables.assembly import integers

    wanted = found.payload > 0
    if stream is not None:
        wanted &= integers(packets["stream"])[found.row] == stream
    if not wanted.any():
        return None
    if stream is not None:
        return int(found.flow[wanted][0])
    again = np.bincount(found.flow[wanted & _again(found)], minlength=found.flows)
    carried = np.bincount(found.flow, weights=found.payload, minlength=found.flows)
    return int(np.argmax(again if again.any() else carried))


def _again(segments: Segments) -> Bools:
    """Segments that are events of the retransmissions table."""
    import numpy as np

    from k8scap.tables.coverage import coverage
    from k8scap.tables.recovery import events

    answer = np.zeros(len(segments), dtype=bool)
    answer[events(segments, coverage(segments))] = True
    return answer


def _draw(ax: Axes, data: Any, packets: pd.DataFrame, mine: Segments, *, marks: bool) -> Axes:
    import numpy as np

    side = mine.side - mine.side.min() // 2 * 2
    busier = int(np.argmax(np.bincount(side, weights=mine.payload, minlength=2)))
    connection = _from_zero(mine)
    again = _again(connection)
    sent = (side == busier) & (connection.end > connection.seq)
    x = (connection.time - connection.time.min()) / 1e9
    _answers(ax, connection, side != busier, x)
    _bars(ax, connection, x, fresh=sent & ~again, again=sent & again)
    _reasons(ax, packets, connection, x, again=sent & again)
    _stand_for(ax, packets, connection, x, sent=sent)
    first = packets.iloc[connection.row[np.flatnonzero(sent)[0]]]
    _words(ax, data, first, connection, sent=sent, again=again)
    start = packets["time"].iloc[connection.row[np.argmin(connection.time)]]
    if marks:
        mark_times(ax, data, start)
    time_axis(ax, start)
    return tidy(ax)


def _stand_for(
    ax: Axes, packets: pd.DataFrame, c: Segments, x: npt.NDArray[np.float64], *, sent: Bools
) -> None:
    """A segment lies at its bytes, an answer at what it acknowledges."""
    rows = packets[["point"]].iloc[c.row]
    stands_for(ax, rows[sent], x=x[sent], low=c.seq[sent], high=c.end[sent])
    stands_for(ax, rows[~sent], x=x[~sent], low=c.ack[~sent])


def _from_zero(mine: Segments) -> Segments:
    """One connection alone, as connection number 0."""
    from dataclasses import replace

    return replace(mine, flow=mine.flow * 0, side=mine.side % 2)


def _bars(ax: Axes, c: Segments, x: npt.NDArray[np.float64], *, fresh: Bools, again: Bools) -> None:
    many = len(c) > RASTERIZE_FROM
    for mask, color, width, label in (
        (fresh, COLORS[0], 1.6, "segments"),
        (again, ALARM, 3.0, "sent again"),
    ):
        if mask.any():
            bars(ax, x[mask], c.seq[mask], c.end[mask], color=color, linewidth=width, rasterized=many,
                 label=label, zorder=3)  # fmt: skip


def _reasons(
    ax: Axes, packets: pd.DataFrame, c: Segments, x: npt.NDArray[np.float64], *, again: Bools
) -> None:
    """Why each was sent again, as a mark: it is seen at any scale, where the bar is a dot."""
    import numpy as np
    import pandas as pd

    from k8scap.tables.recovery import VERDICTS
    from k8scap.tables.retransmissions import retransmissions

    place = np.flatnonzero(again)
    if not len(place) or not set(VERDICTS) <= set(packets.columns):
        return
    table = retransmissions(packets.iloc[np.sort(c.row)])
    why = pd.Series(classes(table).to_numpy(), index=table["number"])
    why = why[~why.index.duplicated()].reindex(c.number[place]).fillna("ambiguous")
    middle = (c.seq + c.end)[place] / 2
    for style, mine in styled(why):
        here = mine.to_numpy(dtype=bool)
        ax.scatter(
            x[place][here],
            middle[here],
            s=24,
            color=ALARM if style.lost else style.color,
            marker=style.marker,
            label=f"{style.words} ({here.sum():,})",
            zorder=4,
            rasterized=len(place) > RASTERIZE_FROM,
        )


def _answers(ax: Axes, c: Segments, back: Bools, x: npt.NDArray[np.float64]) -> None:
    """What the other side acknowledged, how far it let the sender go, when it was full."""
    import numpy as np

    from k8scap.tables.segments import ACK, RST, SYN

    acks = back & c.has(ACK) & ~c.has(RST)
    if not acks.any():
        return
    reached = np.maximum.accumulate(c.ack[acks])
    ax.step(x[acks], reached, where="post", color=COLORS[2], linewidth=1.2, label="acknowledged")
    scaled = acks & ~c.has(SYN) & (c.window >= 0)
    edge = np.maximum.accumulate((c.ack + c.window)[scaled])
    if scaled.any():
        above = " (above)" if edge.min() > _top(c, ~back) else ""
        label = f"window's end{above}"
        ax.step(x[scaled], edge, where="post", color=COLORS[3], linewidth=1.0, linestyle="--", label=label)
    blocks = back & (c.sack_left > -(2**62))
    if blocks.any():
        bars(ax, x[blocks], c.sack_left[blocks], c.sack_right[blocks], color=COLORS[4], linewidth=1.2,
             label="selective ACK", zorder=2)  # fmt: skip
    closed = scaled & (c.window == 0)
    if closed.any():
        _shut(ax, closed[scaled], x[scaled])
        ax.scatter(
            x[closed], c.ack[closed], marker="v", s=36, color="#000000", label="window closed", zorder=4
        )


def _shut(ax: Axes, closed: Bools, x: npt.NDArray[np.float64]) -> None:
    """Grey ground from each answer that closes the window to the next that opens it."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    edge = np.diff(closed.astype(np.int8), prepend=0, append=0)
    begun, over = np.flatnonzero(edge > 0), np.minimum(np.flatnonzero(edge < 0), len(x) - 1)
    spans = [[(a, 0), (a, 1), (b, 1), (b, 0)] for a, b in zip(x[begun], x[over], strict=True)]
    ground = PolyCollection(spans, color="#E4E4E4", transform=ax.get_xaxis_transform(), zorder=0)
    ax.add_collection(ground, autolim=False)


def _top(c: Segments, sent: Bools) -> int:
    """Where the axis ends: a quarter above the last byte, so that the window's end is seen if it is near."""
    low, high = int(c.seq[sent].min()), int(c.end[sent].max())
    return high + max((high - low) // 4, 1)


def _words(ax: Axes, data: Any, first: pd.Series, c: Segments, *, sent: Bools, again: Bools) -> None:
    busy = c.time[sent & (c.payload > 0)]
    lasted = (busy.max() - busy.min()) / 1e9
    source = f"{who(data, first, 'src')}{port_of(first['src_port'])}"
    target = f"{who(data, first, 'dst')}{port_of(first['dst_port'])}"
    repeats = int((sent & again).sum())
    said = f", {repeats:,} of {int(sent.sum()):,} segments sent again" if repeats else ""
    carried = bytes_text(int(c.payload[sent].sum()))
    headline(ax, f"{source} → {target}: {carried} in {lasted:.3g} s{said}")
    low, high = int(c.seq[sent].min()), _top(c, sent)
    ax.set_ylim(low - max((high - low) // 15, 1), high)
    ax.set_ylabel("sequence number (bytes, relative)")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
