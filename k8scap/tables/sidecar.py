"""Connections that a sidecar splits, stitched together: application ↔ proxy on `lo`, proxy ↔ peer outside.

A mesh redirects a pod's connections to a proxy in the pod (Envoy listens on 15001 and 15006, Linkerd's on
4140 and 4143; any port will do): the capture then shows two connections for one. On the way out the
application's comes first, on the way in the peer's. Which belong together is told by time, bytes and
addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.stitching import Pairs, loopback, stitch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.dialogues import Beginnings
    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]

ROLES = ("egress", "ingress", "unknown")

_NA, _NAN = "<NA>", "NaN"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("inner_stream", "Int32", "Wireshark's TCP stream number of the connection on lo"),
    Column("answer_stream", "Int32", "that of its answers, where a redirection makes two of it", absent=_NA),
    Column("outer_stream", "Int32", "that of the connection outside; absent: none was found", absent=_NA),
    Column("role", "category", "egress: the application began it; ingress: the peer did; or unknown"),
    Column("src", "category", "who began it: the application, or the peer"),
    Column("src_port", "Int32", "its port"),
    Column(
        "dst",
        "category",
        "original destination: the application's on lo where it shows, else that of the one outside",
    ),
    Column("dst_port", "Int32", "its port"),
    Column("inner_port", "Int32", "port on lo: the proxy's (egress) or the application's (ingress)"),
    Column("time", "datetime64[ns, UTC]", "first packet of the two"),
    Column("request_bytes", "int64", "payload on lo from who began it, every byte once", "bytes"),
    Column("response_bytes", "int64", "payload on lo toward who began it, every byte once", "bytes"),
    Column("exchanges", "int64", "requests answered on both, as many on the one as on the other; else 0"),
    Column(
        "whole_ms",
        "float64",
        "their think time on the near one: the application's, or the peer's",
        "ms",
        _NAN,
    ),
    Column(
        "beyond_ms", "float64", "their think time on the far one, and what connecting it took", "ms", _NAN
    ),
    Column("proxy_ms", "float64", "the difference: what the proxy took in all", "ms", _NAN),
    Column("proxy_median_ms", "float64", "the same, the median of its exchanges", "ms", _NAN),
    Column("confidence", "float64", "0 to 1: that the two belong together; 0 alone"),
)


def hops(packets: pd.DataFrame, *, beginnings: Beginnings | None = None) -> pd.DataFrame:
    """One row for each TCP connection on `lo`: `COLUMNS`, by point and stream.

    `beginnings` are those of `exchanges`. A connection for which no partner is found is left alone,
    with `outer_stream` absent; so the table counts them. Both interfaces must have been captured (`-i
    any`). Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.exchanges import exchanges
    from k8scap.tables.redirected import joined, on_loopback
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import COLUMNS_NEEDED

    require(packets, COLUMNS_NEEDED, what="hops")
    if not on_loopback(packets).any():
        packets = packets.iloc[:0]
    plain = joined(packets)
    replay = Replay(plain.packets)
    table = _table(replay, stitch(replay))
    if table["outer_stream"].notna().any():
        table = _with_times(table, exchanges(plain.packets, beginnings=beginnings, replay=replay))
    return _with_proxies(table, plain.proxies)


def _with_proxies(table: pd.DataFrame, proxies: pd.DataFrame) -> pd.DataFrame:
    """With the proxy's port, and the answers' own stream, where the kernel redirected the connection."""
    import pandas as pd

    keys = pd.MultiIndex.from_arrays([proxies["point"].astype("object"), proxies["stream"].astype("int64")])
    asked = pd.MultiIndex.from_arrays(
        [table["point"].astype("object"), table["inner_stream"].astype("int64")]
    )
    port, other = (
        pd.Series(proxies[name].to_numpy(dtype="int64"), index=keys).reindex(asked).to_numpy()
        for name in ("proxy_port", "other")
    )
    there = ~pd.isna(port)
    ports = table["inner_port"].where(~there, pd.Series(port, index=table.index).astype("Int32"))
    return table.assign(
        inner_port=ports.astype("Int32"),
        answer_stream=pd.Series(other, index=table.index).astype("Int32"),
    )[[column.name for column in COLUMNS]]


