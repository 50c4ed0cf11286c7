"""The TCP frames of a case with wrong checksums: those that their receivers took, and damaged ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.tables.segments import Segments


@dataclass(frozen=True)
class WrongChecksums:
    """Rows of the packets table. `total` counts the TCP frames whose checksum could be checked.

    `damaged` came from outside and were thrown away; `accepted` are all others that look wrong. Where nothing
    could be checked, `why_not` says so.
    """

    accepted: pd.DataFrame
    damaged: pd.DataFrame
    total: int
    why_not: str = ""


def wrong_checksums(case: Case) -> WrongChecksums:
    """Second sightings are left out: a packet's first one tells.

    What was sent here and repeated was lost on its way, not damaged: it was captured before the card. Where
    the direction is unknown, only an answered connection tells: a SYN that nobody answers may be lost for
    any reason.
    """
    packets = case.packets
    none = packets.iloc[:0]
    if "transport_checksum_ok" not in packets:
        return WrongChecksums(none, none, 0, "the packets were loaded without their checksums")
    total = int(case.tcp["transport_checksum_ok"].notna().sum())
    if not total:
        return WrongChecksums(none, none, 0, "no TCP checksum in this capture can be checked")
    if bool(case.tcp["transport_checksum_ok"].all()):
        return WrongChecksums(none, none, total)
    from k8scap.tables.checksums import refused, wrong
    from k8scap.tables.redirected import joined
    from k8scap.tables.segments import segments
    from k8scap.tables.standpoint import sent_here, standpoint

    found = segments(joined(packets).packets, what="checksums")
    bad = wrong(found, packets)
    here = sent_here(found, packets, standpoint(found, packets))
    damaged = refused(found, bad) & ((here == 0) | ((here < 0) & _answered(found)))
    return WrongChecksums(
        packets.iloc[found.row[bad & ~damaged]].sort_index(),
        packets.iloc[found.row[damaged]].sort_index(),
        total,
    )


def _answered(segments: Segments) -> npt.NDArray[np.bool_]:
    """Whether both sides of the segment's connection speak."""
    import numpy as np

    sides = np.bincount(np.unique(segments.side) // 2, minlength=segments.flows)
    answer: npt.NDArray[np.bool_] = sides[segments.flow] == 2
    return answer
