"""delayed-ack: a message written in small pieces, whose second one waits for a delayed ACK of the first.

Nagle's algorithm (RFC 896) holds a small segment back while another is under way; the receiver delays its
ACK (RFC 9293, 3.8.6.3), hoping for something to send along. Both wait: 40 ms on Linux, up to 200 elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "delayed-ack"
SHORTEST_MS = 20.0
MIN_DELAYED = 3
WARNING_SHARE = 0.2
WARNING_TIME_SHARE = 0.1
THRESHOLDS = {
    "shortest_ms": SHORTEST_MS,
    "min_delayed": MIN_DELAYED,
    "warning_share": WARNING_SHARE,
    "warning_time_share": WARNING_TIME_SHARE,
}
_SERVICE = ["dst", "dst_port"]


def delayed_ack(case: Case) -> list[Finding]:
    """One finding a service whose requests, or answers, waited so."""
    turns = case.exchanges[case.exchanges["response_start"].notna()]
    if turns.empty:
        reason = "no request was answered on a connection that takes turns"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    late = turns[turns["delayed_ack_ms"] >= SHORTEST_MS]
    groups, rest = largest(late, _SERVICE)
    findings = [_finding(case, group, turns) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SERVICE,
        deed="services were asked in pieces",
        times=("request_start", "response_end"),
        frames=rest["request_frame"],
        thresholds=THRESHOLDS,
    )
    if findings:
        return findings
    title = f"none of {len(turns):,} exchanges waited for a delayed ACK"
    return [ruled_out(RULE, case, title=title, total=len(turns), thresholds=THRESHOLDS)]


def _finding(case: Case, late: pd.DataFrame, turns: pd.DataFrame) -> Finding:
    first = late.iloc[0]
    address, port, time = str(first["dst"]), int(first["dst_port"]), first["request_start"]
    here = turns[(turns["dst"] == first["dst"]) & (turns["dst_port"] == first["dst_port"])]
    by_client = _held_by_client(late)
    lost = _seconds(late, by_client)
    clients, service = case.clients(late["src"], time=time), case.endpoint(address, port, time=time)
    writer = clients if by_client.mean() >= 0.5 else service
    median = late["delayed_ack_ms"].median()
    title = (
        f"{len(late):,} of {len(here):,} exchanges with {service} waited {median:,.0f} ms in the middle of a "
        f"message: {writer} writes it in pieces, and without TCP_NODELAY the next one waits for an ACK"
    )
    frames = late["request_frame"]
    otherwise = f"{address_filter('addr', address)} && tcp.port == {port} && tcp.len > 0"
    return found(
        RULE,
        case,
        title=title,
        severity=_severity(late, here),
        certainty=0.9,
        consistent_with=("nagle-with-delayed-ack", "small-writes"),
        source=writer,
        destination=service if writer == clients else clients,
        span=(late["request_start"].min(), late["response_end"].max()),
        affected=len(late),
        total=len(here),
        seconds_lost=lost,
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=late["stream"], otherwise=otherwise),
        next_step=inside(case, ["ss", "-tin", "dst", address, "dport", "=", str(port)]),
    )


def _severity(late: pd.DataFrame, here: pd.DataFrame) -> Severity:
    """Often, and a noticeable part of the time that these exchanges took."""
    often = len(late) >= MIN_DELAYED and len(late) >= WARNING_SHARE * len(here)
    costly = late["delayed_ack_ms"].sum() >= WARNING_TIME_SHARE * here["total_ms"].sum()
    return "warning" if often and costly else "info"


def _held_by_client(late: pd.DataFrame) -> pd.Series:
    """Which waited in the middle of the request; the others, in the middle of the answer."""
    asking = (late["request_end"] - late["request_start"]).dt.total_seconds() * 1000
    return asking >= 0.9 * late["delayed_ack_ms"]


def _seconds(late: pd.DataFrame, by_client: pd.Series) -> float:
    """The waits, those at the same time counted once: each ends with its message, at the latest."""
    import pandas as pd

    end = late["request_end"].where(by_client, late["response_end"])
    return union_seconds(end - pd.to_timedelta(late["delayed_ack_ms"], unit="ms"), end)