def _table(replay: Replay, pairs: Pairs) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import ABSENT, assemble

    found = replay.segments
    first = found.row[found.flow_start]
    ends = replay.ends.take(first).turned(~found.from_client[found.flow_start])
    alone = pairs.outer < 0
    outer = np.where(alone, pairs.inner, pairs.outer)
    near = np.where(pairs.ingress, outer, pairs.inner)  # who began it
    meant = np.where(pairs.ingress | loopback(replay)[ends.dst[pairs.inner]], outer, pairs.inner)
    inner, begun, far = (ends.take(flows).columns() for flows in (pairs.inner, near, meant))
    start = found.time[found.flow_start]
    stream = replay.stream[first]
    role = np.where(alone, ROLES.index("unknown"), np.where(pairs.ingress, 1, 0))
    nothing = np.full(len(outer), np.nan)
    values: dict[str, Any] = {
        "point": inner["point"],
        "inner_stream": stream[pairs.inner],
        "answer_stream": np.full(len(outer), ABSENT),
        "outer_stream": np.where(alone, ABSENT, stream[outer]),
        "role": pd.Categorical.from_codes(role, dtype=pd.CategoricalDtype(list(ROLES))),
        "src": begun["src"],
        "src_port": begun["src_port"],
        "dst": far["dst"],
        "dst_port": far["dst_port"],
        "inner_port": inner["dst_port"],
        "time": np.minimum(start[pairs.inner], start[outer]),
        "request_bytes": pairs.request_bytes,
        "response_bytes": pairs.response_bytes,
        "exchanges": np.zeros(len(outer), dtype=np.int64),
        **dict.fromkeys(("whole_ms", "beyond_ms", "proxy_ms", "proxy_median_ms"), nothing),
        "confidence": pairs.confidence,
    }
    order = np.lexsort((values["inner_stream"], inner["point"].codes))
    return assemble(COLUMNS, {name: value[order] for name, value in values.items()})


def _with_times(table: pd.DataFrame, exchanges: pd.DataFrame) -> pd.DataFrame:
    """The table with what its connections' exchanges took, the first of one with the first of the other."""
    each = _both(table, exchanges)
    by_row = each.groupby("row")
    sums = by_row[["whole", "beyond", "proxy"]].sum()
    told = {
        "exchanges": by_row.size().reindex(table.index, fill_value=0).astype("int64"),
        "whole_ms": sums["whole"].reindex(table.index),
        "beyond_ms": sums["beyond"].reindex(table.index),
        "proxy_ms": sums["proxy"].reindex(table.index),
        "proxy_median_ms": by_row["proxy"].median().reindex(table.index),
    }
    return table.assign(**told)


def _both(table: pd.DataFrame, exchanges: pd.DataFrame) -> pd.DataFrame:
    """A row an exchange that both connections of a row of `table` have: `row`, and the ms of its parts."""
    import numpy as np
    import pandas as pd

    asked = exchanges.assign(point=exchanges["point"].astype("object"))
    asked = asked.assign(nth=asked.groupby(["point", "stream"]).cumcount())
    asked = asked.assign(of=asked.groupby(["point", "stream"])["nth"].transform("size"))
    pairs = table[["point", "inner_stream", "outer_stream", "role"]].assign(row=table.index)
    pairs = pairs[pairs["outer_stream"].notna()].assign(point=pairs["point"].astype("object"))
    inner = pairs.merge(asked, left_on=["point", "inner_stream"], right_on=["point", "stream"])
    both = inner.merge(
        asked, left_on=["point", "outer_stream", "nth", "of"], right_on=["point", "stream", "nth", "of"],
        suffixes=("_inner", "_outer"),
    ).dropna(subset=["think_ms_inner", "think_ms_outer"])  # fmt: skip
    out = (both["role"] == "egress").to_numpy(dtype=bool)

    def near_far(name: str) -> tuple[pd.Series, pd.Series]:
        inner, outer = both[f"{name}_inner"], both[f"{name}_outer"]
        return inner.where(out, outer), outer.where(out, inner)

    whole, beyond = near_far("think_ms")
    asked_near, _ = near_far("request_end")
    _, begun_far = near_far("begin")
    parts = [near_far(name)[1].fillna(0.0) for name in ("syn_retry_ms", "connect_ms", "tls_ms")]
    opened = begun_far + pd.to_timedelta(np.add.reduce(parts), unit="ms")
    since = begun_far.where(begun_far > asked_near, asked_near)
    connecting = ((opened - since).dt.total_seconds() * 1000).clip(lower=0.0).where(both["nth"] == 0, 0.0)
    beyond = (beyond + connecting).clip(upper=whole)
    return pd.DataFrame({"row": both["row"], "whole": whole, "beyond": beyond, "proxy": whole - beyond})
