"""tls-failure: handshakes that ended before any application's data, and requests to a port of TLS without it.

What is wrong is said by the alert (RFC 8446, 6). From TLS 1.3 on certificates are encrypted, and so may be
the client's alert about one (OpenSSL's is not, Go's is): that it ended the handshake is then seen, not why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.case import printable
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import inside
from k8scap.findings.tls_handshakes import FAILED, FINISHED_BYTES
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "tls-failure"
MIN_FAILED = 2
WARNING_SHARE = 0.01
CRITICAL_COUNT = 3
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "min_failed": float(MIN_FAILED),
    "warning_share": WARNING_SHARE,
    "critical_count": float(CRITICAL_COUNT),
    "critical_share": CRITICAL_SHARE,
    "finished_bytes": float(FINISHED_BYTES),
}
_SERVER = ["dst", "dst_port"]
_HOSTS_SHOWN = 3


def tls_failure(case: Case) -> list[Finding]:
    """One finding a server (address and port) with which handshakes failed."""
    rows = case.tls_handshakes
    rows = rows[~rows["outcome"].isin(["pending", "abandoned", "unread"])]
    if rows.empty:
        reason = one_direction(case) or "no TLS handshake was captured to its end"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    failed = rows[rows["outcome"].isin(FAILED)]
    if (failed["outcome"] == "closed").any() and (reason := one_direction(case)):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(rows))]
    if failed.empty:
        title = f"none of {len(rows):,} TLS handshakes failed"
        return [ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)]
    groups, rest = largest(failed, _SERVER)
    return [_finding(case, rows, group) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SERVER,
        deed="servers had handshakes that failed",
        times=("time", "ended"),
        frames=rest["number"],
        thresholds=THRESHOLDS,
    )


def _finding(case: Case, rows: pd.DataFrame, failed: pd.DataFrame) -> Finding:
    first = failed.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    tried = like(rows, first, _SERVER)
    server = case.endpoint(address, port, time=first["time"])
    frames = [*failed["number"], *failed["response"].dropna()]
    seen = failed["outcome"].isin(["alert", "plain"]).all()
    return found(
        RULE,
        case,
        title=_title(server, tried, failed),
        severity=_severity(len(failed), len(tried)),
        certainty=0.97 if seen else 0.85,
        consistent_with=_causes(case, failed),
        source=case.clients(failed["src"], time=first["time"]),
        destination=server,
        span=(failed["time"].min(), failed["ended"].max()),
        affected=len(failed),
        total=len(tried),
        seconds_lost=union_seconds(failed["time"], failed["ended"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=failed["stream"],
            otherwise=f"{address_filter('addr', address)} && tcp.port == {port}",
        ),
        next_step=_next_step(case, address, port, _commonest(failed["host"])),
    )


def _severity(count: int, total: int) -> Severity:
    share = count / total
    if count >= CRITICAL_COUNT and share >= CRITICAL_SHARE:
        return "critical"
    if share >= CRITICAL_SHARE or (count >= MIN_FAILED and share >= WARNING_SHARE):
        return "warning"
    return "info"


def _title(server: str, tried: pd.DataFrame, failed: pd.DataFrame) -> str:
    what = _said(failed).value_counts()
    said = ", ".join(f"{name} ({count:,})" if len(what) > 1 else str(name) for name, count in what.items())
    hosts = failed.loc[failed["host"] != "", "host"].value_counts()
    shown = ", ".join(printable(str(host)) for host in hosts.index[:_HOSTS_SHOWN])
    more = f" and {len(hosts) - _HOSTS_SHOWN:,} more names" if len(hosts) > _HOSTS_SHOWN else ""
    meant = f" for {shown}{more}" if shown else ""
    expired = _expired(failed)
    until = f"; its certificate was valid until {expired['not_after'].max():%Y-%m-%d}" if len(expired) else ""
    count = f"all {len(tried):,}" if len(failed) == len(tried) > 1 else f"{len(failed):,} of {len(tried):,}"
    return f"{count} TLS handshakes with {server}{meant} failed: {said}{until}"


def _said(failed: pd.DataFrame) -> pd.Series:
    """What is to be said of each: the alert's own name, or what was seen instead of one."""
    words = {
        "rejected": "ended by the client after the server's hello (its alert is encrypted)",
        "closed": "closed by the server without a TLS answer",
        "plain": "the client asked in plain HTTP",
    }
    said = failed["outcome"].map(words)
    return said.where(failed["outcome"] != "alert", failed["error"])


