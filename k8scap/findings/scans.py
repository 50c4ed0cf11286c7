"""Port scans: one client that asks for so many ports of one address that it can mean none of them.

Each refusal is true, and none of them is a fault: all of them are one finding, and no alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import all_conversations
from k8scap.findings.verdict import found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

SCAN_PORTS = 50
"""Ports of one address: no client has business with so many."""
_PAIR = ("protocol", "src", "dst")


def scans(rows: pd.DataFrame) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The attempts of each scan among failed ones (src, dst, dst_port; protocol, if any), and all others."""
    pair = [name for name in _PAIR if name in rows]
    ports = rows.groupby(pair, observed=True)["dst_port"].transform("nunique")
    scanning = rows[ports >= SCAN_PORTS]
    groups = [group for _, group in scanning.groupby(pair, observed=True, sort=False)]
    return groups, rows[ports < SCAN_PORTS]


def scan_finding(
    rule: str,
    case: Case,
    rows: pd.DataFrame,
    *,
    attempts: pd.DataFrame,
    outcome: str,
    times: tuple[str, str],
    frames: Sequence[int],
    thresholds: Mapping[str, float],
) -> Finding:
    """One finding for all `rows` of a scan; `outcome` is what came of them ("was refused at")."""
    first = rows.iloc[0]
    time, start, end = first[times[0]], rows[times[0]], rows[times[1]]
    tried = attempts
    for name in (name for name in _PAIR if name in rows):
        tried = tried[tried[name] == first[name]]
    asked, failed = tried["dst_port"].nunique(), rows["dst_port"].nunique()
    client, host = case.host(first["src"], time=time), case.host(first["dst"], time=time)
    count = "all of them" if failed == asked else f"{failed:,} of them"
    return found(
        rule,
        case,
        title=f"{client} asked for {asked:,} ports of {host}, and {outcome} {count}: a port scan",
        severity="info",
        certainty=0.9,
        consistent_with=("port-scan",),
        source=client,
        destination=host,
        span=(start.min(), end.max()),
        affected=len(rows),
        total=len(tried),
        seconds_lost=union_seconds(start, end),
        thresholds=thresholds,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=rows["stream"],
            otherwise=f"{address_filter('addr', first['src'])} && {address_filter('addr', first['dst'])}",
        ),
        next_step=all_conversations(case),
    )
