"""slow-server: the request had arrived, the path was quick, and the answer still took its time.

The wait is what passes between a request's last byte and its answer's first byte at the capture point,
less the path's round trip from there to the server, less what retransmissions took, and not counted at
all where the client had closed its window. Of two connections that a sidecar made of one, the one on the
server's side of the proxy counts: see slow_proxy for the other. What slow_endpoint tells does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.throttling import THROTTLED_SHARE, throttling
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out
from k8scap.findings.waits import waits

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "slow-server"
SLOW_MS = 100.0
RTT_FACTOR = 2.0
MIN_SLOW = 3
WARNING_SHARE = 0.2
CRITICAL_SHARE = 0.5
CRITICAL_MS = 1000.0
UNANSWERED_MS = 5000.0
GIVE_UP_MS = 60000.0
TIMER_MS = 9000.0
TIMER_SPREAD = 0.02
HEARTBEAT_BYTES = 48
POLLER_MS = 1000.0
THRESHOLDS = {
    "slow_ms": SLOW_MS,
    "rtt_factor": RTT_FACTOR,
    "min_slow": MIN_SLOW,
    "warning_share": WARNING_SHARE,
    "critical_share": CRITICAL_SHARE,
    "critical_ms": CRITICAL_MS,
    "unanswered_ms": UNANSWERED_MS,
    "give_up_ms": GIVE_UP_MS,
    "timer_ms": TIMER_MS,
    "timer_spread": TIMER_SPREAD,
    "heartbeat_bytes": HEARTBEAT_BYTES,
    "poller_ms": POLLER_MS,
    "throttled_share": THROTTLED_SHARE,
}
SERVER = ["dst", "dst_port"]
_HTTP_PORTS = {80, 3000, 5000, 8000, 8008, 8080, 8081, 8888, 9090}
_THROTTLE_PERIOD_MS = 100.0
_MIN_PERIODS = 6
"""Waits from which it is no chance that four in five lie near multiples of the period: 2 in 1,000."""
_SAME_PERIODS = 0.8
"""Share of the waits: where more last as many periods, it may be a constant of the server or the path."""


def slow_server(case: Case) -> list[Finding]:
    """One finding a server (address and port) that keeps enough of its requests waiting."""
    if case.exchanges.empty:
        reason = one_direction(case) or "no TCP conversation with a request and an answer was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if case.exchanges["response_start"].isna().all():
        reason = one_direction(case) or "no request in this capture was answered"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(case.exchanges))]
    rows = waits(case, give_up_ms=GIVE_UP_MS)
    rows = rows[~rows["stream"].isin(case.behind_proxies)]
    rows = rows[rows["answered"] | (rows["wait_ms"] >= UNANSWERED_MS)]
    told = case.endpoint_waits
    rows = rows[~rows.index.isin(told.loc[told["told"], "exchange"])]
    kept = rows[is_slow(rows)]
    often = kept[kept.groupby(SERVER, observed=True)["dst"].transform("size") >= MIN_SLOW]
    if often.empty:
        return [_nothing(case, rows)]
    groups, rest = largest(often, SERVER)
    return [_finding(case, like(rows, slow.iloc[0], SERVER), slow) for slow in groups] + many_more(
        RULE,
        case,
        rest,
        keys=SERVER,
        deed="servers kept requests waiting",
        times=("request_end", "wait_end"),
        frames=[*rest["request_frame"].dropna(), *rest["response_frame"].dropna()],
        thresholds=THRESHOLDS,
    )


def is_slow(rows: pd.DataFrame) -> pd.Series:
    """Which waits (`wait_ms` on a path of `rtt_ms`) are long for people, and for their path."""
    slow: pd.Series = rows["wait_ms"] >= (RTT_FACTOR * rows["rtt_ms"]).clip(lower=SLOW_MS)
    return slow


def _innocent(rows: pd.DataFrame, slow: pd.DataFrame) -> str:
    """What else such waits may be; empty where they are what they seem.

    A server that never answers is sent to, not asked; waits may end with a timer; connections may be there
    to wait.
    """
    if not rows["answered"].any():
        return "one-way"
    low, middle, high = slow["wait_ms"].quantile([0.1, 0.5, 0.9])
    if slow["answered"].all() and low >= TIMER_MS and (high - low) <= TIMER_SPREAD * middle:
        return "timer"
    if low >= POLLER_MS and _all_alike(slow["request_bytes"]):
        return "heartbeat"
    shortest = rows[rows["answered"]].groupby("stream")["wait_ms"].agg(["min", "size"])
    pollers = shortest[(shortest["min"] >= POLLER_MS) & (shortest["size"] > 1)].index
    others = rows[~rows["stream"].isin(pollers)]
    return "poller" if len(pollers) and _mostly_quick(others) else ""


def _all_alike(sizes: pd.Series) -> bool:
    """What a client says to a ping, or to each thing that it is told: few bytes, and always as many."""
    return bool(sizes.max() <= HEARTBEAT_BYTES and sizes.max() == sizes.min())


def _mostly_quick(rows: pd.DataFrame) -> bool:
    """Not slow by what this rule calls so, were they all that the server was asked."""
    slow = is_slow(rows)
    few = slow.sum() < MIN_SLOW and slow.mean() < CRITICAL_SHARE
    return len(rows) >= MIN_SLOW and bool(few or slow.mean() < WARNING_SHARE)


def _severity(rows: pd.DataFrame, slow: pd.DataFrame, innocent: str) -> Severity:
    share = len(slow) / len(rows)
    if innocent or share < WARNING_SHARE:
        return "info"
    if share >= CRITICAL_SHARE and slow["wait_ms"].median() >= CRITICAL_MS:
        return "critical"
    return "warning"


def _finding(case: Case, rows: pd.DataFrame, slow: pd.DataFrame) -> Finding:
    innocent = _innocent(rows, slow)
    first = slow.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    server = case.endpoint(address, port, time=first["request_end"])
    frames = [*slow["request_frame"].dropna(), *slow["response_frame"].dropna()]
    severity = _severity(rows, slow, innocent)
    said = throttling(case, slow)
    return found(
        RULE,
        case,
        title=_title(server, rows, slow, innocent) + said.remark,
        severity=severity,
        certainty=0.6 if severity == "info" else 0.97 if said.throttled else 0.9,
        consistent_with=said.ranked(_causes(slow, innocent)),
        source=case.clients(slow["src"], time=first["request_end"]),
        destination=server,
        span=(slow["request_end"].min(), slow["wait_end"].max()),
        affected=len(slow),
        total=len(rows),
        seconds_lost=union_seconds(slow["request_end"], slow["wait_end"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=slow["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port} && tcp.len > 0",
        ),
        next_step=_next_step(case, address, port, time=first["request_end"]),
    )


def _title(server: str, rows: pd.DataFrame, slow: pd.DataFrame, innocent: str) -> str:
    median, late = slow["wait_ms"].quantile([0.5, 0.95])
    silent = int((~slow["answered"]).sum())
    title = (
        f"{server} kept {len(slow):,} of {len(rows):,} requests waiting: median {median:,.0f} ms, "
        f"95 % within {late:,.0f} ms, on a path of {slow['rtt_ms'].median():,.1f} ms"
    )
    if silent:
        title += f"; {silent:,} got no answer"
    return title + _REMARK[innocent]


_REMARK = {
    "": "",
    "one-way": "; it answered none: a protocol without answers, or a server that hangs",
    "heartbeat": "; each request is the same few bytes (answers to a server's pings or pushes)",
    "timer": "; they end like a timer (long poll, heartbeat, or a time-out behind the server)",
    "poller": "; other connections to it are answered at once (long polls, or one slow backend)",
}


def _causes(slow: pd.DataFrame, innocent: str) -> tuple[str, ...]:
    if innocent == "one-way":
        return ("one-way-protocol", "hung-server")
    if innocent == "heartbeat":
        return ("server-push", "heartbeat", "slow-application")
    if innocent == "timer":
        return ("long-poll", "heartbeat", "upstream-time-out")
    if innocent == "poller":
        return ("long-poll", "slow-backend")
    waits_ms = slow["wait_ms"]
    periods = (waits_ms / _THROTTLE_PERIOD_MS).round()
    apart = (waits_ms - periods * _THROTTLE_PERIOD_MS).abs()
    differ = periods.value_counts(normalize=True).iloc[0] <= _SAME_PERIODS
    if len(slow) >= _MIN_PERIODS and differ and apart.quantile(0.8) < 10:
        return ("cpu-throttling", "slow-application", "slow-dependency")
    return ("slow-application", "slow-dependency", "cpu-throttling", "worker-pool-exhausted")


def _next_step(case: Case, address: str, port: int, *, time: datetime) -> str:
    """The server's throttling where its pod is known; else the same wait seen without this client."""
    if step := in_pod(case, address, ["cat", "/sys/fs/cgroup/cpu.stat"], time=time):
        return step
    if port in _HTTP_PORTS:
        host = f"[{address}]" if ":" in address else address
        times = "connected %{time_connect} s, first byte %{time_starttransfer} s\\n"
        return inside(case, ["curl", "-sS", "-o", "/dev/null", "-w", times, f"http://{host}:{port}/"])
    return inside(case, ["ss", "-tinm", "dst", address, "and", "dport", "=", f":{port}"])


def _nothing(case: Case, rows: pd.DataFrame) -> Finding:
    slow = int(is_slow(rows).sum())
    late = rows["wait_ms"].quantile(0.95)
    title = f"{slow:,} of {len(rows):,} requests waited {SLOW_MS:g} ms or more; 95 % within {late:,.1f} ms"
    return ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)
