"""How long each request waited for its server alone, by what it asked for: a path, a statement, a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8scap.findings.http_errors import pattern

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

HTTP = ("HTTP/1", "HTTP/2", "gRPC")
SQL = ("PostgreSQL", "MySQL")
_MULTIPLEXED = ("HTTP/2", "gRPC", "MongoDB")
_PROTOCOLS = {*HTTP, *SQL, "Redis", "MongoDB"}
_KEY_VARIABLE = re.compile(r"(?<![^:/._ -])(?:\d+|[0-9a-fA-F-]{8,})(?![^:/._ -])")
_ON_PURPOSE = {
    ("Redis", command)
    for command in (
        *("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"),
        *("XREAD", "XREADGROUP", "WAIT", "WAITAOF", "SUBSCRIBE", "PSUBSCRIBE", "MONITOR", "PSYNC"),
    )
} | {("MongoDB", command) for command in ("hello", "isMaster", "ismaster", "getMore")}
"""Commands that are answered when there is news: Redis' blocking ones, MongoDB's awaitable ones."""
_OF_REQUEST = ("stream", "protocol", "src", "dst", "dst_port", "time", "number", "response", "latency_ms",
               "method", "target", "host", "status")  # fmt: skip
_OF_PACKET = ("time", "point", "protocol", "stream", "src", "src_port", "dst", "dst_port", "payload_length")
_OF_EXCHANGE = ("stream", "response_frame", "request_end", "response_start", "server_ms", "path_ms")


def endpoint_waits(case: Case) -> pd.DataFrame:
    """The answered requests whose server's part of the wait is known, in capture order.

    Columns of the requests table, and `endpoint` (`GET /orders/{…}`), `wait_start` and `wait_end` (times),
    `wait_ms` (the server's part, float64), `rtt_ms` (the path's, float64) and `exchange` (its row of the
    exchanges table, int64; -1 on a connection that multiplexes).

    On connections that take turns only requests that are an exchange of their own: where several were sent at
    once nobody knows which of them was slow. On those that multiplex a request ends with its sender's last
    payload before the next request, and one during which something was lost is left out. So is what waits on
    purpose, gRPC's streams that go on (no status yet), and the near side of a sidecar's proxy.
    """
    import pandas as pd

    rows = _named(case)
    asked = case.exchanges[list(_OF_EXCHANGE)].rename_axis("exchange").reset_index()
    asked = asked.rename(columns={"response_frame": "response", "request_end": "wait_start"})
    asked = asked.rename(columns={"response_start": "wait_end", "server_ms": "wait_ms", "path_ms": "rtt_ms"})
    asked = asked.dropna(subset=["response"]).astype({"stream": "int64", "response": "int64"})
    alone = rows[~rows.duplicated(["stream", "response"], keep=False)].merge(asked, on=["stream", "response"])
    at_once = rows[rows["protocol"].isin(_MULTIPLEXED) & ~rows["stream"].isin(asked["stream"])]
    parts = [part for part in (alone, _multiplexed(case, at_once)) if len(part)]
    table = pd.concat(parts) if parts else alone
    return table.dropna(subset=["wait_ms"]).sort_values("number", kind="stable", ignore_index=True)


def _named(case: Case) -> pd.DataFrame:
    """The answered requests of protocols with endpoints, with `endpoint`."""
    rows = case.requests
    rows = rows[rows["response"].notna() & rows["stream"].notna() & rows["protocol"].isin(_PROTOCOLS)]
    rows = rows[[*_OF_REQUEST, *(name for name in ("dst_name",) if name in rows)]]
    rows = rows.astype({"src": "object", "dst": "object", "stream": "int64", "response": "int64"})
    words = list(zip(rows["protocol"], rows["method"], rows["target"], strict=True))
    kinds = {said: endpoint(*said) for said in set(words)}
    rows = rows.assign(endpoint=[kinds[said] for said in words])
    on_purpose = [(protocol, method) in _ON_PURPOSE for protocol, method, _ in words]
    streaming = (rows["protocol"] == "gRPC") & (rows["status"] == "")
    left_out = rows.index.isin(rows.index[on_purpose]) | rows["stream"].isin(case.behind_proxies)
    return rows[~left_out & ~streaming]


def endpoint(protocol: str, method: str, target: str) -> str:
    """What requests of one kind have in common: `GET /orders/{…}`, `SELECT … id = ?`, `HGETALL cart:{…}`.

    SQL comes with its literals masked, of Redis' arguments only the key does.
    """
    if protocol in SQL:
        return target or method
    words = pattern(target) if protocol in HTTP else _KEY_VARIABLE.sub("{…}", target)
    return f"{method} {words}".strip()


def _multiplexed(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """Requests that others may overtake, with what of their latency is not the path's."""
    import numpy as np
    import pandas as pd

    if rows.empty:
        return rows
    times = case.packets["time"]
    end = pd.DatetimeIndex(times.reindex(rows["response"].to_numpy()))
    begin = _ends(case, rows)
    paths = case.tcp_conversations.set_index("stream")["handshake_rtt_ms"]
    rtt = rows["stream"].map(paths).fillna(0.0).to_numpy(dtype=np.float64)
    waited = (end - begin).total_seconds().to_numpy() * 1000.0 - rtt
    rows = rows.assign(
        wait_start=begin, wait_end=end, wait_ms=np.maximum(waited, 0.0), rtt_ms=rtt, exchange=-1
    )
    return rows[~_suffered(case, rows)]


def _ends(case: Case, rows: pd.DataFrame) -> pd.DatetimeIndex:
    """When each request's sender had sent the last of it."""
    import numpy as np
    import pandas as pd

    from k8scap.tables.request_times import Places, latencies

    asked_on = case.packets["stream"].isin(rows["stream"]) & (case.packets["protocol"] == "TCP")
    places = Places(case.packets.loc[asked_on, list(_OF_PACKET)])
    points = [case.point] * len(rows)
    asked, answered = (places.of(points, rows[name].tolist()) for name in ("number", "response"))
    spans = latencies(places, asked, answered, direct=np.zeros(len(rows), dtype=bool))
    return pd.DatetimeIndex(pd.to_datetime(places.time[answered] - spans, utc=True))


def _suffered(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Something was sent again on its connection while a request was under way."""
    import pandas as pd

    events = case.retransmissions[["time", "stream"]].astype({"stream": "int64"}).sort_values("time")
    asked = rows[["time", "stream", "wait_end"]].assign(row=rows.index).sort_values("time", kind="stable")
    first = pd.merge_asof(
        asked, events.assign(again=events["time"]), on="time", by="stream", direction="forward"
    )
    return pd.Series(rows.index.isin(first.loc[first["again"] <= first["wait_end"], "row"]), index=rows.index)
