"""connection-churn: a connection for each request, where connecting takes a good part of the time.

Those that only the server closes, and that pile up at the client, are connection_leak's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.attempts import milliseconds
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import finder, largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "connection-churn"
MIN_CONNECTIONS = 20
WARNING_SHARE = 0.2
WARNING_SECONDS = 0.5
BUSY_SHARE = 0.05
THRESHOLDS = {
    "min_connections": MIN_CONNECTIONS,
    "warning_share": WARNING_SHARE,
    "warning_seconds": WARNING_SECONDS,
    "busy_share": BUSY_SHARE,
}
_DESTINATION = ["dst", "dst_port"]
_CLOSED = ("SF", "S2", "S3", "RSTO", "RSTR")


def connection_churn(case: Case) -> list[Finding]:
    """One finding a server to which some client made many connections of one request each."""
    asked = _first_requests(case)
    if asked.empty:
        reason = "no connection was captured from its SYN to the answer to its first request"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if reason := one_direction(case):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(asked))]
    short = asked[asked["alone"]]
    sizes = short.groupby(["src", *_DESTINATION])["stream"].transform("size")
    many = short[sizes >= MIN_CONNECTIONS]
    if many.empty:
        title = f"{len(short):,} of {len(asked):,} connections had a single request, few to any one server"
        return [ruled_out(RULE, case, title=title, total=len(asked), thresholds=THRESHOLDS)]
    many = many.assign(costs=_costs(many))
    groups, rest = largest(many[many["costs"]], _DESTINATION)
    if not groups:  # one is told as info; the others need no word
        groups = largest(many, _DESTINATION)[0][:1]
    same = finder(asked, _DESTINATION)
    return [_finding(case, group, len(same(group.iloc[0]))) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_DESTINATION,
        deed="servers had a connection for each request",
        times=("dialled", "connected"),
        frames=rest["request_frame"],
        thresholds=THRESHOLDS,
    )


def _first_requests(case: Case) -> pd.DataFrame:
    """The first exchange of each connection whose SYN was captured and whose request was answered.

    Adds `dialled` (when the SYN that was answered left), `connected` (when the request could be sent),
    `setup_s` and `wall_s` (TCP's and TLS's handshakes, and all until the answer's end, without the waits of
    lost SYNs) and `alone` (the connection was closed after this one exchange).
    """
    conversations = case.tcp_conversations
    rows = case.exchanges[case.exchanges["response_end"].notna()]
    rows = rows.astype({"src": "object", "dst": "object"})
    count = rows["stream"].map(rows["stream"].value_counts())
    closed = conversations.loc[conversations["state"].isin(_CLOSED), "stream"]
    left = [stream for leak in case.piled_up[0] for stream in leak.loc[leak["left"], "stream"]]
    rows = rows.assign(alone=(count == 1) & rows["stream"].isin(closed) & ~rows["stream"].isin(left))
    begun = conversations.loc[conversations["connect_ms"].notna(), "stream"]
    rows = rows[rows["stream"].isin(begun)].drop_duplicates("stream")
    setup = rows["connect_ms"].fillna(0.0) + rows["tls_ms"].fillna(0.0)
    retry = rows["syn_retry_ms"].fillna(0.0)
    return rows.assign(
        dialled=rows["begin"] + milliseconds(retry),
        connected=rows["begin"] + milliseconds(retry + setup),
        setup_s=setup / 1000.0,
        wall_s=(rows["wall_ms"] - retry) / 1000.0,
    )


def _costs(many: pd.DataFrame) -> pd.Series:
    """Rows of those servers where connecting costs something: a share of each request, and of the time."""
    places = many.groupby(_DESTINATION)
    setup = places["setup_s"].transform("sum")
    seconds = (places["response_end"].transform("max") - places["begin"].transform("min")).dt.total_seconds()
    each = (setup >= WARNING_SECONDS) & (setup >= WARNING_SHARE * places["wall_s"].transform("sum"))
    dear = many[each & (setup >= BUSY_SHARE * seconds)]  # a sum is never less than the union
    busy = [
        rows.index
        for _, rows in dear.groupby(_DESTINATION)
        if union_seconds(rows["dialled"], rows["connected"]) >= BUSY_SHARE * seconds[rows.index[0]]
    ]
    costs: pd.Series = each & many.index.isin([row for rows in busy for row in rows])
    return costs


def _finding(case: Case, rows: pd.DataFrame, total: int) -> Finding:
    first = rows.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    share = rows["setup_s"].sum() / max(rows["wall_s"].sum(), 1e-9)
    destination = case.endpoint(address, port, time=first["begin"])
    title = (
        f"{len(rows):,} of {total:,} connections to {destination} were made for one request each: "
        f"{share:.0%} of their time went into connecting"
    )
    return found(
        RULE,
        case,
        title=title,
        severity="warning" if rows["costs"].all() else "info",
        certainty=0.95,
        consistent_with=("no-keep-alive", "no-connection-pool", "server-closes-connections"),
        source=case.clients(rows["src"], time=first["begin"]),
        destination=destination,
        span=(rows["begin"].min(), rows["response_end"].max()),
        affected=len(rows),
        total=total,
        seconds_lost=union_seconds(rows["dialled"], rows["connected"]),
        thresholds=THRESHOLDS,
        frames=rows["request_frame"],
        display_filter=display_filter(
            rows["request_frame"],
            streams=rows["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port}",
        ),
        next_step=_next_step(case, str(first["src"]), address, port, time=first["begin"]),
    )


def _next_step(case: Case, client: str, address: str, port: int, *, time: datetime) -> str:
    """How many of the client's ports wait for their end: each connection leaves one for a minute."""
    sockets = ["ss", "-tn", "state", "time-wait", "dst", f"[{address}]" if ":" in address else address]
    sockets += ["dport", "=", f":{port}"]
    return in_pod(case, client, sockets, time=time) or inside(case, sockets)
