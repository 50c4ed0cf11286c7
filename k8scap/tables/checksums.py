"""Wrong TCP checksums: left to the card to finish (harmless), or damage that the receiver threw away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.segments import LOWEST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


def wrong(segments: Segments, packets: pd.DataFrame) -> Bools:
    """Which segments' TCP checksums are wrong; those that could not be checked are not."""
    import numpy as np

    if "transport_checksum_ok" not in packets:
        return np.zeros(len(segments), dtype=bool)
    right = packets["transport_checksum_ok"].to_numpy(dtype=np.int8, na_value=-1)
    answer: Bools = right[segments.row] == 0
    return answer


def refused(segments: Segments, bad: Bools) -> Bools:
    """Which of the `bad` segments the receiver threw away, as a damaged one must be (RFC 9293, 3.1).

    Their bytes (SYN and FIN count) were sent again, or the other side spoke on, and never acknowledged
    them. What a card finished after it was captured, the receiver takes like any other: so this tells
    damage from offload wherever the capture stands.
    """
    if not len(segments) or not bad.any():
        return bad
    occupies = segments.end > segments.seq
    acknowledged = _acknowledged(segments)
    unheard = (acknowledged < segments.end) & _answered_later(segments)
    answer: Bools = bad & occupies & (_again(segments, occupies) | unheard)
    return answer


def _again(segments: Segments, occupies: Bools) -> Bools:
    """Whether a later segment of the same side begins with the same byte."""
    import numpy as np

    index = np.flatnonzero(occupies)
    order = np.lexsort((index, segments.seq[index], segments.side[index]))
    rows = index[order]
    same = (segments.side[rows][1:] == segments.side[rows][:-1]) & (
        segments.seq[rows][1:] == segments.seq[rows][:-1]
    )
    answer = np.zeros(len(segments), dtype=bool)
    answer[rows[:-1][same]] = True
    return answer


def _answered_later(segments: Segments) -> Bools:
    """Whether the other side acknowledged anything after the segment: silence may be the capture's end."""
    import numpy as np

    last = np.full(2 * segments.flows, -1, dtype=np.int64)
    spoke = np.flatnonzero(segments.ack > LOWEST)
    np.maximum.at(last, segments.side[spoke], spoke)
    later: Bools = last[segments.side ^ 1] > np.arange(len(segments))
    return later


def _acknowledged(segments: Segments) -> Ints:
    """The most that the other side ever acknowledged, for each segment."""
    import numpy as np

    highest = np.full(2 * segments.flows, LOWEST, dtype=np.int64)
    np.maximum.at(highest, segments.side, segments.ack)
    theirs: Ints = highest[segments.side ^ 1]
    return theirs
