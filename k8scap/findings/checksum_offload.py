"""checksum-offload: wrong checksums of packets that the receiver took. The card was to finish them: no fault.

On Linux a sender's packet is captured before its card (or the peer container, which never needs it)
computes the checksum. Damage looks the same in one packet, but the receiver throws it away: see
bad_checksums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import display_filter
from k8scap.findings.quality_note import interface_of, note
from k8scap.findings.steps import inside
from k8scap.findings.verdict import not_judged, ruled_out
from k8scap.findings.wrong_checksums import wrong_checksums

if TYPE_CHECKING:
    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "checksum-offload"
MIN_FRAMES = 3
THRESHOLDS = {"min_frames": MIN_FRAMES}


def checksum_offload(case: Case) -> list[Finding]:
    """One note (info) where at least `min_frames` TCP packets look wrong and were accepted all the same."""
    checked = wrong_checksums(case)
    if not checked.total:
        return [not_judged(RULE, case, reason=checked.why_not, thresholds=THRESHOLDS)]
    rows = checked.accepted
    title = (
        f"{len(rows):,} of {checked.total:,} TCP frames have a wrong checksum, and their receivers took them"
    )
    if len(rows) < MIN_FRAMES:
        return [ruled_out(RULE, case, title=title, total=checked.total, thresholds=THRESHOLDS)]
    sender = case.clients(rows["src"], time=rows["time"].iloc[0]).replace("clients", "senders")
    return [
        note(
            RULE,
            case,
            rows,
            title=f"{title}: a card was to finish them",
            certainty=0.95,
            total=checked.total,
            source=sender,
            consistent_with=("checksum-offload",),
            thresholds=THRESHOLDS,
            display_filter=display_filter(rows.reset_index()["number"], streams=rows["stream"]),
            next_step=inside(case, ["ethtool", "-k", interface_of(case, rows)]),
        )
    ]
