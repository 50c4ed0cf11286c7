"""What can be compared between captures, hosts or services: observations, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from k8scap.tables.estimates import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

Kind = Literal["time", "share", "rate"]
ATTEMPTS = ("S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0")
"""Zeek's states of the connections whose opening SYN was captured."""
RESET = ("RSTO", "RSTR")
FAILED_RCODES = (2, 5)
"""SERVFAIL and REFUSED; that a name does not exist (3) is an answer."""
LOST_DATA = ("rto", "fast", "tail_probe")
STRETCHES = 10
"""Into so many a capture's time is cut, to see how much a rate changes by itself (batch means)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """A capture's tables, as `Capture` has them, with names; `requests` where they were read."""

    packets: pd.DataFrame
    conversations: pd.DataFrame
    round_trips: pd.DataFrame
    retransmissions: pd.DataFrame
    exchanges: pd.DataFrame
    lookups: pd.DataFrame
    requests: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False)
class Observed:
    """One measure's observations, each from a row of `table`, whose `server` (src or dst) served."""

    name: str
    unit: str
    kind: Kind
    sample: Sample
    table: pd.DataFrame | None = None
    server: str = "dst"

    def whose(self, end: str, what: str) -> pd.Series | None:
        """By row, the `what` (name, port, workload …) of its `end`, server or client; None where unknown."""
        if self.table is None:
            return None
        side = self.server if end == "server" else {"dst": "src", "src": "dst"}[self.server]
        return self.table.get(f"{side}_{what}")


def observed(tables: Tables) -> list[Observed]:
    """Every measure, those without an observation too.

    Times: `server round trip` and `client round trip` (that half of the path), `connect time` (from the first
    SYN), `server wait` (the server's think time without the path), `DNS answer`. Shares: `lost segments` of
    those with data (repeated after a loss, not for nothing), `refused`, `unanswered` and `reset connections`
    of those attempted, `failed lookups` (no answer, SERVFAIL, REFUSED), `HTTP 5xx`. Rates: `conversations`
    begun and `throughput`. What hangs together is one cluster: a connection's samples, a name's lookups.
    """
    return [*_times(tables), *_shares(tables), *_rates(tables)]


def _times(tables: Tables) -> Iterator[Observed]:
    trips, tcp = tables.round_trips, _tcp(tables)
    for half in ("server", "client"):
        part = trips[trips["half"] == half]
        yield _time(f"{half} round trip", part, "rtt_ms", server="dst" if half == "server" else "src")
    yield _time("connect time", tcp, "connect_ms")
    yield _time("server wait", tables.exchanges, "server_ms")
    yield _time("DNS answer", tables.lookups, "response_ms", together=("src", "src_port", "query"))


def _time(
    name: str,
    table: pd.DataFrame,
    column: str,
    *,
    server: str = "dst",
    together: tuple[str, ...] = ("point", "stream"),
) -> Observed:
    import numpy as np

    known = table[table[column].notna()]
    values = known[column].to_numpy(dtype=np.float64)
    return _of(
        name, "ms", "time", known, values=values, totals=np.ones(len(known)), server=server, together=together
    )


def _shares(tables: Tables) -> Iterator[Observed]:
    import numpy as np

    yield _lost(tables)
    tried = _tcp(tables)
    tried = tried[tried["state"].isin(ATTEMPTS)]
    words = {"refused": ("REJ",), "unanswered": ("S0",), "reset": RESET}
    for word, states in words.items():
        values = tried["state"].isin(states).to_numpy(dtype=bool)
        yield _of(f"{word} connections", "%", "share", tried, values=values, totals=np.ones(len(tried)))
    asked = tables.lookups
    failed = ~asked["answered"].astype(bool) | asked["rcode"].isin(FAILED_RCODES)
    values = failed.to_numpy(dtype=bool)
    by_name = ("src", "src_port", "query")
    yield _of(
        "failed lookups", "%", "share", asked, values=values, totals=np.ones(len(asked)), together=by_name
    )
    if tables.requests is not None:
        told = tables.requests
        told = told[told["protocol"].astype("str").str.startswith("HTTP") & (told["status"] != "")]
        values = told["status"].astype("str").str.startswith("5").to_numpy(dtype=bool)
        yield _of("HTTP 5xx", "%", "share", told, values=values, totals=np.ones(len(told)))


