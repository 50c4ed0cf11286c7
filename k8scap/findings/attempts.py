"""Attempts to connect, one row each: how often the SYN was sent, and when somebody answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import ACK, has_any
from k8scap.findings.icmp import unreachable

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

SILENT_SECONDS = 0.2
"""What a SYN waits before it is sent again is no shorter on any system (RFC 6298: 1 s)."""

_OF_CONVERSATION = [
    "stream",
    "src",
    "src_port",
    "dst",
    "dst_port",
    "start",
    "end",
    "state",
    "connect_ms",
    "handshake_rtt_ms",
]


def attempts(case: Case) -> pd.DataFrame:
    """The TCP conversations whose first SYN was captured, by stream.

    Columns: stream, src, dst (object), src_port, dst_port, start, end, state, connect_ms, handshake_rtt_ms
    (and dst_name, where there are names) of the conversations table; `asked` (time of the first SYN),
    `asked_last` (of the last one before any answer), `syns` (how many of them), `answered` (time of the first
    SYN-ACK, NaT), `told` (bool: ICMP refused it), `late_ms` (float64: what connecting took beyond the round
    trip; NaN: it did not connect). Of one that was answered and did not go on (the capture ended, or the
    client had given up) `connect_ms` is the time to its answer.
    """
    opening = case.handshakes[["time", "stream", "tcp_flags"]]
    is_answer = has_any(opening, ACK)
    asked = opening[~is_answer].groupby("stream")["time"].min().rename("asked")
    answered = opening[is_answer].groupby("stream")["time"].min().rename("answered")
    table = case.tcp_conversations
    rows = table[[*_OF_CONVERSATION, *(name for name in ("dst_name",) if name in table)]]
    rows = rows.astype({"src": "object", "dst": "object", "state": "object"})
    rows = rows.join(asked, on="stream").join(answered, on="stream").dropna(subset="asked")
    rows = rows.join(_repeats(case, opening[~is_answer], answered), on="stream").reset_index(drop=True)
    rows["asked_last"] = rows["asked_last"].fillna(rows["asked"])
    rows["syns"] = rows["syns"].fillna(0).astype("int64") + 1
    errors = unreachable(case)
    rows["told"] = rows["stream"].isin(errors.loc[errors["protocol"] == "TCP", "stream"])
    rows["late_ms"] = rows["connect_ms"] - rows["handshake_rtt_ms"]
    return _with_answered_only(rows)


def _with_answered_only(rows: pd.DataFrame) -> pd.DataFrame:
    """With when the last SYN brought the answer: that came sooner after it than it after the first."""
    waited, last = (rows["answered"] - rows[name] for name in ("asked", "asked_last"))
    brought = rows["connect_ms"].isna() & rows["answered"].notna() & (last < waited - last)
    return rows.assign(
        connect_ms=rows["connect_ms"].mask(brought, waited.dt.total_seconds() * 1000.0),
        late_ms=rows["late_ms"].mask(brought, (waited - last).dt.total_seconds() * 1000.0),
    )


def _repeats(case: Case, syns: pd.DataFrame, answered: pd.Series) -> pd.DataFrame:
    """By stream: `syns` (copies of the SYN before any answer), `asked_last` (the last one's time).

    The retransmissions table knows a SYN that was sent again from one that was captured twice.
    """
    import pandas as pd

    events = case.retransmissions
    again = events.loc[events["number"].isin(syns.index), ["stream", "time"]].join(answered, on="stream")
    before = again[again["answered"].isna() | (again["time"] < again["answered"])]
    times = before.groupby("stream")["time"]
    return pd.DataFrame({"syns": times.count(), "asked_last": times.max()})


def never_answered(rows: pd.DataFrame) -> pd.Series:
    """Attempts that repeated their SYN for a while, to no avail (bool).

    A lone SYN proves nothing: its answer may have come after the capture's end. An attempt that ICMP
    refused was answered.
    """
    mask: pd.Series = (rows["state"] == "S0") & ~rows["told"] & _repeated(rows)
    return mask


def answered_late(rows: pd.DataFrame) -> pd.Series:
    """Attempts that came about after their SYN was repeated, and later for it (bool).

    On a path whose round trip is longer than the timer the SYN is repeated while its answer is under way:
    that costs nothing.
    """
    mask: pd.Series = _repeated(rows) & (rows["late_ms"] >= SILENT_SECONDS * 1000.0)
    return mask


def repeated_in_vain(rows: pd.DataFrame, events: pd.DataFrame) -> pd.Series:
    """Repeats of a handshake's segment that the receiver had, or was answering (bool, as `events`).

    A SYN whose first copy was answered, only later than the timer; a SYN-ACK after the client's ACK of it
    (TCP_DEFER_ACCEPT waits for data, a full listen queue for room).
    """
    first_was_heard = rows["answered"].notna() & (rows["late_ms"] < SILENT_SECONDS * 1000.0)
    connected = (rows["asked"] + milliseconds(rows["connect_ms"])).set_axis(rows["stream"])
    acknowledged = (
        events["time"] > events[["stream"]].join(connected.rename("connected"), on="stream")["connected"]
    )
    needless = events["stream"].isin(rows.loc[first_was_heard, "stream"]) | acknowledged
    mask: pd.Series = (events["kind"] == "syn") & needless
    return mask


def _repeated(rows: pd.DataFrame) -> pd.Series:
    waited: pd.Series = (rows["asked_last"] - rows["asked"]).dt.total_seconds()
    return waited >= SILENT_SECONDS


def milliseconds(values: pd.Series) -> pd.Series:
    """A column of milliseconds as differences of times."""
    import pandas as pd

    result: pd.Series = pd.to_timedelta(values, unit="ms")
    return result
