"""connection-reset: an established connection that was reset while an answer was owed.

A reset after a FIN, after the whole answer, or by the client itself, is a way to close. One that ends a TLS
handshake is tls-failure's; one with which a sender gives up on a peer that fell silent, half-open's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.changes import NEAR_SECONDS, changed_hands
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.resets import resets
from k8scap.findings.steps import in_pod, inside, whose
from k8scap.findings.tls_handshakes import failed_streams
from k8scap.findings.untranslated import untranslated
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "connection-reset"
IDLE_SECONDS = 0.5
PROMPT_SECONDS = 0.05
CRITICAL_COUNT = 10
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "idle_seconds": IDLE_SECONDS,
    "prompt_seconds": PROMPT_SECONDS,
    "near_seconds": NEAR_SECONDS,
    "critical_count": CRITICAL_COUNT,
    "critical_share": CRITICAL_SHARE,
}
_DESTINATION = ["dst", "dst_port"]
_LIMITS = {350: "an AWS network load balancer", 240: "an Azure load balancer"}
"""Seconds of silence after which these forget a connection, by their documentation's defaults."""


def connection_reset(case: Case) -> list[Finding]:
    """One finding a server whose connections were reset in the middle of a request or its answer."""
    opened = case.tcp_conversations["packets_received"] > 0
    if not opened.any():
        return [not_judged(RULE, case, reason="no TCP connection was answered", thresholds=THRESHOLDS)]
    all_resets = resets(case)
    strays = untranslated(case, all_resets)
    broken = all_resets[~all_resets["closing"] & ~all_resets["stream"].isin(strays["stray"])]
    struck = broken["stream"].isin(strays["stream"])
    costly = (broken["owed"] | broken["cut"]) & (broken["by_server"] | broken["foreign"])
    told = broken["stream"].isin(failed_streams(case)) | broken["stream"].isin(case.silences["stream"])
    broken = broken[(costly | struck) & ~told]
    groups, rest = largest(_named_as(case, broken), _DESTINATION)
    findings = [_finding(case, group, strays) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_DESTINATION,
        deed="servers reset connections",
        times=("since", "time"),
        frames=rest["reset"],
        thresholds=THRESHOLDS,
    )
    if findings:
        return findings
    title = f"none of {len(all_resets):,} resets came while an answer was owed"
    return [ruled_out(RULE, case, title=title, total=int(opened.sum()), thresholds=THRESHOLDS)]


def _named_as(case: Case, broken: pd.DataFrame) -> pd.DataFrame:
    """With the names of the conversations table where it has them, and `since` (the pending request)."""
    talks = case.tcp_conversations
    names = talks[["stream", *(name for name in ("src_name", "dst_name") if name in talks)]]
    since = broken["asked"].fillna(broken["time"])
    return broken.assign(since=since).merge(names.drop_duplicates("stream"), on="stream", how="left")


def _finding(case: Case, group: pd.DataFrame, strays: pd.DataFrame) -> Finding:
    first = group.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    same = like(case.tcp_conversations, first, _DESTINATION)
    destination = case.endpoint(address, port, time=first["time"])
    causes = _causes(case, group, strays)
    what = f"{len(group):,} of {len(same):,} connections to {destination}"
    frames = [*group["asked_frame"].dropna(), *group["reset"]]
    frames += (
        strays.loc[strays["stream"].isin(group["stream"]), ["frame", "reset"]].to_numpy().ravel().tolist()
    )
    otherwise = f"{address_filter('addr', address)} && tcp.port == {port} && tcp.flags.reset == 1"
    return found(
        RULE,
        case,
        title=f"{what} were reset {_when(group, causes)}",
        severity=_severity(group, same),
        certainty=0.9,
        consistent_with=causes,
        source=case.clients(group["client"], time=first["time"]),
        destination=destination,
        span=(group["since"].min(), group["time"].max()),
        affected=len(group),
        total=len(same),
        seconds_lost=union_seconds(group["since"], group["time"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=group["stream"], otherwise=otherwise),
        next_step=_next_step(case, causes[0], address, port, time=first["time"]),
    )


def _severity(group: pd.DataFrame, same: pd.DataFrame) -> Severity:
    many = len(group) >= CRITICAL_COUNT and len(group) >= CRITICAL_SHARE * len(same)
    return "critical" if many else "warning"


def _when(group: pd.DataFrame, causes: tuple[str, ...]) -> str:
    if causes[0] == "idle-timeout":
        low, high = group["idle_s"].min(), group["idle_s"].max()
        span = f"{low:,.1f} s" if len(group) == 1 else f"{low:,.1f} to {high:,.1f} s"
        known = next((who for limit, who in _LIMITS.items() if limit <= low <= 1.05 * limit), "")
        return f"by the first request after {span} of silence{f' (as {known} does)' if known else ''}"
    if causes[0] == "conntrack-invalid":
        return "after a packet of theirs had come from an address that was not translated"
    cut, owed = int((group["cut"] & ~group["owed"]).sum()), int(group["owed"].sum())
    if cut and owed:
        return "while a request was pending, or in the middle of its answer"
    return "in the middle of an answer" if cut else "while a request was pending"


def _causes(case: Case, group: pd.DataFrame, strays: pd.DataFrame) -> tuple[str, ...]:
    """Likeliest first: what came before the resets tells, then the names, then who signed them."""
    if group["stream"].isin(strays["stream"]).mean() >= 0.5:
        return ("conntrack-invalid", "server-abort")
    ordered = ["server-abort", "middlebox", "rollout"]
    if group["foreign"].mean() >= 0.5:
        ordered = ["middlebox", "server-abort"]
    if _after_silence(case, group) and not group["knew"].all():
        ordered = ["idle-timeout", "conntrack-expired", "server-abort"]
    if changed_hands(case, str(group["dst"].iloc[0]), group["time"]):
        ordered = ["rollout", *(cause for cause in ordered if cause != "rollout")]
    return tuple(ordered)


def _after_silence(case: Case, group: pd.DataFrame) -> bool:
    """Each reset answered at once a request after a silence, and no silence as long was survived."""
    idle = group["idle_s"].fillna(0)
    answered = (group["time"] - group["since"]).dt.total_seconds()
    path = case.round_trips
    rtt = path[path["kind"] == "handshake"].groupby("stream")["rtt_ms"].sum() / 1000
    prompt = answered <= 2 * group["stream"].map(rtt).astype(float).fillna(0.0) + PROMPT_SECONDS
    if not (group["owed"] & prompt & (idle >= IDLE_SECONDS)).all():
        return False
    turns = case.exchanges
    first = group.iloc[0]
    here = (turns["dst"] == first["dst"]) & (turns["dst_port"] == first["dst_port"])
    kept = turns[here & turns["response_start"].notna()]
    later = kept[kept.duplicated("stream")]
    return bool(later.empty or later["idle_ms"].max() / 1000 < idle.min())


def _next_step(case: Case, cause: str, address: str, port: int, *, time: datetime) -> str:
    if cause in {"idle-timeout", "middlebox"}:
        return inside(case, ["ss", "-tino", "dst", address, "dport", "=", str(port)])
    if cause == "conntrack-invalid":
        return "conntrack -S"
    if cause == "rollout":
        return whose(case, address, time=time)
    return in_pod(case, address, ["ss", "-tinm"], time=time) or whose(case, address, time=time)
