"""A `Capture`'s tables before the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8scap.analysis.capture import Capture
    from k8scap.model import Findings


def diagnose(cap: Capture) -> Findings:
    """Every rule's word on a capture, worst first: found, then not judged, then ruled out."""
    from k8scap.findings import judge
    from k8scap.findings.case import Case
    from k8scap.model import Findings

    word = judge(
        Case(
            packets=cap.packets,
            conversations=cap.conversations,
            round_trips=cap.round_trips,
            retransmissions=cap.retransmissions,
            reorderings=cap.reorderings,
            duplicates=cap.duplicates,
            exchanges=cap.exchanges,
            lookups=cap.lookups,
            requests=cap.requests,
            hops=cap.hops,
            replay=cap.replay,
            quality=cap.quality,
            manifests=cap.manifests,
            names=cap.names,
        )
    )
    return Findings(word)
