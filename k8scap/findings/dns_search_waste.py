"""dns-search-waste: names that were asked with one suffix after the other before they were asked as they are.

With `options ndots:5` in resolv.conf, as in every pod, a name with fewer than five dots is first asked with
each suffix of the search list (resolv.conf(5)); what lies outside the cluster does not exist under any of
them. A question is wasted when it was answered with NXDOMAIN (RFC 1035: there is no such name), and the same
client then asked for the same name without its last labels, and that name exists.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from k8scap.findings.case import printable
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import in_pod
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "dns-search-waste"
WITHIN_SECONDS = 30.0
MAX_SUFFIX = 10
MIN_LOOKUPS = 3
WASTED_EACH = 3.0
WARNING_MS = 10.0
WARNING_SECONDS = 0.1
THRESHOLDS = {
    "within_seconds": WITHIN_SECONDS,
    "max_suffix": float(MAX_SUFFIX),
    "min_lookups": float(MIN_LOOKUPS),
    "wasted_each": WASTED_EACH,
    "warning_ms": WARNING_MS,
    "warning_seconds": WARNING_SECONDS,
}
_NO_SUCH_NAME = 3
_NAMES_SHOWN = 3
_RESOLVER = ["dst", "dst_port"]


def dns_search_waste(case: Case) -> list[Finding]:
    """One finding a resolver (address and port) that was asked in vain before names were found."""
    answered = case.lookups[case.lookups["answered"].astype(bool)]
    if answered.empty:
        why = f" (the capture filter was: {case.filter})" if case.filter else ""
        reason = f"no DNS lookup that was answered was captured{why}"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    rows = answered.astype({"src": "object", "dst": "object"})
    wasted = wasted_questions(rows)
    if wasted.empty:
        title = (
            f"none of {len(rows):,} questions was asked in vain before its name was found without a suffix"
        )
        return [ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)]
    groups, _ = largest(wasted, _RESOLVER)
    return [_finding(case, rows, group) for group in groups]


def wasted_questions(answered: pd.DataFrame) -> pd.DataFrame:
    """Those of answered lookups that were in vain, with `name` (as it exists), `lookup` and `until`.

    `lookup` is the frame that asked for the name as it is, one for all questions that came before it;
    `until` is when the answer to the vain question came.
    """
    import pandas as pd

    existing = answered[answered["rcode"] == 0]
    failed = answered[answered["rcode"] == _NO_SUCH_NAME]
    shorter = _without_suffix(failed["query"].unique(), existing["query"].unique())
    failed = failed.assign(name=failed["query"].map(shorter).astype("object")).dropna(subset="name")
    asked = existing[["time", "src", "query", "number"]].rename(columns={"query": "name", "number": "lookup"})
    joined = pd.merge_asof(
        failed.sort_values("time", kind="stable"),
        asked.astype({"name": "object"}).sort_values("time", kind="stable"),
        on="time",
        by=["src", "name"],
        direction="forward",
        tolerance=pd.Timedelta(seconds=WITHIN_SECONDS),
    )
    joined = joined.dropna(subset="lookup")
    return joined.assign(until=joined["time"] + pd.to_timedelta(joined["response_ms"], unit="ms"))


def _without_suffix(failed: Iterable[str], existing: Iterable[str]) -> dict[str, str]:
    """Of each name that failed, the longest beginning (in whole labels) that exists."""
    there = set(existing)
    heads = {name.partition(".")[0] for name in there}
    found: dict[str, str] = {}
    for name in failed:
        shorter = name if name.partition(".")[0] in heads else ""
        for _ in range(MAX_SUFFIX):
            shorter = shorter.rpartition(".")[0]
            if not shorter:
                break
            if shorter in there:
                found[name] = shorter
                break
    return found


def _finding(case: Case, rows: pd.DataFrame, wasted: pd.DataFrame) -> Finding:
    first = wasted.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    each = wasted.groupby("lookup")
    costs_ms = (each["until"].max() - each["time"].min()).dt.total_seconds() * 1000.0
    seconds = union_seconds(wasted["time"], wasted["until"])
    resolver = case.endpoint(address, port, time=first["time"])
    frames = [*wasted["number"], *wasted["response"].dropna()]
    costly = (
        len(costs_ms) >= MIN_LOOKUPS
        and each.size().median() >= WASTED_EACH
        and costs_ms.median() >= WARNING_MS
        and seconds >= WARNING_SECONDS
    )
    return found(
        RULE,
        case,
        title=_title(resolver, wasted, each.size(), costs_ms),
        severity="warning" if costly else "info",
        certainty=0.95,
        consistent_with=("ndots", "missing-trailing-dot"),
        source=case.clients(wasted["src"], time=first["time"]),
        destination=resolver,
        span=(wasted["time"].min(), wasted["until"].max()),
        affected=len(wasted),
        total=len(like(rows, first, _RESOLVER)),
        seconds_lost=seconds,
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, otherwise=f"dns && {address_filter('addr', address)}"),
        next_step=_next_step(case, first),
    )


def _next_step(case: Case, first: pd.Series) -> str:
    """The client's own resolv.conf; dig shows the detour where it cannot be reached."""
    cat = ["cat", "/etc/resolv.conf"]
    if step := in_pod(case, first["src"], cat, time=first["time"]):
        return step
    target = str(case.manifest.target.get("text", "")) if case.manifest else ""
    if target:
        return shlex.join(["k8scap", "enter", target, "--mount", "--", *cat])
    return shlex.join(["dig", "+search", "+showsearch", "-q", printable(str(first["name"]))])


def _title(resolver: str, wasted: pd.DataFrame, sizes: pd.Series, costs_ms: pd.Series) -> str:
    names = wasted["name"].value_counts()
    shown = ", ".join(printable(str(name)) for name in names.index[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN:,} more names" if len(names) > _NAMES_SHOWN else ""
    lookups = "1 lookup" if len(sizes) == 1 else f"{len(sizes):,} lookups"
    return (
        f"{resolver} was asked {len(wasted):,} times in vain, over a search list, before {lookups} of names "
        f"that exist without it: {shown}{more}; {sizes.median():.0f} questions and "
        f"{costs_ms.median():,.0f} ms each (median)"
    )
