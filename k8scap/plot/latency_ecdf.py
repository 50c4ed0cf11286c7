"""Round trips as shares: how many were how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import axes_or_new, milliseconds, say_empty, table_of, tidy, wants_log
from k8scap.plot.latency import by_answerer
from k8scap.schema import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKED = (0.5, 0.95, 0.99)


def latency_ecdf(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the share of round trips (%) that took so long or less, one line for each end that answered.

    `data` is a capture or its `round_trips`. Lines mark 50, 95 and 99 %. Raises SchemaError.
    """
    table = table_of(data, "round_trips")
    require(table, ("dst", "dst_port", "kind", "rtt_ms"), what="plot.latency_ecdf")
    ax = axes_or_new(ax)
    if table.empty:
        return say_empty(ax, "No round trip was measured: no segment and its ACK are in this capture.")
    for label, color, part in by_answerer(data, table):
        values = part["rtt_ms"].sort_values().to_numpy()
        share = [100 * (i + 1) / len(values) for i in range(len(values))]
        ax.step(values, share, where="post", color=color, label=label, linewidth=1.8)
    for share_marked in MARKED:
        ax.axhline(100 * share_marked, color="#999999", linewidth=0.8, linestyle=":")
    ax.set_yticks([0, 25, 50, 75, 95])
    ax.text(
        1.0,
        99,
        "99 ",
        transform=ax.get_yaxis_transform(),
        ha="right",
        va="top",
        fontsize="x-small",
        color="#777777",
    )
    ax.set_ylim(0, 101)
    ax.set_ylabel("share of round trips (%)")
    log = wants_log(table["rtt_ms"])
    if log:
        ax.set_xscale("log")
    else:
        ax.set_xlim(left=0)
    ax.set_xlabel("took this long or less (ms, logarithmic)" if log else "took this long or less (ms)")
    median, p99 = table["rtt_ms"].quantile([0.5, 0.99])
    ax.set_title(
        f"Half of the round trips took {milliseconds(median)} or less, 99 % {milliseconds(p99)} or less",
        loc="left",
    )
    return tidy(ax)
