"""reordering: segments that arrived after others that were sent later."""

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
    from k8scap.model import Finding, Severity

RULE = "reordering"
MIN_REORDERED = 5
WARNING_SHARE = 0.01
MIN_PROVOKED = 3
THRESHOLDS = {
    "min_reordered": MIN_REORDERED,
    "warning_share": WARNING_SHARE,
    "min_provoked": MIN_PROVOKED,
}
_PATH = ["src", "dst"]


def reordering(case: Case) -> list[Finding]:
    """One finding a path on which segments were overtaken; info while TCP took it calmly."""
    total = data_segments(case)
    if not total:
        return [not_judged(RULE, case, reason="no TCP segment with data was captured", thresholds=THRESHOLDS)]
    late = case.reorderings
    groups, rest = largest(late, _PATH)
    findings = [_finding(case, group) for group in groups] + many_more(
        RULE,
        case,
        rest.assign(until=rest["time"]),
        keys=_PATH,
        deed="paths reordered segments",
        times=("time", "until"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )
    if findings:
        return findings
    title = f"none of {total:,} data segments is known to have been overtaken by a later one"
    return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS, certainty=0.9)]


def _finding(case: Case, late: pd.DataFrame) -> Finding:
    first = late.iloc[0]
    src, dst = case.host(first["src"], time=first["time"]), case.host(first["dst"], time=first["time"])
    total = sent_on(case, first["src"], first["dst"])
    provoked = _provoked(case, late)
    costs = f"; {provoked:,} were sent again for it, without need" if provoked else ""
    frames = late["number"]
    otherwise = f"{address_filter('src', first['src'])} && {address_filter('dst', first['dst'])}"
    return found(
        RULE,
        case,
        title=f"{len(late):,} of {total:,} segments from {src} to {dst} were overtaken by later ones, "
        f"up to {late['late_ms'].max():,.1f} ms{costs}",
        severity=_severity(len(late), total, provoked),
        certainty=0.95,
        consistent_with=("multipath", "several-queues", "wireless"),
        source=src,
        destination=dst,
        span=(late["time"].min(), late["time"].max()),
        affected=len(late),
        total=total,
        seconds_lost=0.0,
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=late["stream"], otherwise=otherwise),
        next_step=inside(case, ["nstat", "-az", "TcpExtTCPSACKReorder", "TcpExtTCPDSACKUndo"]),
    )


def _provoked(case: Case, late: pd.DataFrame) -> int:
    """Repeats without need on the same connections and in the same direction: it was taken for loss."""
    again = case.retransmissions
    here = again["stream"].isin(late["stream"]) & (again["src"] == late["src"].iloc[0])
    return int((here & (again["kind"] == "spurious")).sum())


def _severity(late: int, total: int, provoked: int) -> Severity:
    if late >= MIN_REORDERED and (late >= WARNING_SHARE * total or provoked >= MIN_PROVOKED):
        return "warning"
    return "info"
