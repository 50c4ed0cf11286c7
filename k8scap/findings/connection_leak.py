"""connection-leak: a client opens connections faster than it closes them, and the open ones pile up unused.

A pool takes an idle connection before it opens another: a client that passes over its idle ones time and
again has lost them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import MAX_GROUPS, many_more
from k8scap.findings.piled_up import (
    CLOSED_SHARE,
    EVEN_FROM,
    EVEN_TO,
    LEFT_SHARE,
    MIN_LEFT,
    MIN_SECONDS,
    OPENING_SHARE,
    PAIR,
    PASSED_OVER,
    REUSED_SHARE,
)
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "connection-leak"
HALF_CLOSED_SHARE = 0.5
THRESHOLDS = {
    "min_left": float(MIN_LEFT),
    "passed_over": float(PASSED_OVER),
    "left_share": LEFT_SHARE,
    "closed_share": CLOSED_SHARE,
    "reused_share": REUSED_SHARE,
    "min_seconds": MIN_SECONDS,
    "opening_share": OPENING_SHARE,
    "even_from": EVEN_FROM,
    "even_to": EVEN_TO,
    "half_closed_share": HALF_CLOSED_SHARE,
}


def connection_leak(case: Case) -> list[Finding]:
    """One finding a client and server between which unused connections pile up."""
    opened = int(case.tcp_conversations["connect_ms"].notna().sum())
    if not opened:
        reason = "no TCP connection was captured from its SYN on"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if reason := one_direction(case):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=opened)]
    leaks, doubtful = case.piled_up
    if not leaks:
        return [_nothing(case, doubtful, opened)]
    return [_finding(case, rows) for rows in leaks[:MAX_GROUPS]] + _rest(case, leaks[MAX_GROUPS:])


def _nothing(case: Case, doubtful: list[pd.DataFrame], opened: int) -> Finding:
    if doubtful:
        left = int(doubtful[0]["left"].sum())
        reason = (
            f"{left:,} connections to one server are open and unused, but not opened evenly, to the end, "
            f"and for {MIN_SECONDS:g} s: a pool may have filled; a longer capture tells"
        )
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=opened)
    title = (
        f"of {opened:,} connections that were opened, none pile up unused between one client and one server"
    )
    return ruled_out(RULE, case, title=title, total=opened, thresholds=THRESHOLDS)


def _finding(case: Case, rows: pd.DataFrame) -> Finding:
    made, left = rows[rows["opened"]], rows[rows["left"]]
    first = made.iloc[0]
    client, address, port = str(first["src"]), str(first["dst"]), int(first["dst_port"])
    server = case.endpoint(address, port, time=first["start"])
    seconds = (made["start"].max() - made["start"].min()).total_seconds()
    idle = (case.end - left["last_used"]).dt.total_seconds().median()
    half_closed = int(left["half_closed"].sum())
    said = f"; the server has closed {half_closed:,} of them" if half_closed else ""
    return found(
        RULE,
        case,
        title=f"{len(made):,} connections to {server} were opened in {seconds:,.1f} s, and "
        f"{rows['closed'].sum():,} closed: {len(left):,} are open and were not used again, "
        f"for {idle:,.1f} s in the median{said}",
        severity="warning",
        certainty=0.85,
        consistent_with=_causes(half_closed, len(left)),
        source=case.host(client, time=first["start"]),
        destination=server,
        span=(made["start"].min(), case.end),
        affected=len(left),
        total=len(made),
        thresholds=THRESHOLDS,
        frames=left["first_frame"],
        display_filter=display_filter(
            (),
            streams=left["stream"],
            otherwise=f"{address_filter('addr', client)} && {address_filter('addr', address)} "
            f"&& tcp.port == {port}",
        ),
        next_step=_next_step(case, client, address, port, time=first["start"]),
    )


def _causes(half_closed: int, left: int) -> tuple[str, ...]:
    """Who closes nothing at all has lost them; who leaves what the server closed does not look."""
    if half_closed >= HALF_CLOSED_SHARE * left:
        return ("close-wait", "unclosed-connections", "client-per-request")
    return ("unclosed-connections", "client-per-request", "sessions-held-open")


def _next_step(case: Case, client: str, address: str, port: int, *, time: datetime) -> str:
    """The client's sockets to that server, with their owners: how many it holds by now."""
    sockets = ["ss", "-tnpo", "dst", f"[{address}]" if ":" in address else address]
    sockets += ["dport", "=", f":{port}"]
    return in_pod(case, client, sockets, time=time) or inside(case, sockets)


def _rest(case: Case, leaks: list[pd.DataFrame]) -> list[Finding]:
    import pandas as pd

    if not leaks:
        return []
    left = pd.concat([rows[rows["left"]] for rows in leaks])
    return many_more(
        RULE,
        case,
        left,
        keys=PAIR,
        deed="pairs of client and server pile up unused connections",
        times=("last_used", "last_used"),
        frames=left["first_frame"],
        thresholds=THRESHOLDS,
    )
