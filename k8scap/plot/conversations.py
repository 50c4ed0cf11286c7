"""Who talks to whom, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    COLORS,
    at_point,
    axes_or_new,
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
    widest = max(float(group["bytes"].sum()) for group in groups)
    for row, group in enumerate(groups):
        _bar(ax, row, group, widest=widest)
    ax.set_yticks(range(len(groups)), labels, fontsize="small")
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(0, max(_reach(group) for group in groups) or 1)
    ax.xaxis.set_major_formatter(lambda value, _: bytes_text(value))
    ax.set_xlabel("bytes on the wire")
    _title(ax, table)
    return tidy(ax)


def _title(ax: Axes, table: pd.DataFrame) -> None:
    """What the busiest point saw: several points see the same packets."""
    points = table.groupby("point", observed=True, dropna=False)["bytes"].agg(["size", "sum"])
    count, amount = points.sort_values("sum").iloc[-1]
    noun = "conversation" if count == 1 else "conversations"
    headline(ax, f"Who talks to whom: {int(count):,} {noun}, {bytes_text(float(amount))}")


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


def _reach(group: pd.DataFrame) -> float:
    """How far the axis must go for a bar and its words: a letter takes about a hundredth of it."""
    return float(group["bytes"].sum()) / (1 - min(0.02 + 0.0125 * len(_words(group)), 0.75))


def _words(group: pd.DataFrame) -> str:
    trouble = group["state"].astype("object").map(TROUBLE).dropna().value_counts()
    wrong = "".join(f", {count} {word}" for word, count in trouble.head(2).items())
    wrong += ", …" if len(trouble) > 2 else ""
    noun = "conversation" if len(group) == 1 else "conversations"
    return f"{bytes_text(float(group['bytes'].sum()))} in {len(group):,} {noun}{wrong}"


def _pair(data: Any, table: pd.DataFrame, first: pd.Series) -> str:
    target = f"{who(data, first, 'dst')}{port_of(first['dst_port'])}"
    return f"{who(data, first, 'src')} → {target} {first['protocol']}{at_point(table, first['point'])}"
