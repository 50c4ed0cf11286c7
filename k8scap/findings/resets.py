"""The resets of established connections, and what each of them broke off: one row a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import ACK, FIN, PUSH, RST, has_any

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

_NEVER_OPENED = ("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR")
_COLUMNS = ["stream", "client", "client_port", "dst", "dst_port", "by_server", "owed", "cut", "closing",
            "reset", "time", "asked", "asked_frame", "idle_s", "foreign", "knew"]  # fmt: skip


def resets(case: Case) -> pd.DataFrame:
    """The first reset of each TCP connection that had come about.

    Columns: stream, client, client_port, dst, dst_port (the server), `by_server` (the reset bears its
    address), `owed` (the client had asked, and nothing of the answer had come), `cut` (an answer was being
    sent: its last segment was as large as any, and not the end of what was written), `closing` (a FIN came
    first), `reset` and `time` (frame number and time), `asked` and `asked_frame` (first segment of the
    pending request, NaT where none), `idle_s` (silence before that, or before the reset), `foreign` (the
    reset's TTL is not the one that its sender's other packets have), `knew` (it acknowledges the request: who
    does not know the connection answers an ACK with a reset that has none, RFC 9293, 3.5.2).
    """
    import pandas as pd

    rows = _until_reset(case)
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    resetting, before = rows[rows["first"]], rows[~rows["first"]]
    last = resetting.set_index("stream")
    data = before[before["payload_length"] > 0]
    said = data[~data["forth"]]
    asked = data[data["forth"]]
    pending = asked[asked["number"] > asked["stream"].map(said.groupby("stream")["number"].max()).fillna(0)]
    request = pending.groupby("stream").first().reindex(last.index)
    quiet = _silence_before(before, request["number"].fillna(last["number"]), last["time"], request["time"])
    table = pd.DataFrame(
        {
            "client": last["client"],
            "client_port": last["client_port"],
            "dst": last["server"],
            "dst_port": last["server_port"],
            "by_server": ~last["forth"],
            "owed": request["number"].notna(),
            "cut": _cut(said).reindex(last.index, fill_value=False),
            "closing": has_any(before, FIN)
            .groupby(before["stream"])
            .any()
            .reindex(last.index, fill_value=False),
            "reset": last["number"],
            "time": last["time"],
            "asked": request["time"],
            "asked_frame": request["number"],
            "idle_s": quiet,
            "foreign": _foreign(before, last),
            "knew": _knew(pending, last),
        }
    )
    return table.reset_index()[_COLUMNS]


def _until_reset(case: Case) -> pd.DataFrame:
    """All segments of these connections up to their first reset, with `forth` (from the client), `first`."""
    talks = case.tcp_conversations
    talks = talks[(talks["resets"] > 0) & ~talks["state"].isin(_NEVER_OPENED)]
    talks = talks[(talks["packets_sent"] > 0) & (talks["packets_received"] > 0)].drop_duplicates("stream")
    columns = ["time", "stream", "src", "src_port", "tcp_flags", "seq", "ack", "payload_length", "ttl"]
    rows = case.tcp.loc[case.tcp["stream"].isin(talks["stream"]), columns].reset_index()
    ends = talks[["stream", "src", "src_port", "dst", "dst_port"]]
    ends = ends.set_axis(["stream", "client", "client_port", "server", "server_port"], axis=1)
    rows = rows.merge(ends, on="stream").sort_values("number", kind="stable")
    rows = rows.astype({"src": "object", "client": "object", "server": "object"})
    rows["payload_length"] = rows["payload_length"].fillna(0)
    port = (rows["src_port"] == rows["client_port"]).fillna(value=False)
    rows["forth"] = ((rows["src"] == rows["client"]) & port).astype(bool)
    first = rows[has_any(rows, RST)].groupby("stream")["number"].min()
    until = rows["stream"].map(first)
    rows = rows[rows["number"] <= until]
    return rows.assign(first=rows["number"] == until[rows.index])


def _knew(pending: pd.DataFrame, last: pd.DataFrame) -> pd.Series:
    """Whether each reset acknowledges all of the request that was pending (False where none was)."""
    end = (pending["seq"] + pending["payload_length"]).groupby(pending["stream"]).max().reindex(last.index)
    knew: pd.Series = (has_any(last, ACK) & (last["ack"] >= end)).fillna(value=False).astype(bool)
    return knew


def _silence_before(before: pd.DataFrame, number: pd.Series, reset: pd.Series, asked: pd.Series) -> pd.Series:
    """How long each connection was silent before that frame, in seconds (NaN: nothing came before)."""
    earlier = before[before["number"] < before["stream"].map(number)]
    last = earlier.groupby("stream")["time"].max().reindex(number.index)
    return (asked.fillna(reset) - last).dt.total_seconds()


def _cut(said: pd.DataFrame) -> pd.Series:
    """Whether a server's last segment was as large as any, with more to come: no PSH (RFC 9293, 3.9.1.2)."""
    last = said.groupby("stream").last()
    more = (last["tcp_flags"].fillna(PUSH) & PUSH) == 0
    full = last["payload_length"] >= said.groupby("stream")["payload_length"].max()
    cut: pd.Series = (more & full).astype(bool)
    return cut


def _foreign(before: pd.DataFrame, last: pd.DataFrame) -> pd.Series:
    """Whether a reset's TTL never occurred among the packets of the side whose address it bears."""
    before = before.assign(of_resetter=before["forth"] == before["stream"].map(last["forth"]))
    own = before[before["of_resetter"] & before["ttl"].notna()].groupby("stream")["ttl"]
    low, high = own.min().reindex(last.index), own.max().reindex(last.index)
    outside = (last["ttl"] < low) | (last["ttl"] > high)
    return outside.fillna(value=False).astype(bool)
