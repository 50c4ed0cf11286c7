"""Which connections a full listen queue held up: the server's kernel heard the client, and said nothing.

Linux finds the accept queue full at two moments. When the handshake's last ACK comes, it forgets that, and
the client, which believes to be connected, repeats its request into a void (and the SYN-ACK comes again,
unless it was a SYN cookie). When a SYN comes, it drops that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.attempts import SILENT_SECONDS, answered_late, milliseconds, never_answered
from k8scap.findings.flags import SYN, has_any
from k8scap.model import delta

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

NEAR_SHARE = 0.25
RTT_FACTOR = 2.0
"""Handshakes' round trips: what is said again sooner may have crossed its answer; queues make them vary."""
SAME_NODE_MS = 0.2
OVERFLOWS = "TcpExt.ListenOverflows"


def overflows(case: Case) -> int:
    """How often a listen queue of the captured host was full meanwhile, by the kernel's count; 0: unknown."""
    return delta(case.manifest.evidence, OVERFLOWS) or 0 if case.manifest else 0


def held_up(case: Case) -> pd.DataFrame:
    """The attempts that a listen queue held up: `case.attempts`' columns, and `ignored` (bool).

    `ignored`: the handshake was done for the client, not for the server; else its SYNs were not answered,
    which counts only where others were ignored by the same server and port, or the kernel of the captured
    host has counted overflows. `resumed` is when the server spoke at last (NaT: never).
    """
    rows = case.attempts.copy()
    rows["ignored"], rows["resumed"] = False, rows["answered"]
    if rows.empty:
        return rows
    silence = _silences(case, rows)
    near = _near_server(rows)
    patience = (RTT_FACTOR * rows["handshake_rtt_ms"].fillna(0.0) / 1000.0).clip(lower=SILENT_SECONDS)
    ignored = (silence["repeated_s"] >= patience) & (silence["syn_ack_again"] | near)
    rows["ignored"] = ignored.to_numpy(dtype=bool)
    rows["resumed"] = silence["resumed"].where(ignored, rows["answered"])
    places = rows["dst"].astype(str) + " " + rows["dst_port"].astype(str)
    full = places.isin(places[rows["ignored"]])
    if overflows(case):
        full |= near & places.isin(places[rows["answered"].notna()])
    dropped = (never_answered(rows) | answered_late(rows)) & full
    return rows[rows["ignored"] | dropped]


def _silences(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """Of each attempt (same index), what came between the handshake's ACK and the server's next word.

    `repeated_s`: seconds from the client's first data to its last repetition of it (NaN: none);
    `syn_ack_again`: the server repeated its SYN-ACK although the handshake's ACK must have reached it;
    `resumed`: its next word's time.
    """
    again, first = _first_words_again(case, rows)
    opened = rows.assign(opened=rows["asked"] + milliseconds(rows["connect_ms"]))
    opened["heard"] = opened["opened"] + RTT_FACTOR * milliseconds(opened["handshake_rtt_ms"].fillna(0.0))
    columns = ["stream", "dst", "dst_port", "opened", "heard"]
    opened = opened.loc[rows["stream"].isin(first["stream"]), columns]
    answers = _answers(case, opened)
    resumed = answers[~answers["syn"]].groupby("stream")["time"].min().rename("resumed")
    again = again.join(resumed, on="stream")
    unheard = again["resumed"].isna() | (again["time"] < again["resumed"])
    times = again[unheard].groupby("stream")["time"]
    began = first.set_index("stream")["began"]
    repeated = (times.max() - began).dt.total_seconds().rename("repeated_s")
    found = rows[["stream"]].join(resumed, on="stream").join(repeated, on="stream")
    late = answers["syn"] & (answers["time"] >= answers["heard"])
    return found.assign(syn_ack_again=found["stream"].isin(answers.loc[late, "stream"]))


def _first_words_again(case: Case, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The repetitions of each client's first segment of data (stream, time), and of each stream the first.

    `began` there is when those bytes were sent for the first time.
    """
    events = case.retransmissions
    events = events[(events["payload_length"] > 0) & (events["seq"] == 1)]
    clients = rows[["stream", "src", "src_port"]].rename(columns={"src": "client", "src_port": "client_port"})
    events = events.astype({"src": "object"}).merge(clients, on="stream")
    mine = (events["src"] == events["client"]) & (events["src_port"] == events["client_port"])
    again = events.loc[mine, ["stream", "time", "waited_ms"]]
    first = again.drop_duplicates("stream")
    return again, first.assign(began=first["time"] - milliseconds(first["waited_ms"]))


def _answers(case: Case, opened: pd.DataFrame) -> pd.DataFrame:
    """What the servers sent after the handshakes: stream, time, `syn` (bool: the SYN-ACK again)."""
    tcp = case.tcp[case.tcp["stream"].isin(opened["stream"])].astype({"src": "object"})
    said = tcp[["time", "stream", "src", "src_port", "tcp_flags"]].merge(opened, on="stream")
    theirs = (said["src"] == said["dst"]) & (said["src_port"] == said["dst_port"])
    said = said[theirs & (said["time"] >= said["opened"])]
    return said.assign(syn=has_any(said, SYN))


def _near_server(rows: pd.DataFrame) -> pd.Series:
    """Attempts to an address beside which the capture was made (bool): there no path can lose anything.

    Of its handshakes' round trips a small part only is between here and there, or the whole is a node's
    own.
    """
    toward = (rows["answered"] - rows["asked_last"]).dt.total_seconds() * 1000.0
    whole = rows["handshake_rtt_ms"]
    known = rows.assign(near=(toward < NEAR_SHARE * whole) | (whole < SAME_NODE_MS))[whole.notna()]
    share = known.groupby("dst")["near"].mean()
    near: pd.Series = rows["dst"].map(share).fillna(0.0) > 0.5
    return near
