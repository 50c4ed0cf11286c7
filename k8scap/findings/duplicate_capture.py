"""duplicate-capture: packets that the capture shows twice, as on several interfaces. No fault of the network.

Wireshark calls every second sighting a retransmission or a duplicate ACK; the TCP tables here count it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import display_filter
from k8scap.findings.quality_note import note, only_interface
from k8scap.findings.verdict import not_judged, ruled_out
from k8scap.tables.sightings import duplicates

if TYPE_CHECKING:
    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "duplicate-capture"
MIN_SHARE = 0.01
THRESHOLDS = {"min_share": MIN_SHARE}


def duplicate_capture(case: Case) -> list[Finding]:
    """One note (info) for a capture in which at least `min_share` of the TCP frames are second sightings."""
    total, twice = case.quality.tcp_frames, case.quality.duplicates
    if not total:
        return [not_judged(RULE, case, reason="the capture holds no TCP", thresholds=THRESHOLDS)]
    title = f"{twice:,} of {total:,} TCP frames show a packet that was captured already"
    if twice < MIN_SHARE * total:
        return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS)]
    rows = case.packets[duplicates(case.packets)]
    numbers = rows.reset_index()["number"]
    return [
        note(
            RULE,
            case,
            rows,
            title=f"{title}: the TCP tables count it once, packets and bytes twice",
            certainty=0.95,
            total=total,
            consistent_with=("several-interfaces", "mirrored-port"),
            thresholds=THRESHOLDS,
            display_filter=display_filter(numbers, streams=rows["stream"]),
            next_step=only_interface(case, rows),
        )
    ]
