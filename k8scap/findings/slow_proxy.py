"""slow-proxy: a good part of what requests waited was a sidecar's, not the server's and not the path's.

The proxy's share is the think time on the near side of it less that on the far side, request by request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import member_of
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "slow-proxy"
MIN_SHARE = 0.2
MIN_MS = 20.0
MIN_REQUESTS = 3
CRITICAL_SHARE = 0.5
CRITICAL_MS = 500.0
THRESHOLDS = {
    "min_share": MIN_SHARE,
    "min_ms": MIN_MS,
    "min_requests": MIN_REQUESTS,
    "critical_share": CRITICAL_SHARE,
    "critical_ms": CRITICAL_MS,
}
_DESTINATION = ["dst", "dst_port"]
_ENVOY, _LINKERD = {15001, 15006}, {4140, 4143}


def slow_proxy(case: Case) -> list[Finding]:
    """One finding a destination whose requests a sidecar holds up."""
    hops = case.hops
    if hops is None or not hops["exchanges"].any():
        reason = _why_not(hops)
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    rows = hops[hops["exchanges"] > 0]
    slow = rows[_slow(rows)]
    total = int(rows["exchanges"].sum())
    if slow.empty:
        share = rows["proxy_ms"].sum() / max(rows["whole_ms"].sum(), 1e-9)
        title = f"sidecars took {share:.0%} of the time of {total:,} requests"
        return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS)]
    groups, rest = largest(slow, _DESTINATION)
    return [_finding(case, group) for group in groups] + many_more(
        RULE,
        case,
        rest.assign(stream=rest["inner_stream"]),
        keys=_DESTINATION,
        deed="destinations' requests were held up by a sidecar",
        times=("time", "time"),
        frames=(),
        thresholds=THRESHOLDS,
    )


def _why_not(hops: pd.DataFrame | None) -> str:
    if hops is None or hops.empty:
        return "the capture holds no connection on lo: a sidecar's are seen with --interface any"
    return f"none of {len(hops):,} connections on lo could be joined to one outside, exchange by exchange"


def _slow(rows: pd.DataFrame) -> pd.Series:
    """By destination: enough requests, a large share, and enough of each."""
    by = rows.groupby(_DESTINATION, observed=True)
    requests = by["exchanges"].transform("sum")
    proxy, whole = by["proxy_ms"].transform("sum"), by["whole_ms"].transform("sum")
    median = by["proxy_median_ms"].transform("median")
    slow: pd.Series = (requests >= MIN_REQUESTS) & (proxy >= MIN_SHARE * whole) & (median >= MIN_MS)
    return slow


def _finding(case: Case, rows: pd.DataFrame) -> Finding:
    first = rows.iloc[0]
    share = rows["proxy_ms"].sum() / rows["whole_ms"].sum()
    median = float(rows["proxy_median_ms"].median())
    requests = int(rows["exchanges"].sum())
    critical = share >= CRITICAL_SHARE and median >= CRITICAL_MS
    severity: Severity = "critical" if critical else "warning"
    streams = [*rows["inner_stream"], *rows["answer_stream"].dropna(), *rows["outer_stream"]]
    asked = _beyond(case, rows)
    held_up = asked["request_end"] - _span(median)
    server = case.endpoint(first["dst"], int(first["dst_port"]), time=first["time"])
    return found(
        RULE,
        case,
        title=(
            f"the sidecar took {share:.0%} of what {requests:,} requests to {server} waited: "
            f"median {median:,.0f} ms each, on {len(rows):,} connections"
        ),
        severity=severity,
        certainty=0.95 * float(rows["confidence"].median()),
        consistent_with=("proxy-filter", "proxy-cpu-throttling", "proxy-overloaded"),
        source=case.clients(rows["src"], time=first["time"]),
        destination=server,
        span=(rows["time"].min(), asked["response_start"].max()),
        affected=requests,
        total=requests,
        seconds_lost=share * union_seconds(held_up, asked["response_start"]),
        thresholds=THRESHOLDS,
        frames=[*asked["request_frame"].dropna(), *asked["response_frame"].dropna()],
        display_filter=member_of("tcp.stream", sorted(int(stream) for stream in streams)),
        next_step=_next_step(case, int(first["inner_port"])),
    )


def _beyond(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """The answered exchanges on the far side of the proxy, where no redirection makes two of one."""
    far = rows["outer_stream"].where(rows["role"] == "egress", rows["inner_stream"])
    asked = case.exchanges[case.exchanges["stream"].isin(far)]
    return asked[asked["response_start"].notna()]


def _span(milliseconds: float) -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(milliseconds=milliseconds)


def _next_step(case: Case, port: int) -> str:
    """The proxy's own numbers where its port says which it is; else whose port it is."""
    if port in _ENVOY:
        return inside(case, ["curl", "-s", "http://127.0.0.1:15000/stats?filter=upstream_rq_time"])
    if port in _LINKERD:
        return inside(case, ["curl", "-s", "http://127.0.0.1:4191/metrics"])
    return inside(case, ["ss", "-tinp", "sport", "=", f":{port}"])
