"""32-bit sequence numbers → 64-bit ones, which go on counting where the wire's wrap around."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

LOWEST = -(2**62)
_RST, _ACK = 0x04, 0x10


def signed(difference: Ints) -> Ints:
    """A difference of 32-bit numbers as what it means on the wire: -2³¹ to 2³¹-1 (RFC 9293, 3.4)."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31


def sequence(side: Ints, flags: Ints, raw: Ints, relative: Ints) -> Ints:
    """Unwrapped sequence numbers, from `raw` ones step by step along each side of each connection.

    The first segment of a side has its `relative` number. RSTs often bear numbers of no meaning, so the
    chain does not run through them.
    """
    import numpy as np

    order = np.argsort(side, kind="stable")
    trusted = (flags & _RST == 0)[order]
    anchor = _nearest(side[order], trusted)
    base_raw = raw[order][anchor]
    first = np.concatenate(([True], side[order][1:] != side[order][:-1])) if len(order) else trusted
    step = np.where(first, 0, signed(np.diff(base_raw, prepend=base_raw[:1])))
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0)) if len(order) else anchor
    travelled = np.cumsum(step)
    chain = travelled - travelled[start] + signed(relative[order][anchor])[start]
    result = np.empty_like(raw)
    result[order] = chain + signed(raw[order] - base_raw)
    return result


def acknowledgments(
    side: Ints, flags: Ints, raw: Ints, relative: Ints, *, sequence_numbers: tuple[Ints, Ints]
) -> Ints:
    """Unwrapped acknowledgment numbers, in the other side's sequence space; LOWEST without the ACK flag.

    `sequence_numbers` are the same segments', raw and unwrapped.
    """
    import numpy as np

    seq_raw, seq = sequence_numbers
    reference = _other_side(side, flags)
    near = seq[reference] + signed(raw - seq_raw[reference]) if len(side) else raw
    return np.where(flags & _ACK == 0, LOWEST, np.where(reference >= 0, near, signed(relative)))


def selective(edge: Ints, relative_ack: Ints, ack: Ints) -> Ints:
    """A SACK block's edge, relative as Wireshark gives it, beside the segment's unwrapped `ack`."""
    import numpy as np

    return np.where((edge == LOWEST) | (ack == LOWEST), LOWEST, ack + signed(edge - relative_ack))


def _nearest(group: Ints, wanted: Bools) -> Ints:
    """Index of the group's last wanted element up to each one, else the first after it, else itself."""
    import numpy as np

    index = np.arange(len(group))
    if wanted.all():
        return index
    before = np.maximum.accumulate(np.where(wanted, index, -1))
    after = np.minimum.accumulate(np.where(wanted, index, len(group))[::-1])[::-1]
    same_before = (before >= 0) & (group[before] == group)
    same_after = (after < len(group)) & (group[np.minimum(after, len(group) - 1)] == group)
    return np.where(same_before, before, np.where(same_after, after, index))


def _other_side(side: Ints, flags: Ints) -> Ints:
    """Index of the other side's last segment before each one, else of its first after it, else -1."""
    import numpy as np

    if not len(side):
        return np.zeros(0, dtype=np.int64)
    index = np.arange(len(side))
    flow, first_side, trusted = side // 2, side % 2 == 0, flags & _RST == 0
    begins = np.maximum.accumulate(np.where(np.diff(flow, prepend=-1) != 0, index, 0))
    last = [np.maximum.accumulate(np.where(trusted & own, index, -1)) for own in (first_side, ~first_side)]
    result = np.where(first_side, last[1], last[0])
    lone = np.flatnonzero(result < begins)  # the other side has said nothing yet: what it says first
    result[lone] = -1
    for own in (first_side, ~first_side):
        mine = lone[~own[lone]]
        there = np.flatnonzero(trusted & own)
        after = np.searchsorted(there, mine)
        known = mine[after < len(there)]
        near = there[after[after < len(there)]]
        same = flow[near] == flow[known]
        result[known[same]] = near[same]
    return result
