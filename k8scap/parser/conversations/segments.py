"""A direction's unacknowledged segments, in a pool that all directions share.

Two lists, each from oldest to newest: segments that began where all before them had ended, and the others
(sent again, or out of order). An acknowledgment takes from the first list's old end only, however long the
list is, and walks the second, which is short.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from k8scap.parser.compiling import part

MOST = 10_000
"""Wireshark remembers no more of a direction."""

Pool = namedtuple("Pool", "seq end time order older newer free")  # noqa: PYI024 - Numba knows it
"""int64 arrays by segment; `order` tells which came first. `free[0]` is the first free segment (chained by
`newer`), `free[1]` how many were ever used, `free[2]` how many came."""

IN_ORDER, OTHERS = 0, 2
"""The lists' places in a direction's row: its oldest and its newest segment, `NONE` where it is empty."""
COUNT, BASE = 4, 5
"""Behind them: how many segments there are, and the number that the relative ones start from."""
NONE = -1
_U32 = 0xFFFFFFFF
_HALF = 0x80000000


def new_pool(capacity: int = 4096) -> Pool:
    """An empty pool."""
    seq, end, time, order, older, newer = (np.zeros(capacity, np.int64) for _ in range(6))
    return Pool(seq, end, time, order, older, newer, np.array([NONE, 0, 0], np.int64))


def reserve_segments(pool: Pool, more: int) -> Pool:
    """The pool, or a larger copy, so that `more` segments have room."""
    needed = int(pool.free[1]) + more
    capacity = len(pool.seq)
    if needed <= capacity:
        return pool
    larger = new_pool(max(needed, 2 * capacity))
    for old, new in zip(pool[:6], larger[:6], strict=True):
        new[:capacity] = old
    larger.free[:] = pool.free
    return larger


@part
def beyond(a, b):
    """Whether sequence number `a` comes after `b` (RFC 1982's comparison, as Wireshark has it)."""
    return ((b - a) & _U32) >= _HALF


@part
def before_or_at(a, b):
    difference = (a - b) & _U32
    return difference == 0 or difference >= _HALF


@part
def add_segment(pool, flow, seq, end, time):
    """Append a segment as the newest."""
    segment = pool.free[0]
    if segment == NONE:
        segment = pool.free[1]
        pool.free[1] += 1
    else:
        pool.free[0] = pool.newer[segment]
    pool.free[2] += 1
    pool.seq[segment], pool.end[segment] = seq, end
    pool.time[segment], pool.order[segment] = time, pool.free[2]
    which = IN_ORDER if _continues(pool, flow, segment) else OTHERS
    newest = flow[which + 1]
    pool.older[segment], pool.newer[segment] = newest, NONE
    if newest == NONE:
        flow[which] = segment
    else:
        pool.newer[newest] = segment
    flow[which + 1] = segment
    flow[COUNT] += 1


@part
def _continues(pool, flow, segment):
    """Whether a segment begins where all in order had ended, or behind, and all span half a circle."""
    begin, end = _relative(flow, pool.seq[segment]), _relative(flow, pool.end[segment])
    if end < begin:
        return False
    if flow[IN_ORDER] == NONE:
        return True
    first, last = _relative(flow, pool.seq[flow[IN_ORDER]]), _relative(flow, pool.end[flow[IN_ORDER + 1]])
    return first <= last <= begin and end - first < _HALF


@part
def _relative(flow, number):
    return (number - flow[BASE]) & _U32


@part
def _remove(pool, flow, which, segment):
    older, newer = pool.older[segment], pool.newer[segment]
    if older == NONE:
        flow[which] = newer
    else:
        pool.newer[older] = newer
    if newer == NONE:
        flow[which + 1] = older
    else:
        pool.older[newer] = older
    pool.newer[segment] = pool.free[0]
    pool.free[0] = segment
    flow[COUNT] -= 1


@part
def count_anew(pool, flow, base):
    """Relative numbers start from `base` now: what is there counts as not in order, as it came."""
    one, other = flow[IN_ORDER], flow[OTHERS]
    first = newest = np.int64(NONE)
    while one != NONE or other != NONE:
        if other == NONE or (one != NONE and pool.order[one] < pool.order[other]):
            segment, one = one, pool.newer[one]
        else:
            segment, other = other, pool.newer[other]
        pool.older[segment], pool.newer[segment] = newest, NONE
        if newest == NONE:
            first = segment
        else:
            pool.newer[newest] = segment
        newest = segment
    flow[IN_ORDER] = flow[IN_ORDER + 1] = NONE
    flow[OTHERS], flow[OTHERS + 1] = first, newest
    flow[BASE] = base


@part
def oldest(pool, flow):
    """The segment that came first, `NONE` where there is none."""
    one, other = flow[IN_ORDER], flow[OTHERS]
    if one == NONE or (other != NONE and pool.order[other] < pool.order[one]):
        return other
    return one


@part
def acknowledge(pool, flow, ack, absent):
    """Drop what `ack` acknowledges, shorten what it acknowledges in part; half a circle away is beyond it.

    Gives when the oldest segment was sent that ends exactly there, `absent` where none does.
    """
    if flow[COUNT] == 0:
        return absent
    matched, sent = np.int64(NONE), absent
    for which in (IN_ORDER, OTHERS):
        # sequence numbers are a circle: of a list in order, either its old end is acknowledged or nothing is
        short = which == IN_ORDER and not _wraps(pool, flow, ack)
        segment = flow[which]
        while segment != NONE:
            newer = pool.newer[segment]
            if not beyond(pool.end[segment], ack):
                if pool.end[segment] == ack and (matched == NONE or pool.order[segment] < matched):
                    matched, sent = pool.order[segment], pool.time[segment]
                _remove(pool, flow, which, segment)
            else:
                if beyond(ack, pool.seq[segment]):
                    pool.seq[segment] = ack
                if short:
                    break
            segment = newer
    return sent


@part
def _wraps(pool, flow, ack):
    """Whether the newest in order is acknowledged, and the oldest is not."""
    first, last = flow[IN_ORDER], flow[IN_ORDER + 1]
    return first != NONE and not beyond(pool.end[last], ack) and beyond(pool.end[first], ack)


@part
def outstanding(pool, flow):
    """Bytes from the first to the last that is not acknowledged; one that began before 0 gives few, too."""
    first, last = np.int64(_U32), np.int64(0)
    if flow[IN_ORDER] != NONE:
        first = _relative(flow, pool.seq[flow[IN_ORDER]])
        last = _relative(flow, pool.end[flow[IN_ORDER + 1]])
    segment = flow[OTHERS]
    while segment != NONE:
        first = min(first, _relative(flow, pool.seq[segment]))
        last = max(last, _relative(flow, pool.end[segment]))
        segment = pool.newer[segment]
    return (last - first) & _U32
