"""dns-failure: questions that the resolver answered with SERVFAIL or REFUSED (RFC 1035, 4.1.1).

That a name does not exist (NXDOMAIN) is an answer, and not this rule's. Clients take a failure for a reason
to ask the next resolver: where that one knew at once, it cost next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.case import printable
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "dns-failure"
SETTLED_SECONDS = 1.0
MIN_AFFECTED = 2
WARNING_SHARE = 0.01
CRITICAL_COUNT = 3
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "settled_seconds": SETTLED_SECONDS,
    "min_affected": float(MIN_AFFECTED),
    "warning_share": WARNING_SHARE,
    "critical_count": float(CRITICAL_COUNT),
    "critical_share": CRITICAL_SHARE,
}
_SERVFAIL, _REFUSED = 2, 5
_SAID = {_SERVFAIL: "SERVFAIL", _REFUSED: "REFUSED"}
_SETTLED = (0, 3)
_NAMES_SHOWN = 3
_RESOLVER = ["dst", "dst_port"]
_QUESTION = ["src", "query", "type"]


def dns_failure(case: Case) -> list[Finding]:
    """One finding a resolver (address and port) that said it failed, or that it would not answer."""
    answered = case.lookups[case.lookups["answered"].astype(bool)]
    if answered.empty:
        why = f" (the capture filter was: {case.filter})" if case.filter else ""
        reason = f"no DNS lookup that was answered was captured{why}"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    rows = answered.astype({"src": "object", "dst": "object"})
    failing = rows["rcode"].isin(list(_SAID))
    failed = _with_end(rows[rows["query"].isin(rows.loc[failing, "query"].unique())])
    if not failing.any():
        title = f"none of {len(rows):,} answers to lookups was a failure or a refusal"
        return [ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)]
    groups, rest = largest(failed, _RESOLVER)
    return [_finding(case, rows, group) for group in groups] + many_more(
        RULE,
        case,
        rest.assign(stream=None),
        keys=_RESOLVER,
        deed="resolvers failed, or refused to answer",
        times=("time", "until"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )


def _with_end(answered: pd.DataFrame) -> pd.DataFrame:
    """The failures, with `settled` (bool: within a second the client knew, from whomever) and `until`."""
    import pandas as pd

    rows = answered.sort_values("time", kind="stable").reset_index(drop=True)
    rows["until"] = rows["time"] + pd.to_timedelta(rows["response_ms"], unit="ms")
    known = rows["until"].where(rows["rcode"].isin(_SETTLED))
    later = known[::-1].groupby([rows[c] for c in _QUESTION], dropna=False).cummin()[::-1]
    later = later.groupby([rows[c] for c in _QUESTION], dropna=False).bfill()
    rows["settled"] = later - rows["time"] <= pd.Timedelta(seconds=SETTLED_SECONDS)
    rows["until"] = rows["until"].where(~rows["settled"], later)
    return rows[rows["rcode"].isin(list(_SAID))]


def _finding(case: Case, rows: pd.DataFrame, failed: pd.DataFrame) -> Finding:
    first = failed.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    asked = like(rows, first, _RESOLVER)
    resolver = case.endpoint(address, port, time=first["time"])
    frames = [*failed["number"], *failed["response"].dropna()]
    return found(
        RULE,
        case,
        title=_title(resolver, asked, failed),
        severity=_severity(failed, asked),
        certainty=0.97,
        consistent_with=_causes(asked, failed),
        source=case.clients(failed["src"], time=first["time"]),
        destination=resolver,
        span=(failed["time"].min(), failed["until"].max()),
        affected=len(failed),
        total=len(asked),
        seconds_lost=union_seconds(failed["time"], failed["until"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, otherwise=f"dns && {address_filter('addr', address)}"),
        next_step=_next_step(case, address, port, first),
    )


def _title(resolver: str, asked: pd.DataFrame, failed: pd.DataFrame) -> str:
    said = " and ".join(_SAID[code] for code in sorted(failed["rcode"].unique()))
    names = failed["query"].fillna("?").value_counts()
    shown = ", ".join(printable(str(name)) for name in names.index[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN:,} more names" if len(names) > _NAMES_SHOWN else ""
    known = "; each question was answered at once when it was asked again" if failed["settled"].all() else ""
    return f"{resolver} answered {len(failed):,} of {len(asked):,} lookups with {said}: {shown}{more}{known}"


def _severity(failed: pd.DataFrame, asked: pd.DataFrame) -> Severity:
    lasting = failed[~failed["settled"]]
    share = len(lasting) / len(asked)
    if len(lasting) >= CRITICAL_COUNT and share >= CRITICAL_SHARE:
        return "critical"
    if share >= CRITICAL_SHARE or (len(lasting) >= MIN_AFFECTED and share >= WARNING_SHARE):
        return "warning"
    return "info"


def _causes(asked: pd.DataFrame, failed: pd.DataFrame) -> tuple[str, ...]:
    """Some names only: those zones; all names, or some of the same: the resolver or what is behind it."""
    others = asked[asked["rcode"].isin(_SETTLED)]
    only_these = len(others) > 0 and not set(failed["query"]) & set(others["query"])
    if (failed["rcode"] == _REFUSED).mean() > 0.5:
        if only_these:
            return ("not-its-zone", "access-list", "rate-limit")
        return ("access-list", "not-its-zone", "rate-limit")
    if only_these:
        return ("broken-delegation", "upstream-failure", "dnssec-failure")
    return ("upstream-failure", "resolver-overload", "broken-delegation")


def _next_step(case: Case, address: str, port: int, first: pd.Series) -> str:
    """The same question past the DNSSEC check: an answer now says that the signatures are the trouble."""
    name, kind = printable(str(first["query"])), str(first["type"]) or "A"
    return inside(case, ["dig", f"@{address}", "-p", str(port), "+cd", "-t", kind, "-q", name])
