"""mtu-black-hole: small segments pass, those of full size never arrive, and nobody tells the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.intervals import union_seconds
from k8scap.findings.oversized import (
    ADAPTED_SECONDS,
    MIN_COPIES,
    NARROWEST_BYTES,
    Narrow,
    adapted,
    black_holes,
)
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "mtu-black-hole"
THRESHOLDS = {
    "min_copies": MIN_COPIES,
    "narrowest_bytes": NARROWEST_BYTES,
    "adapted_seconds": ADAPTED_SECONDS,
}
_SURE, _GUESSED = 0.95, 0.8


def mtu_black_hole(case: Case) -> list[Finding]:
    """One finding a path that large segments did not pass; info where the sender was told, and adapted."""
    sizes = case.tcp["payload_length"]
    if not (sizes > 0).any():
        return [not_judged(RULE, case, reason="no TCP segment with data was captured", thresholds=THRESHOLDS)]
    large = int((sizes >= NARROWEST_BYTES).sum())
    narrow = black_holes(case)
    findings = [_finding(case, path) for path in narrow]
    taken = {number for path in narrow for number in path.claimed}
    obeyed = adapted(case)
    obeyed = obeyed[~obeyed["number"].isin(taken)]
    if len(obeyed):
        findings.append(_discovery(case, obeyed))
    if findings:
        return findings
    title = f"none of {large:,} segments of {NARROWEST_BYTES:,} bytes and more was repeated in vain"
    return [ruled_out(RULE, case, title=title, total=large, thresholds=THRESHOLDS)]


def _finding(case: Case, path: Narrow) -> Finding:
    failed, first = path.failed, path.failed["time"].min()
    source, destination = case.host(path.src, time=first), case.host(path.dst, time=first)
    passed = f"those of {path.largest_passed:,} and less did" if path.largest_passed else "small ones did"
    title = (
        f"segments of {path.smallest_failed:,} bytes and more from {source} to {destination} did not arrive, "
        f"{passed}{_told(path)}"
    )
    frames = [*failed["number"], *path.told["number"]]
    otherwise = f"{address_filter('src', path.src)} && {address_filter('dst', path.dst)} && tcp.len > 0"
    return found(
        RULE,
        case,
        title=title,
        severity="critical",
        certainty=_SURE if path.largest_passed else _GUESSED,
        consistent_with=("icmp-ignored",) if path.ignored else ("icmp-filtered", "overlay-mtu"),
        source=source,
        destination=destination,
        span=(first, failed["time"].max()),
        affected=len(failed),
        total=len(failed),
        seconds_lost=_stalled(failed),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=failed["stream"], otherwise=otherwise),
        next_step=_ping(case, path),
    )


def _stalled(failed: pd.DataFrame) -> float:
    """From each connection's first large segment to its last copy."""
    spans = failed.groupby("stream")["time"].agg(["min", "max"])
    return union_seconds(spans["min"], spans["max"])


def _told(path: Narrow) -> str:
    """What ICMP said of it, in the title's words."""
    if path.told.empty:
        return "; no ICMP error told the sender why"
    mtu = path.told["icmp_mtu"].dropna()
    size = f" ({int(mtu.min()):,} bytes at most)" if len(mtu) else ""
    return f"; ICMP told the sender why{size}, {'in vain' if path.ignored else 'late'}"


def _ping(case: Case, path: Narrow) -> str:
    """A ping of the smallest packet that did not pass, which may not be fragmented."""
    version, headers = _headers(path.dst)
    size = path.smallest_failed + headers - (28 if version == 4 else 48)
    return inside(case, ["ping", f"-{version}", "-M", "do", "-c", "3", "-s", str(size), path.dst])


def _headers(address: str) -> tuple[int, int]:
    from ipaddress import ip_address

    parsed: IPv4Address | IPv6Address = ip_address(address)
    return (4, 40) if parsed.version == 4 else (6, 60)


def _discovery(case: Case, obeyed: pd.DataFrame) -> Finding:
    """The sender was told, and sent smaller segments within a second: as it should be (RFC 1191)."""
    first = obeyed.iloc[0]
    hosts = obeyed["src"].nunique()
    source = case.host(first["src"], time=first["time"]) if hosts == 1 else f"{hosts:,} hosts"
    mtu = int(obeyed["icmp_mtu"].min())
    return found(
        RULE,
        case,
        title=f"{source} sent smaller segments after ICMP had told it of a path MTU of {mtu:,} bytes",
        severity="info",
        certainty=_SURE,
        consistent_with=("path-mtu-discovery",),
        source=source,
        span=(obeyed["told"].min(), obeyed["time"].max()),
        affected=len(obeyed),
        total=len(obeyed),
        seconds_lost=0.0,
        thresholds=THRESHOLDS,
        frames=obeyed["number"],
        display_filter=display_filter(obeyed["number"], streams=obeyed["stream"]),
        next_step=inside(case, ["tracepath", "-n", str(first["dst"])]),
    )
