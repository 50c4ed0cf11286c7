"""bad-checksums: packets that came in damaged, and were thrown away for it.

A receiver must drop a segment whose checksum is wrong (RFC 9293, 3.1): its bytes are sent again, or never
acknowledged. Wrong checksums that the receiver took are checksum_offload's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import display_filter
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.quality_note import interface_of
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out
from k8scap.findings.wrong_checksums import WrongChecksums, wrong_checksums

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "bad-checksums"
MIN_DAMAGED = 3
DAMAGED_SHARE = 0.5
CRITICAL_SHARE = 0.5
THRESHOLDS = {
    "min_damaged": MIN_DAMAGED,
    "damaged_share": DAMAGED_SHARE,
    "critical_share": CRITICAL_SHARE,
}
_SENDER = ["src"]


def bad_checksums(case: Case) -> list[Finding]:
    """One finding a sender whose packets come in damaged."""
    checked = wrong_checksums(case)
    if not checked.total:
        return [not_judged(RULE, case, reason=checked.why_not, thresholds=THRESHOLDS)]
    rows = _of_such_senders(checked)
    if rows.empty:
        title = f"{len(checked.damaged):,} of {checked.total:,} TCP frames came in damaged"
        return [ruled_out(RULE, case, title=title, total=checked.total, thresholds=THRESHOLDS)]
    groups, rest = largest(rows, _SENDER)
    return [_finding(case, damaged) for damaged in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SENDER,
        deed="senders' packets came in damaged",
        times=("time", "time"),
        frames=rest.reset_index()["number"],
        thresholds=THRESHOLDS,
    )


def _of_such_senders(checked: WrongChecksums) -> pd.DataFrame:
    """The damaged packets of senders whose wrong ones were mostly refused: else it is offload and loss."""
    damaged = checked.damaged["src"].astype("object")
    refused = damaged.value_counts()
    taken = checked.accepted["src"].astype("object").value_counts().reindex(refused.index, fill_value=0)
    such = refused[(refused >= MIN_DAMAGED) & (refused >= DAMAGED_SHARE * (refused + taken))].index
    return checked.damaged[damaged.isin(such)]


def _finding(case: Case, rows: pd.DataFrame) -> Finding:
    first = rows.iloc[0]
    sender = case.host(first["src"], time=first["time"])
    carrying = case.tcp[(case.tcp["src"] == first["src"]) & (case.tcp["payload_length"] > 0)]
    total = max(len(carrying), len(rows))
    severity: Severity = "critical" if len(rows) >= CRITICAL_SHARE * total else "warning"
    tunnelled = "tunnel" in rows and bool(rows["tunnel"].notna().any())
    again = rows["time"].shift(-1).fillna(rows["time"])
    return found(
        RULE,
        case,
        title=(
            f"{len(rows):,} packets from {sender} came in with a wrong checksum and were thrown away: their "
            "bytes were sent again, or never acknowledged"
        ),
        severity=severity,
        certainty=0.9,
        consistent_with=("vxlan-checksum-offload", "damaging-link") if tunnelled else _CAUSES,
        source=sender,
        destination=case.clients(rows["dst"], time=first["time"]).replace("clients", "receivers"),
        span=(rows["time"].min(), rows["time"].max()),
        affected=len(rows),
        total=total,
        seconds_lost=union_seconds(rows["time"], again.clip(upper=rows["time"] + _one_second())),
        thresholds=THRESHOLDS,
        frames=rows.reset_index()["number"],
        display_filter=display_filter(rows.reset_index()["number"], streams=rows["stream"]),
        next_step=_next_step(case, rows, tunnelled=tunnelled),
    )


_CAUSES = ("damaging-link", "network-card", "vxlan-checksum-offload")


def _one_second() -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(seconds=1)


def _next_step(case: Case, rows: pd.DataFrame, *, tunnelled: bool) -> str:
    """The overlay's offload, where the packets came in a tunnel; else the card's own count of errors."""
    if tunnelled:
        return inside(case, ["ethtool", "-k", "flannel.1"])
    return inside(case, ["ethtool", "-S", interface_of(case, rows)])
