"""Who talks to whom, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    COLORS,
    arrow,
    at_point,
    axes_or_new,
    beside,
    bytes_text,
    end_columns,
    headline,
    port_of,
    say_empty,
    table_of,
    tidy,
    who,
)
from k8scap.schema import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 12
NEEDED = ("point", "protocol", "src", "dst", "dst_port", "bytes_sent", "bytes_received", "bytes", "state")
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
    many of them went wrong; the smallest pairs share the last bar. Raises SchemaError.
    """
    table = table_of(data, "conversations")
    require(table, NEEDED, what="plot.conversations")
    if table.empty:
        return say_empty(axes_or_new(ax), "Nobody talks to anybody in this capture.")
    keys = ["point", *end_columns(table, "src", "dst"), "dst_port", "protocol"]
    pair = table.groupby(keys, observed=True, dropna=False).ngroup()
    order = table.groupby(pair)["bytes"].sum().sort_values(ascending=False, kind="stable").index
    named = order[: MOST if len(order) <= MOST else MOST - 1]
    groups = [table[pair == number] for number in named]
    labels = [_pair(data, table, group.iloc[0]) for group in groups]
    if len(order) > len(named):
        groups.append(table[~pair.isin(named)])
        labels.append(f"{len(order) - len(named):,} smaller pairs")
    ax = axes_or_new(ax, height=1.7 + 0.42 * len(groups))
    for row, group in enumerate(groups):
        _bar(ax, row, group)
        beside(ax, row, _words(group))
    ax.set_yticks(range(len(groups)), labels, fontsize="small")
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(0, max(float(group["bytes"].sum()) for group in groups) * 1.02 or 1)
    ax.xaxis.set_major_formatter(lambda value, _: bytes_text(value))
    ax.set_xlabel("bytes on the wire")
    _title(ax, table)
    return tidy(ax, below=2)


def _title(ax: Axes, table: pd.DataFrame) -> None:
    """What the busiest point saw: several points see the same packets."""
    points = table.groupby("point", observed=True, dropna=False)["bytes"].agg(["size", "sum"])
    count, amount = points.sort_values("sum").iloc[-1]
    noun = "conversation" if count == 1 else "conversations"
    headline(ax, f"Who talks to whom: {int(count):,} {noun}, {bytes_text(float(amount))}", width=72)


def _bar(ax: Axes, row: int, group: pd.DataFrame) -> None:
    left = 0.0
    for column, color, label in (
        ("bytes_sent", COLORS[0], "from the client"),
        ("bytes_received", COLORS[1], "from the server"),
    ):
        width = float(group[column].sum())
        ax.barh(row, width, left=left, color=color, height=0.62, label=None if row else label)
        left += width


def _words(group: pd.DataFrame) -> str:
    trouble = group["state"].astype("object").map(TROUBLE).dropna().value_counts()
    wrong = "".join(f", {count} {word}" for word, count in trouble.head(2).items())
    wrong += ", …" if len(trouble) > 2 else ""
    noun = "conversation" if len(group) == 1 else "conversations"
    return f"{bytes_text(float(group['bytes'].sum()))} in {len(group):,} {noun}{wrong}"


def _pair(data: Any, table: pd.DataFrame, first: pd.Series) -> str:
    target = f"{who(data, first, 'dst')}{port_of(first['dst_port'])}"
    return arrow(who(data, first, "src"), f"{target} {first['protocol']}{at_point(table, first['point'])}")
