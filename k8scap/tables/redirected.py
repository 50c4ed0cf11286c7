"""Connections on `lo` whose two directions bear different addresses, as the kernel redirects one of them.

With iptables' REDIRECT what the application sends is seen with the proxy's address (127.0.0.1:15001), and
what the proxy answers with that of the original destination: Wireshark, which knows no NAT, numbers two
streams, each of one direction. Joined, they are the connection that the application means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

LOOPBACK = "lo"
STARTED_WITHIN = "1s"
"""Between the first packets of the two directions: microseconds, on a busy host more."""
SYN = 0x02
_END = ["point", "address", "port"]
_PAIR = ["point", "stream", "other", "dst", "dst_port", "proxy", "proxy_port"]


@dataclass(frozen=True, eq=False)
class Redirected:
    """A packets table with such connections joined, under the stream number of the side that began.

    `proxies` has a row for each: point, stream, proxy (address), proxy_port, other (the answers' own stream).
    """

    packets: pd.DataFrame
    proxies: pd.DataFrame


def joined(packets: pd.DataFrame) -> Redirected:
    """The packets with redirected connections joined: their `dst`, `dst_port`, `stream` and `interface`.

    The same table, untouched, where there are none. Rows stay in their places.
    """
    import numpy as np

    pairs = _pairs(packets)
    if pairs.empty:
        return Redirected(packets, pairs[["point", "stream", "proxy", "proxy_port", "other"]])
    of = packets.loc[:, ["point", "stream"]].astype({"point": "object"}).reset_index(drop=True)
    tcp = (packets["protocol"] == "TCP").to_numpy(dtype=bool)
    forth = of.merge(pairs, on=["point", "stream"], how="left")
    mine = pairs.rename(columns={"stream": "mine", "other": "stream"})
    back = of.merge(mine, on=["point", "stream"], how="left")
    asks = tcp & forth["dst"].notna().to_numpy()
    answers = tcp & back["mine"].notna().to_numpy()
    table = packets.copy()
    if "interface" not in table or str(table["interface"].dtype) != "category":
        table["interface"] = table.get("interface", np.nan)
        table["interface"] = table["interface"].astype("category")
    if LOOPBACK not in table["interface"].cat.categories:
        table["interface"] = table["interface"].cat.add_categories([LOOPBACK])
    table.loc[asks | answers, "interface"] = LOOPBACK
    table.loc[asks, "dst"] = forth.loc[asks, "dst"].to_numpy()
    table.loc[asks, "dst_port"] = forth.loc[asks, "dst_port"].to_numpy(dtype=np.int64)
    table.loc[answers, "stream"] = back.loc[answers, "mine"].to_numpy(dtype=np.int64)
    return Redirected(table, pairs[["point", "stream", "proxy", "proxy_port", "other"]])


def on_loopback(packets: pd.DataFrame) -> Bools:
    """Which TCP frames were captured on `lo`: by the record, or by a loopback address (RFC 1122, 4291)."""
    import numpy as np

    answer = _own(packets["src"]) | _own(packets["dst"])
    if "interface" in packets:
        words = packets["interface"].astype("category")
        there = np.array([str(text) == LOOPBACK for text in words.cat.categories] + [False])
        if there.any():
            answer |= there[np.asarray(words.cat.codes)]
    return answer & (packets["protocol"] == "TCP").to_numpy(dtype=bool) if answer.any() else answer


def _own(addresses: pd.Series) -> Bools:
    """Which of the addresses are loopback ones."""
    import numpy as np

    words = addresses.astype("category")
    texts = [str(text) for text in words.cat.categories]
    own = np.array([text.startswith("127.") or text == "::1" for text in texts] + [False])
    if not own.any():
        return np.zeros(len(addresses), dtype=bool)
    answer: Bools = own[np.asarray(words.cat.codes)]
    return answer


def _pairs(packets: pd.DataFrame) -> pd.DataFrame:
    """A row for each joined connection: point, stream, other, dst, dst_port (original), proxy, proxy_port.

    What is sent to a loopback address and never answered from there, and what answers its sender from
    elsewhere and was never asked: where the records name no interface, answers look like any other packets.
    """
    import pandas as pd

    tcp = (packets["protocol"] == "TCP").to_numpy(dtype=bool)
    asking = _one_sided(packets[tcp & _own(packets["dst"])])
    if asking.empty:
        return pd.DataFrame(columns=_PAIR)
    answering = _one_sided(packets[tcp])
    asking = asking.rename(
        columns={"src": "address", "src_port": "port", "dst": "proxy", "dst_port": "proxy_port"}
    )
    names = {"dst": "address", "dst_port": "port", "src": "dst", "src_port": "dst_port", "stream": "other"}
    pairs = pd.merge_asof(
        answering.rename(columns=names).sort_values("time"),
        asking.sort_values("time"),
        on="time",
        by=_END,
        direction="nearest",
        tolerance=pd.Timedelta(STARTED_WITHIN),
        suffixes=("", "_asked"),
    ).dropna(subset="stream")
    syn_asked = pairs["syn_asked"].astype(bool)
    fits = (pairs["ack_raw"] == pairs["seq_raw_asked"] + 1) | ~syn_asked | ~pairs["syn"]
    pairs = pairs[fits & (pairs["other"] != pairs["stream"])].drop_duplicates(["point", "stream"])
    return pairs.astype({"stream": "int64", "proxy_port": "int64"}).reset_index(drop=True)


def _one_sided(tcp: pd.DataFrame) -> pd.DataFrame:
    """The first frame of each stream all of whose frames go one way."""
    columns = [
        "point",
        "stream",
        "src",
        "src_port",
        "dst",
        "dst_port",
        "time",
        "seq_raw",
        "ack_raw",
        "tcp_flags",
    ]
    kinds = {"point": "object", "src": "object", "dst": "object", "stream": "int64"}
    plain = tcp.loc[tcp["stream"].notna(), columns].astype(kinds)
    ways = plain.drop_duplicates(["point", "stream", "src", "src_port"])
    first = ways[~ways.duplicated(["point", "stream"], keep=False)]
    numbers = {"src_port": "int64", "dst_port": "int64", "seq_raw": "int64", "ack_raw": "int64"}
    first = first.fillna(dict.fromkeys(numbers, 0)).astype(numbers)
    return first.assign(syn=(first["tcp_flags"].fillna(0) & SYN) > 0).drop(columns="tcp_flags")
