"""Who calls whom, an edge a pair of workloads, services or addresses: how much, how fast, how well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import literal
from k8scap.plot.conversations import TROUBLE
from k8scap.tables.naming import TIMES

if TYPE_CHECKING:
    import pandas as pd

BAD_LOSS, BAD_FAILED = 0.01, 0.05
"""From this share of packets sent again, or of conversations that failed, an edge is bad: at 1 % loss a TCP
connection's throughput is a fraction of the path's, and one failure in twenty is seen by people."""
MANY = 3
"""Fewer repeats are no rate: one among a few packets would be a third of them."""
MOST = 30
_WORST = 10
"""Edges that are drawn for being bad, where there are more than `MOST`; the others for their bytes."""
_PORTS_SAID = 2


@dataclass(frozen=True)
class Edge:
    """A pair that talks; `latency_ms` is NaN where nothing was measured, `answers` whether by exchanges."""

    source: str
    target: str
    ports: tuple[int, ...]
    conversations: int
    failed: int
    bytes: int
    packets: int
    again: int
    latency_ms: float
    answers: bool
    exchanges: int

    @property
    def loss(self) -> float:
        """The share of packets that were sent again."""
        return self.again / max(self.packets, 1)

    @property
    def badness(self) -> int:
        """2 bad, 1 something was lost or failed, 0 clean."""
        if (self.loss >= BAD_LOSS and self.again >= MANY) or self.failed >= max(
            BAD_FAILED * self.conversations, 1
        ):
            return 2
        return int(self.again > 0 or self.failed > 0)


def service_edges(data: Any, conversations: pd.DataFrame, exchanges: pd.DataFrame | None) -> list[Edge]:
    """The edges of a conversations table, the busiest first.

    Where several capture points saw a pair, the one that saw most of it counts. Latency is the median of
    the exchanges' think times, or of the handshakes' round trips where there are no exchanges.
    """
    import pandas as pd

    table = _with_ends(data, conversations)
    asked = None if exchanges is None or exchanges.empty else _with_ends(data, exchanges)
    waits = {} if asked is None else _waits(asked)
    table["failed"] = _failed(table)
    keys = ["_source", "_target", "point"]
    sums = table.groupby(keys, observed=True, dropna=False, sort=False).agg(
        conversations=("bytes", "size"),
        failed=("failed", "sum"),
        bytes=("bytes", "sum"),
        packets=("packets", "sum"),
        again=("retransmissions", "sum"),
        handshake=("handshake_rtt_ms", "median"),
        ports=("dst_port", _ports),
    )
    seen = sums.reset_index().sort_values("bytes", ascending=False, kind="stable")
    edges = []
    for row in seen.drop_duplicates(["_source", "_target"]).to_dict("records"):
        count, wait = waits.get((row["_source"], row["_target"], row["point"]), (0, float("nan")))
        answers = pd.notna(wait)
        edges.append(
            Edge(
                *(row["_source"], row["_target"], row["ports"]),
                *(int(row["conversations"]), int(row["failed"]), int(row["bytes"])),
                *(int(row["packets"]), int(row["again"])),
                latency_ms=float(wait if answers else row["handshake"]),
                answers=bool(answers),
                exchanges=count,
            )
        )
    return edges


def chosen(edges: list[Edge]) -> list[Edge]:
    """Those to draw: all, or the busiest and then the worst of the others."""
    if len(edges) <= MOST:
        return edges
    busiest, rest = edges[: MOST - _WORST], edges[MOST - _WORST :]
    return busiest + sorted(rest, key=lambda edge: -edge.badness)[:_WORST]


def _failed(table: pd.DataFrame) -> pd.Series:
    """Of a datagram nobody need answer: only DNS and the like are missed, which is another table's word."""
    failed: pd.Series = table["state"].astype("object").isin(TROUBLE) & (table["protocol"] == "TCP")
    return failed


def _waits(exchanges: pd.DataFrame) -> dict[tuple[Any, ...], tuple[int, float]]:
    grouped = exchanges.groupby(["_source", "_target", "point"], observed=True, dropna=False)["think_ms"]
    found = grouped.agg(["size", "median"])
    return {
        tuple(key): (int(size), float(median))
        for key, size, median in zip(found.index, found["size"], found["median"], strict=True)
    }


def _with_ends(data: Any, table: pd.DataFrame) -> pd.DataFrame:
    """The table with `_source` and `_target`: the workload, else the name, else the address."""
    return table.assign(_source=_node(data, table, "src"), _target=_node(data, table, "dst"))


def _node(data: Any, table: pd.DataFrame, end: str) -> pd.Series:
    names, column = getattr(data, "names", None), f"{end}_name"
    if names is not None and hasattr(names, "column"):
        times = next((table[time] for time in TIMES if time in table), None)
        name = names.column(table[end], times).astype("object")
    else:
        name = table[column if column in table else end].astype("object")
    name = name.where(name.notna() & (name != ""), table[end].astype("object")).fillna("no address")
    if f"{end}_workload" in table:
        workload = table[f"{end}_workload"].astype("object")
        name = workload.where(workload.notna() & (workload != ""), name)
    node: pd.Series = name.astype(str).map(literal)
    return node


def _ports(ports: pd.Series) -> tuple[int, ...]:
    """The most used first."""
    return tuple(int(port) for port in ports.dropna().value_counts().index)


def ports_text(edge: Edge) -> str:
    """`:80`, `:80, :443`, `:80, :443, …`."""
    said = [f":{port}" for port in edge.ports[:_PORTS_SAID]]
    return ", ".join([*said, "…"] if len(edge.ports) > _PORTS_SAID else said)
