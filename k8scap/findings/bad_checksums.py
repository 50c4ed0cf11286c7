"""bad-checksums: packets that came in damaged, and were thrown away for it.

A receiver must drop a segment whose checksum is wrong (RFC 9293, 3.1): its bytes are sent again, or never
acknowledged. Wrong checksums that the receiver took are checksum_offload's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.attempts import answered_late, milliseconds
from k8scap.findings.evidence import display_filter
from k8scap.findings.flags import is_first_syn
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.quality_note import interface_of
from k8scap.findings.steps import inside
from k8scap.findings.verdict import found, not_judged, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.findings.wrong_checksums import WrongChecksums
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
_FIRST_BYTE = ["stream", "src_port", "seq_raw"]


def bad_checksums(case: Case) -> list[Finding]:
    """One finding a sender whose packets come in damaged."""
    checked = case.wrong_checksums
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


def damaged_syns(case: Case) -> pd.Series:
    """By stream: how many of its SYNs are among the packets that this rule reports (int64)."""
    rows = _of_such_senders(case.wrong_checksums)
    counts: pd.Series = rows.loc[is_first_syn(rows), "stream"].value_counts()
    return counts


def repeats_of_damaged(case: Case, events: pd.DataFrame) -> pd.Series:
    """Retransmissions of what came in damaged and is reported here (bool, as `events`)."""
    import pandas as pd

    rows = _of_such_senders(case.wrong_checksums)
    if rows.empty:
        return pd.Series(data=False, index=events.index)
    damaged = pd.MultiIndex.from_frame(rows[_FIRST_BYTE])
    again = pd.MultiIndex.from_frame(case.tcp.loc[events["number"], _FIRST_BYTE])
    return pd.Series(again.isin(damaged), index=events.index)


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
    again = rows["time"].shift(-1).fillna(rows["time"]).clip(upper=rows["time"] + _one_second())
    late = _late_for_it(case, rows)
    return found(
        RULE,
        case,
        title=(
            f"{len(rows):,} packets from {sender} came in with a wrong checksum and were thrown away: their "
            f"bytes were sent again, or never acknowledged{_said_of(late)}"
        ),
        severity=severity,
        certainty=0.9,
        consistent_with=("vxlan-checksum-offload", "damaging-link") if tunnelled else _CAUSES,
        source=sender,
        destination=case.clients(rows["dst"], time=first["time"]).replace("clients", "receivers"),
        span=(rows["time"].min(), rows["time"].max()),
        affected=len(rows),
        total=total,
        seconds_lost=union_seconds(_both(rows["time"], late["asked"]), _both(again, late["connected"])),
        thresholds=THRESHOLDS,
        frames=rows.reset_index()["number"],
        display_filter=display_filter(rows.reset_index()["number"], streams=rows["stream"]),
        next_step=_next_step(case, rows, tunnelled=tunnelled),
    )


_CAUSES = ("damaging-link", "network-card", "vxlan-checksum-offload")


def _late_for_it(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """The attempts that came about late for their damaged SYNs, with `connected` (when)."""
    attempts = case.attempts
    late = attempts[attempts["stream"].isin(rows.loc[is_first_syn(rows), "stream"]) & answered_late(attempts)]
    return late.assign(connected=late["asked"] + milliseconds(late["connect_ms"]))


def _said_of(late: pd.DataFrame) -> str:
    if late.empty:
        return ""
    low, high = late["connect_ms"].min() / 1000, late["connect_ms"].max() / 1000
    took = f"{low:.1f} s" if high - low < 0.1 else f"{low:.1f} to {high:.1f} s"
    count = "1 connection" if len(late) == 1 else f"{len(late):,} connections"
    return f"; {count} came about only then, after {took}"


def _both(one: pd.Series, other: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.concat([one, other], ignore_index=True)


def _one_second() -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(seconds=1)


def _next_step(case: Case, rows: pd.DataFrame, *, tunnelled: bool) -> str:
    """The overlay's offload, where the packets came in a tunnel; else the card's own count of errors."""
    if tunnelled:
        return inside(case, ["ethtool", "-k", "flannel.1"])
    return inside(case, ["ethtool", "-S", interface_of(case, rows)])
