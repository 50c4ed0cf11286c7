"""One packet that a capture shows more than once: on a veth and its bridge, or with `-i any`.

Wireshark calls every second sighting a retransmission or a duplicate ACK. A packet sent again differs:
it has another IP identification, and comes later than microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

AT_ONCE = 1_000_000
"""Nanoseconds within which an equal packet is a second sighting, where IP identifications tell nothing."""
SAME_ID_WITHIN = 10_000_000
"""Nanoseconds within which an equal packet of the same, telling IP identification is a second sighting.

Not more: some senders keep the identification when they send again, as RFC 1122 (3.2.1.5) allows.
"""
SAME_STAMP_WITHIN = 1_000_000_000
"""The same where the sender's clock (TSval, RFC 7323) stood still: a queue between two interfaces."""


def seen_before(segments: Segments) -> Bools:
    """Which segments are second sightings of one packet.

    Equal in every field, and either of the same IP identification soon after, where the sender's
    identifications tell its packets apart; or, where they do not (IPv6, zero, constant), with data, SYN or
    FIN, within a millisecond, and before the other side could say anything.
    """
    import numpy as np

    if not len(segments):
        return np.zeros(0, dtype=bool)
    earlier = _equal_before(segments)
    there = earlier >= 0
    gap = segments.time - segments.time[earlier]
    near = gap <= np.where(segments.tsval > 0, SAME_STAMP_WITHIN, SAME_ID_WITHIN)
    unanswered = (segments.other < earlier) & (gap <= AT_ONCE) & (segments.end > segments.seq)
    answer: Bools = there & (gap >= 0) & ((near & segments.telling) | unanswered)
    return answer


def duplicates(packets: pd.DataFrame, *, replay: Replay | None = None) -> Bools:
    """Which rows of a packets table show a TCP packet that an earlier row of the same point shows (bool).

    Raises SchemaError where columns are missing.
    """
    import numpy as np

    from k8scap.tables.replay import Replay

    replay = Replay.of(packets, replay, what="duplicates")
    mask = np.zeros(len(packets), dtype=bool)
    mask[replay.sightings.row[replay.seen_before]] = True
    return mask


def _equal_before(segments: Segments) -> Ints:
    """Index of the last segment equal in all fields on the same side, -1 where there is none."""
    import numpy as np

    from k8scap.parser.conversations.tracks import met_before

    keys = (
        segments.side, segments.seq, segments.end, segments.ack, segments.flags, segments.window,
        segments.tsval, segments.tsecr, segments.sack_left, segments.sack_right, segments.ip_id,
    )  # fmt: skip
    digest = np.zeros(len(segments), dtype=np.uint64)
    for key in keys:
        digest ^= key.view(np.uint64)  # in place: a million segments' copies cost more than the sums
        digest *= np.uint64(0x9E3779B97F4A7C15)
        digest ^= digest >> np.uint64(29)
    table = np.full(1 << max(2 * len(segments), 1).bit_length(), -1, dtype=np.int64)
    earlier = np.empty(len(segments), dtype=np.int64)
    met_before(digest.view(np.int64), table, earlier)
    second = np.flatnonzero(earlier >= 0)
    same = np.ones(len(second), dtype=bool)
    for key in keys:
        same &= key[earlier[second]] == key[second]
    earlier[second[~same]] = -1
    return earlier


def telling(segments: Segments) -> Bools:
    """Whether the side's IP identifications tell its packets apart, and this one is not zero."""
    import numpy as np

    order = segments.by_side
    side, ip_id = segments.side[order], segments.ip_id[order]
    changed = np.concatenate(([False], (side[1:] == side[:-1]) & (ip_id[1:] != ip_id[:-1])))
    sides = int(side[-1]) + 1
    changes, total = np.bincount(side, changed, sides), np.bincount(side, minlength=sides)
    telling: Bools = (changes >= 1) & (8 * changes >= total)
    return telling[segments.side] & (segments.ip_id > 0)
