"""How long each table takes on made-up uploads: python benchmarks/tables.py [PACKETS] [CONNECTIONS]."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from k8scap.schema import PACKETS

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT = 1448


def made_up(packets: int, connections: int) -> pd.DataFrame:
    """Uploads of full segments, each second one acknowledged, 1 % sent again 200 ms later."""
    rng = np.random.default_rng(1)
    each = max(packets // connections, 6)
    parts = [_connection(stream, each, rng) for stream in range(connections)]
    table = pd.concat(parts, ignore_index=True).sort_values("time", kind="stable", ignore_index=True)
    table.index = pd.RangeIndex(1, len(table) + 1, name="number")
    for column in PACKETS:
        if column.name == "number":
            continue
        if column.name not in table:
            table[column.name] = False if column.dtype == "bool" else pd.NA
        table[column.name] = _typed(table[column.name], column.dtype)
    return table


def _typed(values: pd.Series, dtype: str) -> pd.Series:
    if dtype == "float64":
        return values.astype("Float64").astype("float64")
    return values.astype(dtype)


def _connection(stream: int, size: int, rng: np.random.Generator) -> pd.DataFrame:
    ack = np.arange(size) % 3 == 2
    again = ~ack & (rng.random(size) < 0.01)
    fresh = np.cumsum(~ack & ~again)
    seq = 1 + SEGMENT * (np.maximum(fresh, 1) - 1)
    seq = np.where(again, np.maximum(seq - 20 * SEGMENT, 1), seq)
    time_ns = 1_700_000_000_000_000_000 + stream * 997 + np.arange(size) * 1_000_000
    top = 1 + SEGMENT * fresh
    return pd.DataFrame(
        {
            "time": pd.to_datetime(time_ns, utc=True),
            "point": "bench",
            "protocol": "TCP",
            "src": np.where(ack, "198.18.0.2", "198.18.0.1"),
            "dst": np.where(ack, "198.18.0.1", "198.18.0.2"),
            "src_port": np.where(ack, 80, 10_000 + stream % 50_000),
            "dst_port": np.where(ack, 10_000 + stream % 50_000, 80),
            "stream": stream,
            "length": np.where(ack, 66, 66 + SEGMENT),
            "captured_length": np.where(ack, 66, 66 + SEGMENT),
            "tcp_flags": 0x10,
            "seq": np.where(ack, 1, seq),
            "ack": np.where(ack, top, 1),
            "seq_raw": np.where(ack, 1, seq + 4_000_000_000) % 2**32,
            "ack_raw": np.where(ack, top + 4_000_000_000, 1) % 2**32,
            "window": 65_535,
            "payload_length": np.where(ack, 0, SEGMENT),
            "ip_id": np.arange(size) % 65_536,
            "tsval": np.arange(size),
            "tsecr": np.arange(size),
        }
    )


def _measure(name: str, table: Callable[[], Any]) -> None:
    begin = time.process_time()
    result = table()
    seconds = time.process_time() - begin
    rows = f"{len(result):>10,} rows" if isinstance(result, pd.DataFrame) else ""
    print(f"{name:<20} {seconds:7.2f} s of CPU {rows}")


def main() -> None:
    from k8scap.tables.conversations import conversations
    from k8scap.tables.exchanges import exchanges
    from k8scap.tables.quality import quality
    from k8scap.tables.retransmissions import retransmissions
    from k8scap.tables.round_trips import round_trips
    from k8scap.tables.throughput import throughput

    packets = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    frames = made_up(packets, connections)
    print(f"{len(frames):,} packets, {connections:,} connections")
    _measure("conversations", lambda: conversations(frames))
    _measure("round_trips", lambda: round_trips(frames))
    _measure("retransmissions", lambda: retransmissions(frames))
    _measure("exchanges", lambda: exchanges(frames))
    _measure("throughput 1ms", lambda: throughput(frames, interval="1ms"))
    _measure("quality", lambda: quality(frames, manifests=(), cut_off=False))


if __name__ == "__main__":
    main()