def _expired(failed: pd.DataFrame) -> pd.DataFrame:
    return failed[failed["not_after"].notna() & (failed["not_after"] < failed["time"])]


def _causes(case: Case, failed: pd.DataFrame) -> tuple[str, ...]:
    """By what most of them have in common; a certificate's own dates say more than the alert about it."""
    outcome, error = _commonest(failed["outcome"]), _commonest(failed["error"])
    if len(_expired(failed)) >= len(failed) / 2:
        return ("expired-certificate", "unknown-ca")
    early = failed["not_before"].notna() & (failed["not_before"] > failed["time"])
    if early.sum() >= len(failed) / 2:
        return ("certificate-not-yet-valid", "wrong-clock")
    if outcome == "plain":
        return ("plain-http-on-tls-port",)
    if outcome == "rejected":
        return ("unknown-ca", "expired-certificate", "name-mismatch")
    if outcome == "closed":
        return _causes_of_silence(case, failed)
    agreed = (failed["status"] != "").mean() >= 0.5  # on a version and a cipher: it was not that
    general = ("no-common-cipher", "client-certificate", "tls-version-mismatch")
    return _BY_ALERT.get(error, ("client-certificate",) if agreed else general)


def _causes_of_silence(case: Case, failed: pd.DataFrame) -> tuple[str, ...]:
    first = failed.iloc[0]
    http = case.requests[case.requests["protocol"].isin(["HTTP/1", "HTTP/2"])]
    if len(like(http.astype({"dst": "object"}), first, _SERVER)):
        return ("tls-on-plain-port", "middlebox-reset")
    return ("tls-on-plain-port", "sni-mismatch", "middlebox-reset", "server-overload")


_BY_ALERT: dict[str, tuple[str, ...]] = {
    "certificate_expired": ("expired-certificate", "wrong-clock"),
    "unknown_ca": ("unknown-ca", "missing-intermediate"),
    "bad_certificate": ("name-mismatch", "unknown-ca", "expired-certificate"),
    "certificate_unknown": ("unknown-ca", "name-mismatch", "expired-certificate"),
    "certificate_revoked": ("revoked-certificate",),
    "unsupported_certificate": ("wrong-key-usage", "name-mismatch"),
    "protocol_version": ("tls-version-mismatch",),
    "inappropriate_fallback": ("tls-version-mismatch",),
    "insufficient_security": ("no-common-cipher", "tls-version-mismatch"),
    "unrecognized_name": ("sni-mismatch",),
    "no_application_protocol": ("alpn-mismatch",),
    "certificate_required": ("client-certificate",),
    "access_denied": ("client-certificate",),
    "unexpected_message": ("plain-http-on-tls-port", "middlebox-interference"),
    "decode_error": ("plain-http-on-tls-port", "middlebox-interference"),
    "record_overflow": ("plain-http-on-tls-port", "middlebox-interference"),
    "internal_error": ("server-misconfiguration", "sni-mismatch"),
}


def _commonest(column: pd.Series) -> str:
    """The commonest of the texts that say something; "" where none does."""
    counts = column[column != ""].value_counts()
    return str(counts.index[0]) if len(counts) else ""


def _next_step(case: Case, address: str, port: int, host: str) -> str:
    """The same handshake by hand: it prints chain, dates and what the client thinks of them."""
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    named = ["-servername", host] if host else []
    return inside(case, ["openssl", "s_client", "-connect", where, *named, "-showcerts"])
