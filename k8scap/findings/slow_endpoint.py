"""slow-endpoint: one path, statement or command of a server is slow, while it answers the others at once.

Where the whole server is slow that is slow_server's; what is told here does not count there. The wait is the
server's part, as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.case import printable, socket_address
from k8scap.findings.endpoint_waits import HTTP, SQL
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import finder, largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.slow_endpoints import (
    BY_CHANCE,
    ENDPOINT_SHARE,
    MIN_OTHERS,
    TIMES_SLOWER,
    WAITING_SHARE,
)
from k8scap.findings.slow_server import (
    CRITICAL_MS,
    CRITICAL_SHARE,
    MIN_SLOW,
    POLLER_MS,
    RTT_FACTOR,
    SERVER,
    SLOW_MS,
    TIMER_MS,
    TIMER_SPREAD,
    WARNING_SHARE,
)
from k8scap.findings.steps import all_of, inside, logs_of
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "slow-endpoint"
WARNING_TIME_SHARE = 0.2
THRESHOLDS = {
    "slow_ms": SLOW_MS,
    "rtt_factor": RTT_FACTOR,
    "min_slow": MIN_SLOW,
    "endpoint_share": ENDPOINT_SHARE,
    "min_others": MIN_OTHERS,
    "others_share": WARNING_SHARE,
    "times_slower": TIMES_SLOWER,
    "by_chance": BY_CHANCE,
    "warning_time_share": WARNING_TIME_SHARE,
    "critical_share": CRITICAL_SHARE,
    "critical_ms": CRITICAL_MS,
    "timer_ms": TIMER_MS,
    "timer_spread": TIMER_SPREAD,
    "poller_ms": POLLER_MS,
    "waiting_share": WAITING_SHARE,
}
_ENDPOINT = [*SERVER, "endpoint"]
_LONGEST = 80  # characters of a statement in a title
_SAFE = ("GET", "HEAD")  # RFC 9110, 9.2.1


def slow_endpoint(case: Case) -> list[Finding]:
    """One finding an endpoint that is slow at a server whose other endpoints are quick."""
    rows = case.endpoint_waits
    if rows.empty:
        reason = "no request that says what it asks for could be read with its answer (it may be encrypted)"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    told = rows[rows["told"]]
    if told.empty:
        return [_nothing(case, rows)]
    groups, rest = largest(told[told["slow"]], _ENDPOINT)
    of_server, of_endpoint = finder(rows, SERVER), finder(rows, _ENDPOINT)
    return [
        _finding(case, slow, of_endpoint(slow.iloc[0]), of_server(slow.iloc[0])) for slow in groups
    ] + many_more(
        RULE,
        case,
        rest,
        keys=_ENDPOINT,
        deed="endpoints were slow beside quick ones",
        times=("wait_start", "wait_end"),
        frames=[*rest["number"], *rest["response"]],
        thresholds=THRESHOLDS,
    )


def _finding(case: Case, slow: pd.DataFrame, same: pd.DataFrame, of_server: pd.DataFrame) -> Finding:
    first = slow.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    server = case.endpoint(address, port, time=first["wait_start"])
    others = of_server[~of_server["told"]]
    frames = [*slow["number"], *slow["response"]]
    return found(
        RULE,
        case,
        title=_title(server, slow, same, others),
        severity=_severity(slow, of_server),
        certainty=0.9,
        consistent_with=_causes(str(first["protocol"])),
        source=case.clients(slow["src"], time=first["wait_start"]),
        destination=server,
        span=(slow["wait_start"].min(), slow["wait_end"].max()),
        affected=len(slow),
        total=len(same),
        seconds_lost=union_seconds(slow["wait_start"], slow["wait_end"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=slow["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port} && tcp.len > 0",
        ),
        next_step=_next_step(case, first),
    )


def _title(server: str, slow: pd.DataFrame, same: pd.DataFrame, others: pd.DataFrame) -> str:
    median, late = slow["wait_ms"].quantile([0.5, 0.95])
    usual, kinds = others["wait_ms"].median(), others["endpoint"].nunique()
    asked = printable(str(slow["endpoint"].iloc[0]))
    asked = asked if len(asked) <= _LONGEST else f"{asked[: _LONGEST - 1]}…"
    return (
        f"{server} kept {len(slow):,} of {len(same):,} requests for {asked} waiting: "
        f"median {median:,.0f} ms, 95 % within {late:,.0f} ms; {len(others):,} requests for "
        f"{kinds:,} other {'endpoint' if kinds == 1 else 'endpoints'} waited {usual:,.1f} ms in the median"
    )


def _severity(slow: pd.DataFrame, of_server: pd.DataFrame) -> Severity:
    """As of a slow server; one that is seldom asked for costs too little to act upon."""
    share = len(slow) / len(of_server)
    if share >= CRITICAL_SHARE and slow["wait_ms"].median() >= CRITICAL_MS:
        return "critical"
    takes = slow["wait_ms"].sum() / max(of_server["wait_ms"].sum(), 1e-9)
    return "warning" if takes >= WARNING_TIME_SHARE else "info"


def _causes(protocol: str) -> tuple[str, ...]:
    if protocol in HTTP:
        return ("slow-handler", "slow-dependency", "slow-query", "lock-contention")
    if protocol in SQL:
        return ("slow-query", "lock-contention", "missing-index")
    return ("slow-command", "large-value")


def _next_step(case: Case, first: pd.Series) -> str:
    """The log of the server's pod where it is known; else the request again where that is safe."""
    if step := logs_of(case, first["dst"], time=first["wait_start"]):
        return step
    path = str(first["target"]).partition("?")[0]
    if first["protocol"] != "HTTP/1" or first["method"] not in _SAFE or "…" in path:
        return all_of(case, "requests")
    host = ["-H", f"Host: {first['host']}"] if first["host"] else []
    times = "connected %{time_connect} s, first byte %{time_starttransfer} s\\n"
    url = f"http://{socket_address(first['dst'], first['dst_port'])}{path}"
    return inside(case, ["curl", "-sS", "-o", "/dev/null", "-w", times, *host, "--", url])


def _nothing(case: Case, rows: pd.DataFrame) -> Finding:
    count = rows.groupby(_ENDPOINT).ngroups
    title = (
        f"none of {count:,} endpoints is slow beside quick ones of its server: "
        f"{int(rows['slow'].sum()):,} of {len(rows):,} requests waited {SLOW_MS:g} ms or more"
    )
    return ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)
