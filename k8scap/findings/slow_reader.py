"""slow-reader: one side had no room left for what the other wanted to send.

A reader that announces a window of zero, or leaves a full window full, holds the sender up: neither the
path nor the sender is to blame. A closed window while nothing waited to be sent is no stall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.flags import RST, SYN, has_any
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.stalls import closed_windows, full_windows
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "slow-reader"
FULL_MS = 200.0
FULL_RTT_FACTOR = 2.0
WAITING_MS = 200.0
MIN_STALLED_SECONDS = 0.2
WARNING_SHARE = 0.05
WARNING_SECONDS = 5.0
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "full_ms": FULL_MS,
    "full_rtt_factor": FULL_RTT_FACTOR,
    "waiting_ms": WAITING_MS,
    "min_stalled_seconds": MIN_STALLED_SECONDS,
    "warning_share": WARNING_SHARE,
    "warning_seconds": WARNING_SECONDS,
    "critical_share": CRITICAL_SHARE,
}
_READER = ["reader", "service", "service_port", "reads_at_service"]


def slow_reader(case: Case) -> list[Finding]:
    """One finding a reader (a service's address and port, or a client's address at a service)."""
    tcp = case.tcp
    announced = int((tcp["window"].notna() & ~has_any(tcp, SYN | RST)).sum())
    if not announced:
        reason = "no TCP segment that announces a window was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    stalls = _stalls(case)
    if stalls.empty:
        return [_nothing(case, tcp, announced)]
    groups, rest = largest(stalls, _READER)
    return [_finding(case, group) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_READER,
        deed="readers shut their windows",
        times=("start", "end"),
        frames=[n for numbers in rest["frames"] for n in numbers],
        thresholds=THRESHOLDS,
    )


def _stalls(case: Case) -> pd.DataFrame:
    """Closed and full windows that held a sender up, with the service of their conversation."""
    import pandas as pd

    closed = closed_windows(case, waiting_ms=WAITING_MS)
    full = full_windows(case, at_least_ms=FULL_MS, rtt_factor=FULL_RTT_FACTOR)
    stalls = pd.concat([closed, full], ignore_index=True)
    services = case.tcp_conversations[["stream", "dst", "dst_port"]]
    joined = stalls.merge(services.astype({"dst": "object"}), on="stream", how="left")
    joined = joined.rename(columns={"dst": "service", "dst_port": "service_port"})
    at_service = (joined["reader"] == joined["service"]) & (joined["reader_port"] == joined["service_port"])
    return joined.assign(reads_at_service=at_service.astype(bool))


def _finding(case: Case, stalls: pd.DataFrame) -> Finding:
    first = stalls.iloc[0]
    lost = union_seconds(stalls["start"], stalls["end"])
    same = _conversations(case, first)
    streams = stalls["stream"].unique()
    reader, sender = _ends(case, first)
    share = lost / max(union_seconds(same["start"], same["end"]), 1e-9)
    times = "once" if len(stalls) == 1 else f"{len(stalls):,} times"
    frames = [n for numbers in stalls["frames"] for n in numbers]
    service = f"{address_filter('addr', first['service'])} && tcp.port == {first['service_port']}"
    return found(
        RULE,
        case,
        title=f"{reader} took nothing for {lost:,.1f} s ({share:.0%} of the time): its receive window was "
        f"shut {times}, in {len(streams):,} of {len(same):,} conversations",
        severity=_severity(lost, share),
        certainty=0.95 if (stalls["kind"] == "closed").any() else 0.75,
        consistent_with=("slow-consumer", "cpu-throttling", "blocked-downstream", "small-receive-buffer"),
        source=sender,
        destination=reader,
        span=(stalls["start"].min(), stalls["end"].max()),
        affected=len(streams),
        total=len(same),
        seconds_lost=lost,
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=streams, otherwise=service),
        next_step=_next_step(case, first),
    )


def _conversations(case: Case, stall: pd.Series) -> pd.DataFrame:
    """The conversations that could have stalled likewise: this reader's, at this service."""
    tcp = case.tcp_conversations
    at = (tcp["dst"] == stall["service"]) & (tcp["dst_port"] == stall["service_port"])
    mine = (tcp["src"] == stall["reader"]) | bool(stall["reads_at_service"])
    same: pd.DataFrame = tcp[at & mine]
    return same


def _ends(case: Case, stall: pd.Series) -> tuple[str, str]:
    """Reader and sender: the service with its port, the client by its address."""
    service = case.endpoint(stall["service"], stall["service_port"], time=stall["start"])
    client = case.host(stall["sender"] if stall["reads_at_service"] else stall["reader"], time=stall["start"])
    return (service, client) if stall["reads_at_service"] else (client, service)


def _severity(lost: float, share: float) -> Severity:
    if lost >= WARNING_SECONDS and share >= CRITICAL_SHARE:
        return "critical"
    if lost >= WARNING_SECONDS or (lost >= MIN_STALLED_SECONDS and share >= WARNING_SHARE):
        return "warning"
    return "info"


def _next_step(case: Case, stall: pd.Series) -> str:
    """The reader's throttling where its pod is known; else the sockets between the two."""
    reader = stall["reader"]
    if step := in_pod(case, reader, ["cat", "/sys/fs/cgroup/cpu.stat"], time=stall["start"]):
        return step
    return inside(case, ["ss", "-tinm", "dst", reader, "or", "src", reader])


def _nothing(case: Case, tcp: pd.DataFrame, announced: int) -> Finding:
    closed = int(tcp["zero_window"].sum())
    if reason := one_direction(case):
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=announced)
    title = f"none of {announced:,} segments announced a closed window"
    if closed:
        title = f"{closed:,} of {announced:,} segments announced a closed window, and nobody waited for it"
    return ruled_out(RULE, case, title=title, total=announced, thresholds=THRESHOLDS)
