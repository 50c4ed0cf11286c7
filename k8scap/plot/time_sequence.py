"""The time-sequence diagram of one TCP connection, as tcptrace drew it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    RASTERIZE_FROM,
    axes_or_new,
    bytes_text,
    name_of,
    port_of,
    say_empty,
    seconds_since,
    table_of,
    tidy,
    time_axis,
)
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NEEDED = (
    "time", "point", "protocol", "stream", "src", "dst", "src_port", "dst_port", "seq", "ack", "window",
    "payload_length", "sack_left", "sack_right", "zero_window",
    "retransmission", "fast_retransmission", "spurious_retransmission",
)  # fmt: skip


def time_sequence(data: Any, *, stream: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw the bytes of one connection's busier direction against time.

    A bar is a segment, from its first byte to its last; an orange-red one was sent before. The step below is
    what the other side has acknowledged, the one above how far its window lets the sender go; where they
    meet, the receiver stops the sender. Light blue bars are selective ACKs. `data` is a capture or its
    packets; `stream` None takes the connection with the most retransmitted segments, else with the most
    bytes.
    Raises SchemaError.
    """
    packets = table_of(data, "packets")
    require(packets, NEEDED, what="plot.time_sequence")
    tcp = packets[packets["protocol"] == "TCP"]
    chosen = _most_telling(data, tcp) if stream is None else stream
    mine = tcp[(tcp["stream"] == chosen).fillna(value=False)] if chosen is not None else tcp.iloc[:0]
    if not mine.empty:
        mine = mine[mine["point"] == mine["point"].iloc[0]]
    ax = axes_or_new(ax)
    sent = _busier_direction(mine)
    if sent.empty:
        what = "No TCP connection with data" if stream is None else f"No data in TCP stream {stream}"
        return say_empty(ax, f"{what} is in this capture.")
    first = sent.iloc[0]
    back = mine[(mine["src"] == first["dst"]) & (mine["src_port"] == first["dst_port"])]
    start = mine["time"].min()
    _acknowledgments(ax, back, start)
    again = _segments(ax, sent, start, _repeated(data, sent))
    _marks(ax, back, start)
    _title(ax, data, sent, first, again)
    time_axis(ax, start)
    return tidy(ax)


def _most_telling(data: Any, tcp: pd.DataFrame) -> int | None:
    events = getattr(data, "retransmissions", None)
    with_data = tcp[(tcp["payload_length"] > 0).fillna(value=False)]
    if events is not None and len(events):
        return int(events["stream"].mode().iloc[0])
    if with_data.empty:
        return None
    return int(with_data.groupby("stream")["payload_length"].sum().sort_values().index[-1])


def _busier_direction(mine: pd.DataFrame) -> pd.DataFrame:
    """The segments with data of the side that sent more."""
    with_data = mine[(mine["payload_length"] > 0).fillna(value=False)]
    if with_data.empty:
        return with_data
    side = with_data.groupby(["src", "src_port"], observed=True).ngroup()
    busier = with_data["payload_length"].groupby(side).sum().sort_values().index[-1]
    sent: pd.DataFrame = with_data.loc[side == busier]
    return sent


def _repeated(data: Any, sent: pd.DataFrame) -> pd.Series:
    """Which segments were sent before: by the capture's own events, else by Wireshark's verdict."""
    events = getattr(data, "retransmissions", None)
    if events is None:
        return sent["retransmission"] | sent["fast_retransmission"] | sent["spurious_retransmission"]
    import pandas as pd

    there = events.loc[events["point"].astype("object") == sent["point"].astype("object").iloc[0], "number"]
    return pd.Series(sent.index.isin(there), index=sent.index)


def _segments(ax: Axes, sent: pd.DataFrame, start: pd.Timestamp, again: pd.Series) -> int:
    x, low = seconds_since(sent["time"], start), sent["seq"].astype("int64")
    high = low + sent["payload_length"].astype("int64")
    many = len(sent) > RASTERIZE_FROM
    for mask, color, width, label in (
        (~again, COLORS[0], 1.6, "segments"),
        (again, ALARM, 3.0, "sent again"),
    ):
        if mask.any():
            ax.vlines(
                x[mask],
                low[mask],
                high[mask],
                color=color,
                linewidth=width,
                rasterized=many,
                label=label,
                zorder=3,
            )
    # a segment is a dot of a large transfer: what was sent again gets a mark that is seen at any scale
    ax.scatter(x[again], (low + high)[again] / 2, s=20, color=ALARM, zorder=4, rasterized=many)
    return int(again.sum())


def _acknowledgments(ax: Axes, back: pd.DataFrame, start: pd.Timestamp) -> None:
    acks = back[back["ack"].notna()]
    if acks.empty:
        return
    x, ack = seconds_since(acks["time"], start), acks["ack"].astype("int64")
    ax.step(x, ack, where="post", color=COLORS[2], linewidth=1.2, label="acknowledged")
    edge = (ack + acks["window"].astype("int64")).cummax()
    ax.step(x, edge, where="post", color=COLORS[3], linewidth=1.0, linestyle="--", label="window's end")


def _marks(ax: Axes, back: pd.DataFrame, start: pd.Timestamp) -> None:
    blocks = back[back["sack_left"].notna() & back["sack_right"].notna()]
    if len(blocks):
        ax.vlines(
            seconds_since(blocks["time"], start),
            blocks["sack_left"].astype("int64"),
            blocks["sack_right"].astype("int64"),
            color=COLORS[4],
            linewidth=1.2,
            label="selective ACK",
            zorder=2,
        )
    closed = back[back["zero_window"]]
    if len(closed):
        ax.scatter(
            seconds_since(closed["time"], start), closed["ack"].astype("int64"),
            marker="v", s=36, color="#000000", label="window closed", zorder=4,
        )  # fmt: skip


def _title(ax: Axes, data: Any, sent: pd.DataFrame, first: pd.Series, again: int) -> None:
    lasted = (sent["time"].max() - sent["time"].min()).total_seconds()
    who = f"{name_of(data, first['src'])}{port_of(first['src_port'])} → "
    who += f"{name_of(data, first['dst'])}{port_of(first['dst_port'])}"
    carried = bytes_text(int(sent["payload_length"].sum()))
    repeats = f", {again:,} of {len(sent):,} segments sent again" if again else ""
    ax.set_title(f"{who}: {carried} in {lasted:.3g} s{repeats}", loc="left")
    low = sent["seq"].astype("int64")
    high = low + sent["payload_length"].astype("int64")
    margin = max(int(high.max() - low.min()) // 12, 1)
    ax.set_ylim(low.min() - margin, high.max() + 3 * margin)
    ax.set_ylabel("sequence number (bytes, relative)")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
