"""dns-timeout: lookups that nobody answered, or that were answered after more than a second.

An answer of any kind is an answer: NXDOMAIN and SERVFAIL are not this rule's. Lookups sent to all (mDNS,
LLMNR, broadcast) need none and are left out, and so is what was asked shortly before the capture ended,
unless the client gave up waiting and asked again.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from k8scap.findings.case import printable
from k8scap.findings.dns_causes import RACE_MS, causes, next_step
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.icmp import unreachable
from k8scap.findings.intervals import union_seconds
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "dns-timeout"
LATE_MS = 1000.0
PENDING_SECONDS = 1.0
MIN_AFFECTED = 2
WARNING_SHARE = 0.01
CRITICAL_COUNT = 3
CRITICAL_SHARE = 0.5
GIVE_UP_SECONDS = 5.0
AGAIN_MS = 100.0
THRESHOLDS = {
    "late_ms": LATE_MS,
    "pending_seconds": PENDING_SECONDS,
    "min_affected": MIN_AFFECTED,
    "warning_share": WARNING_SHARE,
    "critical_count": CRITICAL_COUNT,
    "critical_share": CRITICAL_SHARE,
    "give_up_seconds": GIVE_UP_SECONDS,
    "again_ms": AGAIN_MS,
    "race_ms": RACE_MS,
}
_REMARKS = {
    "conntrack-race": "; its twin (A or AAAA from the same socket) was answered",
    "stale-conntrack-entry": "; nothing that those sockets asked was answered any more",
}
_UNKNOWN = ("pending", "refused", "unheard")
_NOT_TOLD = {
    "pending": "all {count:,} lookups were asked just before the capture ended",
    "refused": "all {count:,} lookups were refused by ICMP",
    "unheard": "no packet to who asked was captured, and nobody asked again: it may show one direction only",
}
_NAMES_SHOWN = 3
_BROADCAST = "255.255.255.255"
_RESOLVER = ["dst", "dst_port"]
_QUESTION = ["src", "query", "type"]


def dns_timeout(case: Case) -> list[Finding]:
    """One finding a resolver (address and port) that left lookups unanswered, or answered late."""
    lookups = _unicast(case.lookups)
    if lookups.empty:
        why = f" (the capture filter was: {case.filter})" if case.filter else ""
        reason = f"no DNS lookup was captured{why}"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    silent = not lookups["answered"].any()
    if silent and (reason := one_direction(case)):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(lookups))]
    rows = _with_outcome(case, lookups)
    affected = rows[rows["outcome"].isin(["unanswered", "late"])]
    if affected.empty:
        return [_nothing(case, rows)]
    groups, rest = largest(affected, _RESOLVER)
    return [_finding(case, rows, group) for group in groups] + many_more(
        RULE,
        case,
        rest.assign(stream=None),
        keys=_RESOLVER,
        deed="resolvers left lookups unanswered or late",
        times=("time", "until"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )


def _unicast(lookups: pd.DataFrame) -> pd.DataFrame:
    to_all = [
        a for a in lookups["dst"].dropna().unique() if a == _BROADCAST or ip_address(str(a)).is_multicast
    ]
    return lookups[~lookups["dst"].isin(to_all)].astype({"src": "object", "dst": "object"})


def _with_outcome(case: Case, lookups: pd.DataFrame) -> pd.DataFrame:
    """Adds outcome (answered, late, unanswered, pending, refused, unheard), retried and until (times).

    `refused`: an ICMP error answered it, which is connection-refused's;
    `unheard`: nothing that came back to the client was captured, and it did not ask again, as all do.
    """
    import pandas as pd

    rows = lookups.sort_values("time", kind="stable").reset_index(drop=True)
    answered = rows["answered"].astype(bool)
    late = (rows["response_ms"] > LATE_MS).fillna(value=False)
    recent = rows["time"] > case.end - pd.Timedelta(seconds=PENDING_SECONDS)
    following = rows.groupby(_QUESTION, dropna=False)["time"].shift(-1)
    rows["retried"] = following.where(following - rows["time"] >= pd.Timedelta(milliseconds=AGAIN_MS))
    rows["outcome"] = "unanswered"
    rows.loc[~answered & recent & rows["retried"].isna(), "outcome"] = "pending"
    deaf = ~rows["src"].isin(case.packets["dst"].dropna().unique())
    patient = (
        rows["retried"].isna().groupby([rows[name] for name in _RESOLVER], dropna=False).transform("all")
    )
    rows.loc[(rows["outcome"] == "unanswered") & deaf & patient, "outcome"] = "unheard"
    rows.loc[rows["number"].isin(unreachable(case)["refused"]), "outcome"] = "refused"
    rows.loc[answered, "outcome"] = "answered"
    rows.loc[answered & late, "outcome"] = "late"
    rows["until"] = _until(case, rows)
    return rows


def _until(case: Case, rows: pd.DataFrame) -> pd.Series:
    """The end of the wait: the answer, from whomever; the next attempt; at most what a client waits."""
    import pandas as pd

    arrival = rows["time"] + pd.to_timedelta(rows["response_ms"], unit="ms")
    next_arrival = arrival[::-1].groupby([rows[c] for c in _QUESTION], dropna=False).cummin()[::-1]
    given_up = rows["time"] + pd.Timedelta(seconds=GIVE_UP_SECONDS)
    ended = pd.Series(case.end, index=rows.index)
    limits = pd.concat([given_up, rows["retried"], next_arrival, ended], axis=1).min(axis=1)
    until: pd.Series = limits.where(rows["outcome"] != "late", arrival)
    return until


def _finding(case: Case, rows: pd.DataFrame, affected: pd.DataFrame) -> Finding:
    first = affected.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    asked = like(rows[~rows["outcome"].isin(_UNKNOWN)], first, _RESOLVER)
    resolver = case.endpoint(address, port, time=first["time"])
    frames = [*affected["number"], *affected["response"].dropna()]
    likely = causes(case, asked, affected)
    return found(
        RULE,
        case,
        title=_title(resolver, asked, affected) + _REMARKS.get(likely[0], ""),
        severity=_severity(len(affected), len(asked)),
        certainty=0.95 if asked["answered"].any() else 0.85,
        consistent_with=likely,
        source=case.clients(affected["src"], time=first["time"]),
        destination=resolver,
        span=(affected["time"].min(), affected["until"].max()),
        affected=len(affected),
        total=len(asked),
        seconds_lost=union_seconds(affected["time"], affected["until"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, otherwise=f"dns && {address_filter('addr', address)}"),
        next_step=next_step(case, likely[0], address, port, first),
    )


def _title(resolver: str, asked: pd.DataFrame, affected: pd.DataFrame) -> str:
    unanswered = affected[affected["outcome"] == "unanswered"]
    late = affected[affected["outcome"] == "late"]
    parts = []
    if len(unanswered):
        parts.append(f"left {len(unanswered):,} of {len(asked):,} lookups unanswered")
    if len(late):
        median = late["response_ms"].median() / 1000.0
        parts.append(f"answered {len(late):,} of {len(asked):,} late (median {median:.1f} s)")
    gaps = (unanswered["retried"] - unanswered["time"]).dt.total_seconds().dropna()
    again = f"; asked again after {gaps.median():.1f} s" if len(gaps) else ""
    return f"{resolver} {' and '.join(parts)}: {_names(affected)}{again}"


def _names(affected: pd.DataFrame) -> str:
    counts = affected["query"].fillna("?").value_counts()
    shown = ", ".join(printable(str(name)) for name in counts.index[:_NAMES_SHOWN])
    more = len(counts) - _NAMES_SHOWN
    return f"{shown} and {more:,} more names" if more > 0 else shown


def _severity(count: int, total: int) -> Severity:
    share = count / total
    if count >= CRITICAL_COUNT and share >= CRITICAL_SHARE:
        return "critical"
    if share >= CRITICAL_SHARE or (count >= MIN_AFFECTED and share >= WARNING_SHARE):
        return "warning"
    return "info"


def _nothing(case: Case, rows: pd.DataFrame) -> Finding:
    asked = rows[~rows["outcome"].isin(_UNKNOWN)]
    pending = int((rows["outcome"] == "pending").sum())
    if asked.empty:
        reason = _NOT_TOLD[str(rows["outcome"].value_counts().index[0])].format(count=len(rows))
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(rows))
    slowest = asked["response_ms"].max()
    title = f"all {len(asked):,} lookups were answered, the slowest after {slowest:,.0f} ms"
    if pending:
        title += f" ({pending:,} more were asked just before the capture ended)"
    return ruled_out(RULE, case, title=title, total=len(asked), thresholds=THRESHOLDS)
