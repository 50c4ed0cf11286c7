"""How each TLS handshake ended: what alerts, closes and the few bytes after a hello tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import FIN, RST, has_any

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

FINISHED_BYTES = 58
FAILED = ("alert", "rejected", "closed", "plain")
TLS_PORTS = (443, 6443, 8443)
_BAD_REQUEST = "400"
_SERVER = ["dst", "dst_port"]


def handshakes(case: Case) -> pd.DataFrame:
    """The requests table's TLS handshakes, and plain HTTP to a port of TLS, with two columns more.

    `ended` is when its conversation's last packet came; `outcome` is one of
    `alert`: one side said in the clear what is wrong (`error`);
    `rejected`: the client ended a TLS 1.3 handshake after the server's hello. Its alert was encrypted, but it
    sent less than a Finished message, which is `FINISHED_BYTES` long at the least (RFC 8446, 4.4.4, 5.2:
    record header, type, 4 bytes and 32 of a SHA-256, tag), and closed;
    `closed`: the server closed, and did not answer in TLS; `plain`: the request was not TLS; `abandoned`: the
    client closed without a word; `pending`: the capture ended before; `unread`: the client went on after the
    server's answer, which could not be read (its segments came out of order, or are missing);
    `done`: none of these.
    """
    import pandas as pd

    requests = case.requests.astype({"src": "object", "dst": "object"})
    rows = requests[requests["protocol"] == "TLS"]
    plain = _plain(requests, rows)
    rows = pd.concat([rows, plain], ignore_index=True) if len(plain) else rows.reset_index(drop=True)
    if rows.empty:
        return rows.assign(ended=rows["time"], outcome=pd.Series(dtype="object"))
    ends = case.tcp_conversations.drop_duplicates("stream").set_index("stream")["end"]
    rows["ended"] = rows["stream"].map(ends)
    closer = _closed_by(case, rows)
    rows["outcome"] = "done"
    silent = rows["response"].isna()
    rows.loc[silent, "outcome"] = "pending"
    rows.loc[silent & (closer == "client"), "outcome"] = "abandoned"
    rows.loc[silent & (closer == "server"), "outcome"] = "closed"
    rows.loc[silent & _went_on(case, rows), "outcome"] = "unread"
    said = _said_after(case, rows)
    cut_short = (rows["status"] == "TLSv1.3") & (said < FINISHED_BYTES) & (closer != "")
    rows.loc[cut_short & (said > 0), "outcome"] = "rejected"
    rows.loc[cut_short & (said == 0), "outcome"] = "abandoned"
    rows.loc[rows["error"] != "", "outcome"] = "alert"
    rows.loc[rows["protocol"] != "TLS", "outcome"] = "plain"
    return rows


def failed_streams(case: Case) -> pd.Series:
    """The TCP streams that tls-failure speaks of: how they ended is a consequence."""
    rows = case.tls_handshakes
    streams: pd.Series = rows.loc[rows["outcome"].isin(FAILED), "stream"]
    return streams


def _plain(requests: pd.DataFrame, tls: pd.DataFrame) -> pd.DataFrame:
    """HTTP/1 that a port of TLS did not answer, or with 400 (nginx, Go)."""
    import pandas as pd

    http = requests[requests["protocol"] == "HTTP/1"]
    secure = pd.MultiIndex.from_frame(tls[_SERVER]).unique()
    spoken = pd.MultiIndex.from_frame(http[_SERVER])
    meant = spoken.isin(secure) | http["dst_port"].isin(TLS_PORTS).to_numpy()
    return http[meant & (http["response"].isna() | (http["status"] == _BAD_REQUEST)).to_numpy()]


def _went_on(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Whether the client sent as much as a Finished message after the server had answered (bool)."""
    tcp = case.tcp
    said = tcp.loc[tcp["stream"].isin(rows["stream"]) & (tcp["payload_length"] > 0) & ~tcp["keep_alive"]]
    said = (
        said[["stream", "src", "src_port", "seq", "payload_length"]].astype({"src": "object"}).reset_index()
    )
    said = said.merge(rows[["stream", "number", *_SERVER]].drop_duplicates("stream"), on="stream")
    by_server = (said["src"] == said["dst"]) & (said["src_port"] == said["dst_port"])
    answers = said[by_server & (said["number_x"] > said["number_y"])]
    first = said["stream"].map(answers.groupby("stream")["number_x"].min())
    later = said[~by_server & (said["number_x"] > first)].drop_duplicates(["stream", "seq"])
    sent = later.groupby("stream")["payload_length"].sum()
    went_on: pd.Series = rows["stream"].isin(sent.index[sent >= FINISHED_BYTES])
    return went_on


def _closed_by(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Who first sent a FIN or RST on each conversation: "client", "server", or nobody ("")."""
    tcp = case.tcp[case.tcp["stream"].isin(rows["stream"])]
    closing = tcp[has_any(tcp, FIN | RST)].drop_duplicates("stream").astype({"src": "object"})
    src = rows["stream"].map(closing.set_index("stream")["src"])
    port = rows["stream"].map(closing.set_index("stream")["src_port"])
    closer = src.notna().map({True: "server", False: ""})
    by_client = (src == rows["src"]) & (port == rows["src_port"]).fillna(value=False)
    return closer.mask(by_client, "client")


def _said_after(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Bytes that the client sent after the server's first answer; -1 where there was none."""
    import pandas as pd

    tcp = case.tcp.reset_index()
    answered = rows.dropna(subset="response")
    sent = tcp[tcp["stream"].isin(answered["stream"]) & (tcp["payload_length"] > 0) & ~tcp["keep_alive"]]
    sent = sent[["number", "stream", "src", "src_port", "seq", "payload_length"]].astype({"src": "object"})
    of = answered[["stream", "src", "src_port", "response"]].drop_duplicates("stream")
    sent = sent.merge(of, on=["stream", "src", "src_port"])
    end = sent["seq"] + sent["payload_length"]
    before = sent["number"] < sent["response"]
    highest = end.groupby(sent["stream"]).max()
    hello = end[before].groupby(sent["stream"][before]).max()
    said = (highest - hello.reindex(highest.index)).astype("Float64")
    return pd.to_numeric(rows["stream"].map(said), errors="coerce").fillna(-1).astype("float64")
