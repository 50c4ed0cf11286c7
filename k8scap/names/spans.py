"""Which of one address's entries counts when: the rule, as a list of spans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EARLIEST, LATEST = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Claim = tuple[int, int, int, int]
"""Rank (the smaller is stronger), from when up to when (nanoseconds), which entry."""


def spans(claims: Sequence[Claim]) -> list[tuple[int, int]]:
    """(from when, which entry), from the earliest time on: every moment has exactly one entry.

    Where several claims hold, the stronger rank counts, then the one that began last, then the later
    entry. Where none holds, the nearest in time does: a pod was there before it was first seen, and a packet
    to one that has just gone is meant for it.
    """
    result: list[tuple[int, int]] = []
    previous: int | None = None
    for (time, holder), (following, next_holder) in pairwise([*_holders(claims), (LATEST, None)]):
        if holder is not None:
            result.append((time, holder))
        elif next_holder is not None:
            result.append((time if previous is None else (time + following) // 2, next_holder))
        previous = holder
    return [span for i, span in enumerate(result) if i == 0 or span[1] != result[i - 1][1]]


def _holders(claims: Sequence[Claim]) -> Iterator[tuple[int, int | None]]:
    """Who holds from each moment on at which that may change; None where nobody does."""
    waiting = sorted(claims, key=itemgetter(1), reverse=True)
    times = {EARLIEST, *(start for _, start, _, _ in claims), *(end for *_, end, _ in claims)} - {LATEST}
    active: list[tuple[int, int, int, int]] = []
    for time in sorted(times):
        while waiting and waiting[-1][1] <= time:
            rank, start, end, entry = waiting.pop()
            heappush(active, (rank, -start, -entry, end))
        while active and active[0][3] <= time:
            heappop(active)
        yield time, -active[0][2] if active else None


def claim(rank: int, start: datetime | None, end: datetime | None, entry: int) -> Claim:
    """An entry's claim; one that ends before it begins is taken as a moment."""
    begin = EARLIEST if start is None else nanoseconds(start)
    return rank, begin, LATEST if end is None else max(nanoseconds(end), begin + 1), entry


def nanoseconds(time: datetime) -> int:
    """Since 1970, kept to what 64 bits hold; a time without a zone is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    whole = (aware - _EPOCH) // timedelta(microseconds=1) * 1000 + getattr(time, "nanosecond", 0)
    return min(max(whole, EARLIEST + 1), LATEST - 1)
