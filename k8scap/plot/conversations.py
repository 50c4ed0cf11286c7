"""Who talks to whom, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import COLORS, axes_or_new, bytes_text, name_of, port_of, say_empty, table_of, tidy
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 12
TROUBLE = {
    "S0": "unanswered",
    "REJ": "refused",
    "RSTO": "reset by client",
    "RSTR": "reset by server",
    "RSTOS0": "given up",
    "RSTRH": "reset",
}


def conversations(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the bytes between each client and each service, sent and received apart, the most on top.

    `data` is a capture or its `conversations`. Each bar says how many conversations it stands for, and how
    many of them went wrong. Raises SchemaError.
    """
    table = table_of(data, "conversations")
    needed = ("protocol", "src", "dst", "dst_port", "bytes_sent", "bytes_received", "bytes", "state")
    require(table, needed, what="plot.conversations")
    if table.empty:
        return say_empty(axes_or_new(ax), "Nobody talks to anybody in this capture.")
    pairs = table.groupby(["src", "dst", "dst_port", "protocol"], observed=True, dropna=False)
    order = pairs["bytes"].sum().sort_values(ascending=False)
    shown = order.index[:MOST]
    ax = axes_or_new(ax, height=1.7 + 0.42 * len(shown))
    groups = {key: table.loc[rows] for key, rows in pairs.groups.items()}
    for row, key in enumerate(shown):
        _bar(ax, row, groups[key], widest=float(order.iloc[0]))
    ax.set_yticks(range(len(shown)), [_pair(data, key) for key in shown], fontsize="small")
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(0, float(order.iloc[0]) * 1.45 or 1)
    ax.xaxis.set_major_formatter(lambda value, _: bytes_text(value))
    ax.set_xlabel("bytes on the wire")
    hidden = len(order) - len(shown)
    more = f"; {hidden} smaller pairs not shown" if hidden else ""
    ax.set_title(
        f"Who talks to whom: {len(table):,} conversations, {bytes_text(table['bytes'].sum())}{more}",
        loc="left",
    )
    return tidy(ax)


def _bar(ax: Axes, row: int, group: pd.DataFrame, *, widest: float) -> None:
    sent, received = float(group["bytes_sent"].sum()), float(group["bytes_received"].sum())
    first = row == 0
    ax.barh(row, sent, color=COLORS[0], height=0.62, label="from the client" if first else None)
    ax.barh(
        row, received, left=sent, color=COLORS[1], height=0.62, label="from the server" if first else None
    )
    ax.text(
        sent + received + widest * 0.012, row, _words(group), va="center", fontsize="small", color="#333333"
    )


def _words(group: pd.DataFrame) -> str:
    trouble = group["state"].astype("object").map(TROUBLE).dropna().value_counts()
    wrong = "".join(f", {count} {word}" for word, count in trouble.items())
    noun = "conversation" if len(group) == 1 else "conversations"
    return f"{bytes_text(group['bytes'].sum())} in {len(group)} {noun}{wrong}"


def _pair(data: Any, key: tuple[Any, ...]) -> str:
    src, dst, port, protocol = key
    return f"{name_of(data, src)} → {name_of(data, dst)}{port_of(port)} {protocol}"
