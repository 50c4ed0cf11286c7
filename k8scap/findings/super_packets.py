"""super-packets: frames that no link carried. Offload (GSO, TSO, GRO) joined them. No fault of the network.

A sender's kernel hands the card up to 64 KiB at once, a receiver's joins what came (Linux's
Documentation/networking/segmentation-offloads.rst): counts of packets, and gaps between them, are not the
wire's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import display_filter
from k8scap.findings.quality_note import interface_of, note
from k8scap.findings.steps import inside
from k8scap.findings.verdict import not_judged, ruled_out
from k8scap.tables.quality import ETHERNET_FRAME
from k8scap.tables.quality_notes import LARGEST_FRAME
from k8scap.tables.redirected import on_loopback

if TYPE_CHECKING:
    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "super-packets"
THRESHOLDS = {"ethernet_frame": ETHERNET_FRAME, "largest_frame": LARGEST_FRAME}


def super_packets(case: Case) -> list[Finding]:
    """One note (info) for a capture with TCP frames that are longer than Ethernet's."""
    quality = case.quality
    total, joined = quality.tcp_frames, quality.super_packets
    if not total:
        return [not_judged(RULE, case, reason="the capture holds no TCP", thresholds=THRESHOLDS)]
    if not joined:
        title = f"none of {total:,} TCP frames is longer than Ethernet's; the longest has {_longest(case)}"
        return [ruled_out(RULE, case, title=title, total=total, thresholds=THRESHOLDS)]
    rows = case.tcp[(case.tcp["length"] > ETHERNET_FRAME) & ~on_loopback(case.tcp)]
    jumbo = quality.largest_frame <= LARGEST_FRAME
    title = (
        f"{joined:,} of {total:,} TCP frames are longer than Ethernet's, up to {_longest(case)}: counts of "
        "packets and gaps between them are not the wire's"
    )
    return [
        note(
            RULE,
            case,
            rows,
            title=title,
            certainty=0.7 if jumbo else 0.97,
            total=total,
            consistent_with=("segmentation-offload", "jumbo-frames") if jumbo else ("segmentation-offload",),
            thresholds=THRESHOLDS,
            display_filter=display_filter(
                rows.reset_index()["number"], otherwise=f"tcp && frame.len > {ETHERNET_FRAME}"
            ),
            next_step=inside(case, ["ethtool", "-k", interface_of(case, rows)]),
        )
    ]


def _longest(case: Case) -> str:
    return f"{case.quality.largest_frame:,} bytes"
