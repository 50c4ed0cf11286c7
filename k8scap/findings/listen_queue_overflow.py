"""listen-queue-overflow: clients that the server's kernel turned away, as its application did not accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.attempts import SILENT_SECONDS
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import finder, largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.listen_queue import NEAR_SHARE, RTT_FACTOR, SAME_NODE_MS, overflows
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "listen-queue-overflow"
WARNING_COUNT = 3
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "silent_seconds": SILENT_SECONDS,
    "near_share": NEAR_SHARE,
    "same_node_ms": SAME_NODE_MS,
    "rtt_factor": RTT_FACTOR,
    "warning_count": WARNING_COUNT,
    "critical_share": CRITICAL_SHARE,
}
_DESTINATION = ["dst", "dst_port"]


def listen_queue_overflow(case: Case) -> list[Finding]:
    """One finding a server and port whose listen queue was full."""
    attempts = case.attempts
    if attempts.empty:
        reason = "no connection attempt was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if reason := one_direction(case):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(attempts))]
    rows = case.held_up
    if rows.empty:
        return [_nothing(case, attempts)]
    rows = rows.assign(until=rows["resumed"].fillna(rows["end"]))
    frames = _frames(case, rows)
    groups, rest = largest(rows, _DESTINATION)
    same = finder(attempts, _DESTINATION)
    return [_finding(case, group, same(group.iloc[0]), frames) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_DESTINATION,
        deed="servers let clients wait for their listen queue",
        times=("asked", "until"),
        frames=frames.index[frames["stream"].isin(rest["stream"])],
        thresholds=THRESHOLDS,
    )


def _nothing(case: Case, attempts: pd.DataFrame) -> Finding:
    """The kernel may have counted overflows whose clients gave up, or were not captured."""
    total = len(attempts)
    if count := overflows(case):
        reason = f"the kernel counted {count:,} listen queue overflows, but none of this traffic shows one"
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=total)
    title = f"none of {total:,} connections waited for a place in a listen queue"
    return ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS)


def _frames(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """What these connections sent until the server spoke."""
    tcp = case.tcp.loc[case.tcp["stream"].isin(rows["stream"]), ["time", "stream"]]
    until = tcp[["stream"]].join(rows.set_index("stream")["until"], on="stream")["until"]
    return tcp[tcp["time"] <= until]


def _finding(case: Case, rows: pd.DataFrame, same: pd.DataFrame, frames: pd.DataFrame) -> Finding:
    first = rows.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    mine = frames.index[frames["stream"].isin(rows["stream"])]
    counted = overflows(case)
    destination = case.endpoint(address, port, time=first["start"])
    return found(
        RULE,
        case,
        title=_title(destination, rows, same, counted),
        severity=_severity(rows, same, proven=counted > 0),
        certainty=0.99 if counted else 0.8,
        consistent_with=("slow-accept", "backlog-too-small", *(() if counted else _OTHERWISE)),
        source=case.clients(rows["src"], time=first["start"]),
        destination=destination,
        span=(rows["asked"].min(), rows["until"].max()),
        affected=len(rows),
        total=len(same),
        seconds_lost=union_seconds(rows["asked"], rows["until"]),
        thresholds=THRESHOLDS,
        frames=mine,
        display_filter=display_filter(
            mine,
            streams=rows["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port}",
        ),
        next_step=_next_step(case, address, port, time=first["start"]),
    )


_OTHERWISE = ("host-firewall", "lossy-path")


def _title(destination: str, rows: pd.DataFrame, same: pd.DataFrame, counted: int) -> str:
    ignored, dropped = int(rows["ignored"].sum()), int((~rows["ignored"]).sum())
    count = f"{len(rows):,} of {len(same):,} connections" if len(same) > 1 else "the only connection"
    how = [
        f"{ignored:,} after their handshake" if ignored else "",
        f"{dropped:,} at their SYN" if dropped else "",
    ]
    proof = f"; its kernel counted {counted:,} listen queue overflows" if counted else ""
    return f"{destination} did not hear {count} at first ({', '.join(h for h in how if h)}){proof}"


def _severity(rows: pd.DataFrame, same: pd.DataFrame, *, proven: bool) -> Severity:
    if len(rows) < WARNING_COUNT:
        return "warning" if proven else "info"
    return "critical" if len(rows) / len(same) >= CRITICAL_SHARE else "warning"


def _next_step(case: Case, address: str, port: int, *, time: datetime) -> str:
    """The listening socket: Recv-Q is how many wait to be accepted, Send-Q how many may."""
    sockets = ["ss", "-lnt", "sport", "=", f":{port}"]
    return in_pod(case, address, sockets, time=time) or inside(case, sockets)
