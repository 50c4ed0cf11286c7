"""http-errors: answers that say the server failed (RFC 9110, 15.6), or had too many requests (429).

gRPC says it in its own codes (grpc.io, "Status codes"), whatever HTTP says: those that a server is to blame
for count as 5xx do, the others as 4xx. What the client asked wrongly is told without alarm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8scap.findings.case import printable, socket_address
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import all_of, inside, logs_of
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "http-errors"
MIN_ERRORS = 3
WARNING_SHARE = 0.01
CRITICAL_SHARE = 0.2
THRESHOLDS = {
    "min_errors": float(MIN_ERRORS),
    "warning_share": WARNING_SHARE,
    "critical_share": CRITICAL_SHARE,
}
PROTOCOLS = ("HTTP/1", "HTTP/2", "gRPC")
_SERVER = ["dst", "dst_port"]
_GRPC_SERVERS = {
    2,
    4,
    12,
    13,
    14,
    15,
}  # UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
_GRPC_TOO_MANY = 8  # RESOURCE_EXHAUSTED
_GRPC_INNOCENT = {0, 1}  # OK; CANCELLED: the client lost interest
_TOO_MANY = 429
_LAST_STATUS = 599
"""RFC 9110, 15: what lies beyond is no status (a server's `-11` is read as 4,294,967,285)."""
_PATTERNS_SHOWN = 3
_SAFE = ("GET", "HEAD")  # RFC 9110, 9.2.1
_VARIABLE = re.compile(
    r"(?<=/)(?:\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f]{16,})(?=/|$)"
)


def http_errors(case: Case) -> list[Finding]:
    """One finding a server (address and port) that failed, or that was asked wrongly, often enough."""
    rows = _answered(case)
    if rows.empty:
        reason = "no HTTP or gRPC request with its answer could be read (it may be encrypted)"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    failed = rows[rows["kind"] != ""]
    often = failed[failed.groupby(_SERVER)["kind"].transform("size") >= MIN_ERRORS]
    if often.empty:
        title = f"{len(failed):,} of {len(rows):,} HTTP and gRPC answers were errors"
        return [ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)]
    groups, rest = largest(often, _SERVER)
    return [_finding(case, like(rows, group.iloc[0], _SERVER), group) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SERVER,
        deed="servers answered with errors",
        times=("time", "until"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )


def _answered(case: Case) -> pd.DataFrame:
    """Answered requests with `kind` ("server", "too many", "client" or ""), `until` and `pattern`."""
    import pandas as pd

    requests = case.requests
    spoken = requests["protocol"].astype("object").isin(PROTOCOLS)
    rows = requests[spoken & requests["response"].notna()].astype({"src": "object", "dst": "object"})
    code = pd.to_numeric(rows["status"], errors="coerce").fillna(0).astype("int64")
    code = code.where(code <= _LAST_STATUS, 0)
    grpc = (rows["protocol"] == "gRPC") & (code < 100)
    kind = pd.Series("", index=rows.index, dtype="object")
    kind[~grpc & (code >= 400)] = "client"
    kind[~grpc & (code == _TOO_MANY) | grpc & (code == _GRPC_TOO_MANY)] = "too many"
    kind[~grpc & (code >= 500) | grpc & code.isin(_GRPC_SERVERS)] = "server"
    kind[grpc & (kind == "") & ~code.isin(_GRPC_INNOCENT)] = "client"
    until = rows["time"] + pd.to_timedelta(rows["latency_ms"].fillna(0.0), unit="ms")
    patterns = {target: pattern(target) for target in rows["target"].unique()}
    return rows.assign(kind=kind, until=until, pattern=rows["target"].map(patterns))


def pattern(target: str) -> str:
    """A path whose numbers and identifiers are `{…}`, without its query: `/orders/17?x=1` → `/orders/{…}`."""
    return _VARIABLE.sub("{…}", target.partition("?")[0])


def _finding(case: Case, rows: pd.DataFrame, failed: pd.DataFrame) -> Finding:
    serious = failed[failed["kind"] != "client"]
    severity = _severity(len(serious), len(rows))
    shown = serious if severity != "info" else failed
    first = shown.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    server = case.endpoint(address, port, time=first["time"])
    frames = [*shown["number"], *shown["response"].dropna()]
    return found(
        RULE,
        case,
        title=_title(server, rows, shown),
        severity=severity,
        certainty=0.97,
        consistent_with=_causes(shown),
        source=case.clients(shown["src"], time=first["time"]),
        destination=server,
        span=(shown["time"].min(), shown["until"].max()),
        affected=len(shown),
        total=len(rows),
        seconds_lost=union_seconds(shown["time"], shown["until"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=shown["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port} && (http || http2)",
        ),
        next_step=_next_step(case, first),
    )


def _severity(count: int, total: int) -> Severity:
    if count < MIN_ERRORS or count / total < WARNING_SHARE:
        return "info"
    return "critical" if count / total >= CRITICAL_SHARE else "warning"


def _title(server: str, rows: pd.DataFrame, shown: pd.DataFrame) -> str:
    said = _labels(shown).value_counts()
    codes = ", ".join(f"{printable(str(code))} ({count:,})" for code, count in said.items())
    asked, worst = (_paths(table).value_counts() for table in (rows, shown))
    names = [str(path) for path in worst.index[:_PATTERNS_SHOWN]]
    parts = [f"{printable(path)} {worst[path]:,} of {asked[path]:,}" for path in names]
    more = len(worst) - _PATTERNS_SHOWN
    rest = f" and {more:,} more paths" if more > 0 else ""
    return (
        f"{server} answered {len(shown):,} of {len(rows):,} requests with {codes}: {', '.join(parts)}{rest}"
    )


def _paths(rows: pd.DataFrame) -> pd.Series:
    paths: pd.Series = (rows["method"].astype("object") + " " + rows["pattern"]).str.strip()
    return paths


def _labels(shown: pd.DataFrame) -> pd.Series:
    """`503 Service Unavailable`; of gRPC's codes the name says more than the number."""
    grpc = shown["protocol"] == "gRPC"
    words = (shown["status"].astype("object") + " " + shown["error"].astype("object")).str.strip()
    return words.mask(grpc & (shown["error"] != ""), shown["error"])


def _causes(shown: pd.DataFrame) -> tuple[str, ...]:
    status = str(shown["status"].value_counts().index[0])
    known = _GRPC_CAUSES if len(status) < 3 else _HTTP_CAUSES
    return known.get(status, ("application-error",) if status[:1] == "5" else ("wrong-request",))


_HTTP_CAUSES: dict[str, tuple[str, ...]] = {
    "429": ("rate-limit", "retry-storm"),
    "500": ("application-error", "failed-dependency"),
    "502": ("backend-down", "backend-reset", "rollout"),
    "503": ("no-ready-backend", "overload", "circuit-breaker"),
    "504": ("slow-backend", "backend-down", "short-time-out"),
}
_GRPC_CAUSES: dict[str, tuple[str, ...]] = {
    "2": ("application-error",),
    "4": ("slow-backend", "short-time-out"),
    "8": ("rate-limit", "overload"),
    "12": ("wrong-version", "wrong-backend"),
    "13": ("application-error", "proxy-interference"),
    "14": ("no-ready-backend", "rollout", "overload"),
    "15": ("application-error",),
}


def _next_step(case: Case, first: pd.Series) -> str:
    """The server's own log where its pod is known; else the request again where that is safe."""
    if step := logs_of(case, first["dst"], time=first["time"]):
        return step
    if first["protocol"] != "HTTP/1" or first["method"] not in _SAFE:
        return all_of(case, "requests")
    host = ["-H", f"Host: {first['host']}"] if first["host"] else []
    path = str(first["target"]).partition("?")[0]
    url = f"http://{socket_address(first['dst'], first['dst_port'])}{path}"
    return inside(case, ["curl", "-sS", "-i", *host, "--", url])