def _lost(tables: Tables) -> Observed:
    """Of each connection its data segments, and how many of them were lost and sent again."""
    import numpy as np

    packets, again = tables.packets, tables.retransmissions
    carries = (packets["protocol"] == "TCP") & (packets["payload_length"] > 0).fillna(value=False)
    data = packets[["point", "stream"]][carries]  # two columns: the packets are a million
    lost = again[again["loss_class"].isin(LOST_DATA) & (again["payload_length"] > 0)]
    tcp = _tcp(tables)
    sent = _counted(data, tcp)
    tcp, repeated = tcp[sent > 0], _counted(lost, tcp)[sent > 0]
    sent = sent[sent > 0]
    return _of("lost segments", "%", "share", tcp, values=np.minimum(repeated, sent), totals=sent)


def _counted(rows: pd.DataFrame, conversations: pd.DataFrame) -> Floats:
    """How many of the rows each conversation has."""
    import numpy as np
    import pandas as pd

    def keys(points: pd.Series | pd.Index, streams: pd.Series | pd.Index) -> pd.MultiIndex:
        return pd.MultiIndex.from_arrays([points.astype("object"), streams.astype("int64")])

    sizes = rows.groupby(["point", "stream"], observed=True).size()
    counts = pd.Series(sizes.to_numpy(), index=keys(*(sizes.index.get_level_values(n) for n in (0, 1))))
    wanted = keys(conversations["point"], conversations["stream"])
    return counts.reindex(wanted, fill_value=0).to_numpy(dtype=np.float64)


def _rates(tables: Tables) -> Iterator[Observed]:
    import numpy as np
    import pandas as pd

    packets, begun = tables.packets, tables.conversations["start"]
    first, last = packets["time"].min(), packets["time"].max()
    seconds = (last - first).total_seconds() if len(packets) else 0.0
    stretches: npt.NDArray[np.int64] = np.arange(STRETCHES, dtype=np.int64)
    each = np.full(STRETCHES, seconds / STRETCHES)

    def rate(name: str, unit: str, times: pd.Series, weights: pd.Series | None = None) -> Observed:
        since = ((times - first) / pd.Timedelta(seconds=seconds) * STRETCHES).to_numpy(dtype=np.float64)
        place = since.clip(0, STRETCHES - 1).astype(np.int64)
        amounts = None if weights is None else weights.to_numpy(dtype=np.float64)
        sums = np.bincount(place, weights=amounts, minlength=STRETCHES).astype(np.float64)
        return Observed(name, unit, "rate", Sample(sums, each, stretches))

    if seconds > 0:
        yield rate("conversations", "1/s", begun)
        yield rate("throughput", "Mbit/s", packets["time"], packets["length"] * 8 / 1e6)


def _tcp(tables: Tables) -> pd.DataFrame:
    known = tables.conversations
    return known[(known["protocol"] == "TCP") & known["stream"].notna()]


def _of(
    name: str,
    unit: str,
    kind: Kind,
    table: pd.DataFrame,
    *,
    values: npt.NDArray[np.floating[Any]] | npt.NDArray[np.bool_],
    totals: Floats,
    server: str = "dst",
    together: tuple[str, ...] = ("point", "stream"),
) -> Observed:
    import numpy as np

    numbers = table.groupby(list(together), dropna=False, sort=False, observed=True).ngroup()
    cluster: npt.NDArray[np.int64] = np.asarray(numbers, dtype=np.int64)
    sample = Sample(values.astype(np.float64), totals, cluster)
    return Observed(name, unit, kind, sample, table, server)
