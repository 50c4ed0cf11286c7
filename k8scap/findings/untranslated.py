"""Packets that conntrack called invalid and let pass untranslated, and the connections that died of them.

A Service's backend answers; its node, or the client's, finds the segment out of window, and does not
translate it back. It reaches the client from an address that the client never spoke to. The client's kernel
resets that unknown connection, and the backend takes the reset for its own (kubernetes/kubernetes 74839).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import SYN, has_any

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

WINDOW = 2**20
"""How far the stray's sequence number may be from the connection's own: a large receive window."""
_TURN = 2**32


def untranslated(case: Case, resets: pd.DataFrame) -> pd.DataFrame:
    """Columns: stray (stream of the unknown tuple), frame (its packet), reset (the client's answer), stream.

    `resets` are those of `findings.resets`; `stream` is the connection whose packet it was: of the same
    client and port, with another server, and of a sequence number nearby.
    """
    import pandas as pd

    columns = ["stray", "frame", "reset", "stream"]
    with_syn = case.tcp.loc[has_any(case.tcp, SYN), "stream"].unique()
    strange = resets[~resets["stream"].isin(with_syn)]
    if strange.empty:
        return pd.DataFrame(columns=columns)
    ends = ["src", "src_port", "dst", "dst_port"]
    tcp = case.tcp[[*ends, "stream", "time", "seq_raw", "payload_length", "tcp_flags"]].reset_index()
    tcp = tcp.astype({"src": "object", "dst": "object"})
    first = tcp.merge(strange[["stream", "reset"]], on="stream")
    first = first[first["number"] < first["reset"]].groupby("stream").last().reset_index()
    own = tcp[tcp["stream"].isin(with_syn) & tcp["dst_port"].isin(first["dst_port"])]
    pairs = first.merge(own, on=["dst", "dst_port"], suffixes=("", "_own"))
    pairs = pairs[(pairs["src"] != pairs["src_own"]) & (pairs["number_own"] < pairs["number"])]
    pairs = pairs.sort_values("number_own").groupby("stream").last().reset_index()
    ahead = (pairs["seq_raw"].astype("int64") - pairs["seq_raw_own"].astype("int64")) % _TURN
    near = (ahead < WINDOW) | (ahead > _TURN - WINDOW)
    strays = pairs.loc[near, ["stream", "number", "reset", "stream_own"]]
    return strays.set_axis(columns, axis=1)
