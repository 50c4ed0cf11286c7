"""half-open: a connection that one side still believes in, while the other answers nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.changes import changed_hands
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.silences import MIN_REPEATS, MIN_SECONDS
from k8scap.findings.steps import in_kubernetes, inside, whose
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "half-open"
IDLE_SECONDS = 0.5
THRESHOLDS = {"min_repeats": MIN_REPEATS, "min_seconds": MIN_SECONDS, "idle_seconds": IDLE_SECONDS}
_SILENT = ["dst", "service", "service_port"]


def half_open(case: Case) -> list[Finding]:
    """One finding a host that fell silent on established connections while data waited for its ACK."""
    silent = case.silences
    total = int((case.tcp_conversations["packets_received"] > 0).sum()) + int(
        (~silent["heard"].astype(bool)).sum()
    )
    if not total:
        return [not_judged(RULE, case, reason="no TCP connection was answered", thresholds=THRESHOLDS)]
    groups, rest = largest(silent, _SILENT)
    findings = [_finding(case, group, total) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SILENT,
        deed="hosts fell silent on established connections",
        times=("since", "until"),
        frames=[number for frames in rest["frames"] for number in frames],
        thresholds=THRESHOLDS,
    )
    if findings:
        return findings
    title = f"none of {total:,} established connections fell silent while data waited for its ACK"
    return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS)]


def _finding(case: Case, group: pd.DataFrame, total: int) -> Finding:
    first = group.iloc[0]
    time, count = first["since"], len(group)
    of_server = str(first["dst"]) == str(first["service"])
    port = int(first["service_port"])
    who = case.endpoint(first["dst"], port if of_server else None, time=time)
    frames = [number for frames in group["frames"] for number in frames]
    idle = group["idle_s"].fillna(0)
    what = "1 connection" if count == 1 else f"{count:,} connections"
    after = f", after {idle.min():,.1f} s without a word from either side" if _idled(group) else ""
    otherwise = f"{address_filter('addr', first['dst'])} && tcp.port == {port}"
    return found(
        RULE,
        case,
        title=f"{who} {_fell_silent(group)} on {what}{after}: {_owed(case, group)}, and never acknowledged",
        severity="info" if group["closed"].all() else "warning",
        certainty=0.9,
        consistent_with=_causes(case, group),
        source=case.clients(group["src"], time=time),
        destination=who,
        span=(group["since"].min(), group["until"].max()),
        affected=count,
        total=total,
        seconds_lost=union_seconds(group["since"], group["until"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=group["stream"], otherwise=otherwise),
        next_step=_next_step(case, str(first["dst"]), time=time),
    )


def _fell_silent(group: pd.DataFrame) -> str:
    if not group["heard"].any():
        return "was not heard"
    return "closed and fell silent" if group["closed"].all() else "fell silent"


def _owed(case: Case, group: pd.DataFrame) -> str:
    """What waited for an answer; data that was sent before the silence is not counted again."""
    payload, repeats = int(group["bytes"].sum()), int(group["repeats"].sum())
    if payload:
        return f"{payload:,} bytes sent, {repeats:,} times more"
    probes = case.tcp["keep_alive"].reindex([number for frames in group["frames"] for number in frames]).all()
    return f"probes sent, {repeats:,} times more" if probes else f"data under way sent {repeats:,} times more"


def _idled(group: pd.DataFrame) -> bool:
    """Whether nobody had anything to say before: a reader that lagged behind had not."""
    return bool(((group["idle_s"].fillna(0) >= IDLE_SECONDS) & ~group["behind"]).all())


def _causes(case: Case, group: pd.DataFrame) -> tuple[str, ...]:
    """Likeliest first: an address that changed hands, a middlebox that forgot, else host or path."""
    ordered = ("host-down", "path-broken", "network-policy-drop", "conntrack-expired")
    if _idled(group):
        ordered = ("idle-timeout", "conntrack-expired", "host-down", "path-broken")
    if changed_hands(case, str(group["dst"].iloc[0]), group["since"]):
        return ("stale-endpoint", *ordered)
    return ordered


def _next_step(case: Case, address: str, *, time: datetime) -> str:
    if in_kubernetes(case):
        return whose(case, address, time=time)
    return inside(case, ["ss", "-tino", "dst", address])
