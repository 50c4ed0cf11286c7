"""Tables of traffic that never was: as many connections as wanted, with delays and losses that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from k8scap.tables.observations import Tables

START = pd.Timestamp("2026-01-02T03:04:05Z")
SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """What the traffic of one pod is like: ms in the median, shares of all."""

    path: float = 2.0
    think: float = 10.0
    loss: float = 0.01
    refused: float = 0.02
    errors: float = 0.03
    rate: float = 1.0  # connections a second


def traffic(rng: np.random.Generator, pods: dict[str, Kind] | None = None, **told: float) -> Tables:
    """A minute of connections from one client to pods; those of a pod are alike but for chance."""
    each = pods or {"shop/web-1": replace(Kind(), **told)}
    connections = pd.concat([_connections(rng, name, kind) for name, kind in each.items()])
    connections = connections.reset_index(drop=True)
    connections["stream"] = pd.array(np.arange(len(connections)), dtype="Int32")
    exchanges = _repeated(rng, connections[connections["state"] == "SF"], 2, 8)
    exchanges["server_ms"] = exchanges["think"] * rng.lognormal(0, 0.4, len(exchanges))
    trips = _repeated(rng, connections, 2, 12)
    trips["rtt_ms"] = trips["path"] * rng.lognormal(0, 0.2, len(trips))
    trips["half"] = "server"
    packets = _repeated(rng, connections, 10, 40).assign(protocol="TCP", payload_length=1000, length=1066)
    lost = packets[rng.random(len(packets)) < packets["loss"]].assign(loss_class="fast")
    requests = exchanges.assign(protocol="HTTP/1", status="200")
    requests.loc[rng.random(len(requests)) < requests["errors"], "status"] = "503"
    return Tables(
        packets=packets,
        conversations=connections,
        round_trips=trips,
        retransmissions=lost,
        exchanges=exchanges,
        lookups=_lookups(rng),
        requests=requests,
    )


def _connections(rng: np.random.Generator, name: str, kind: Kind) -> pd.DataFrame:
    """Their paths and think times differ by themselves, as those of connections do."""
    count = max(2, int(rng.poisson(kind.rate * SECONDS)))
    own = rng.normal(0, 0.2, (2, count))
    times = START + pd.to_timedelta(np.sort(rng.random(count)) * SECONDS, unit="s")
    path = kind.path * np.exp(own[0])
    return pd.DataFrame(
        {
            "point": "here",
            "protocol": "TCP",
            "src": "198.18.0.1",
            "src_name": "shop/client",
            "dst": name,
            "dst_name": name,
            "dst_port": pd.array([8080] * count, dtype="Int32"),
            "dst_node": kind_node(name),
            "start": times,
            "time": times,
            "state": np.where(rng.random(count) < kind.refused, "REJ", "SF"),
            "connect_ms": path * rng.lognormal(0, 0.2, count),
            "path": path,
            "think": kind.think * np.exp(own[1]),
            "loss": kind.loss,
            "errors": kind.errors,
        }
    )


def kind_node(name: str) -> str:
    """Two pods share a node."""
    return f"node-{int(name.rpartition('-')[2]) // 2}"


def _repeated(rng: np.random.Generator, rows: pd.DataFrame, low: int, high: int) -> pd.DataFrame:
    """Each row some times, at later times."""
    many = rows.loc[rows.index.repeat(rng.integers(low, high, len(rows)))].reset_index(drop=True)
    many["time"] += pd.to_timedelta(rng.random(len(many)), unit="s")
    return many


def _lookups(rng: np.random.Generator) -> pd.DataFrame:
    count = 60
    return pd.DataFrame(
        {
            "src": "198.18.0.1",
            "src_port": rng.integers(30_000, 60_000, count),
            "dst": "198.18.0.53",
            "dst_port": 53,
            "query": "redis.shop.svc.cluster.local",
            "answered": rng.random(count) > 0.05,
            "rcode": pd.array([0] * count, dtype="Int16"),
            "response_ms": rng.lognormal(0, 0.5, count),
        }
    )
