"""The three answers of a rule, and how much the capture's quality lets them be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from k8scap.findings.evidence import MAX_FRAMES, distinct
from k8scap.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case

UNKNOWN_COMPLETENESS = 0.95
INCOMPLETE = 0.7
CUT_OFF = 0.95
ONE_SIDED = 0.5
CLOCK_JUMPED = 0.8
NO_HANDSHAKE = 0.1

_WORST_FIRST = tuple(reversed(get_args(Severity)))
_STATUS_ORDER = ("found", "not_judged", "ruled_out")
_DIRECTIONS = {"src", "dst", "inbound", "outbound"}


def found(
    rule: str,
    case: Case,
    *,
    title: str,
    frames: Iterable[object],
    span: tuple[pd.Timestamp, pd.Timestamp],
    certainty: float,
    **keys: Any,
) -> Finding:
    """A finding with its evidence capped and its `certainty` weighed by the capture's quality."""
    numbers = distinct(frames)
    return Finding(
        rule=rule,
        status="found",
        title=title,
        confidence=round(certainty * trust(case), 2),
        first_seen=moment(span[0]),
        last_seen=moment(span[1]),
        frames=tuple(numbers[:MAX_FRAMES]),
        frame_count=len(numbers),
        point=case.point,
        **keys,
    )


def ruled_out(
    rule: str, case: Case, *, title: str, total: int, thresholds: Mapping[str, float], certainty: float = 0.97
) -> Finding:
    """Nothing of the kind among `total`; not judged instead where the capture lost what would show it."""
    if reason := lost_packets(case):
        return not_judged(rule, case, reason=f"{title}, but {reason}", thresholds=thresholds, total=total)
    confidence = round(certainty * trust(case), 2)
    return Finding(
        rule=rule,
        status="ruled_out",
        title=title,
        confidence=confidence,
        total=total,
        thresholds=thresholds,
        point=case.point,
    )


def not_judged(
    rule: str, case: Case, *, reason: str, thresholds: Mapping[str, float], total: int = 0
) -> Finding:
    return Finding(
        rule=rule,
        status="not_judged",
        title=reason,
        reason=reason,
        total=total,
        thresholds=thresholds,
        point=case.point,
    )


def trust(case: Case) -> float:
    """0 to 1: what the capture's flaws leave of a rule's certainty.

    Drops, a cut-off file, missing directions and handshakes (a window's scale is unknown without), and a
    clock that jumped. Duplicates, super-packets and checksums left to the card take nothing: the tables
    know them.
    """
    quality = case.quality
    whole = {True: 1.0, False: INCOMPLETE, None: UNKNOWN_COMPLETENESS}[quality.complete]
    if quality.cut_off and not lost_packets(case):
        whole = CUT_OFF
    if quality.clock_jumps:
        whole *= CLOCK_JUMPED
    conversations = max(quality.tcp_conversations, 1)
    one_sided, no_handshake = quality.one_sided / conversations, quality.missing_handshakes / conversations
    return float(whole * (1 - ONE_SIDED * one_sided) * (1 - NO_HANDSHAKE * no_handshake))


def lost_packets(case: Case) -> str:
    """Why the absence of something proves nothing here; empty where it does.

    A file that breaks off is whole until there: what it holds can be judged.
    """
    if case.quality.dropped:
        return f"the capture itself dropped {case.quality.dropped:,} packets"
    if case.quality.complete is False and not case.quality.cut_off:
        return "the capture is not complete"
    return ""


def one_direction(case: Case) -> str:
    """Why answers may be missing from this capture although they came; empty where they would show."""
    words = set(case.filter.replace("src or dst", "").replace("(", " ").split())
    if words & _DIRECTIONS or "[" in case.filter:
        return f"the capture filter ({case.filter}) may keep only one direction, or only some packets"
    tcp = case.tcp_conversations
    if len(tcp) > 1 and bool((tcp["packets_sent"] == 0).all()):
        return "the capture holds one direction only"
    return ""


def moment(time: pd.Timestamp) -> datetime | None:
    """A table's time as Python's own, to the microsecond; None for NaT."""
    return None if time != time else time.to_pydatetime(warn=False)  # noqa: PLR0124


def order(finding: Finding) -> tuple[int, int, float, int]:
    """Sort key: found first, the worst of them first, then what cost most time and hit most."""
    return (
        _STATUS_ORDER.index(finding.status),
        _WORST_FIRST.index(finding.severity),
        -finding.seconds_lost,
        -finding.affected,
    )
