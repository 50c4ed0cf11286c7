"""duplicate-packets: packets that the network delivered twice, as their receivers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, many_more
from k8scap.findings.paths import data_segments, sent_on
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "duplicate-packets"
MIN_DUPLICATES = 5
WARNING_SHARE = 0.01
THRESHOLDS = {"min_duplicates": MIN_DUPLICATES, "warning_share": WARNING_SHARE}
_PATH = ["src", "dst"]


def duplicate_packets(case: Case) -> list[Finding]:
    """One finding a path that doubled packets. What only the capture shows twice is no finding."""
    total = data_segments(case)
    speak = case.tcp["sack_left"].notna().any() or _may_report(case)
    if not total or not speak:
        reason = "no receiver here reports what comes twice (SACK, RFC 2883)"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=total)]
    twice = case.duplicates
    groups, rest = largest(twice, _PATH)
    findings = [_finding(case, group) for group in groups] + many_more(
        RULE,
        case,
        rest.assign(until=rest["time"]),
        keys=_PATH,
        deed="paths doubled packets",
        times=("time", "until"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )
    if findings:
        return findings
    title = f"no receiver of {total:,} data segments reported one that came twice and was sent once"
    return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS, certainty=0.9)]


def _may_report(case: Case) -> bool:
    """Whether there are handshakes: nearly every TCP permits SACK in them, and reports where it has to."""
    return bool(case.tcp["mss"].notna().any())


def _finding(case: Case, twice: pd.DataFrame) -> Finding:
    first = twice.iloc[0]
    src, dst = case.host(first["src"], time=first["time"]), case.host(first["dst"], time=first["time"])
    total = sent_on(case, first["src"], first["dst"])
    seen = int(twice["seen_twice"].sum())
    where = "the capture shows both copies" if seen else "they were doubled beyond the capture point"
    what = f"{len(twice):,} of {total:,} segments from {src} reached {dst} twice, though sent once"
    often = len(twice) >= MIN_DUPLICATES and len(twice) >= WARNING_SHARE * total
    frames = twice["number"]
    otherwise = f"{address_filter('src', first['dst'])} && {address_filter('dst', first['src'])}"
    return found(
        RULE,
        case,
        title=f"{what}; {where}",
        severity="warning" if often else "info",
        certainty=0.9,
        consistent_with=("network-loop", "mirrored-port", "link-layer-retransmission"),
        source=src,
        destination=dst,
        span=(twice["time"].min(), twice["time"].max()),
        affected=len(twice),
        total=total,
        seconds_lost=0.0,
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=twice["stream"], otherwise=otherwise),
        next_step=inside(case, ["nstat", "-az", "TcpExtTCPDSACKRecv", "TcpExtTCPDSACKOldSent"]),
    )
