"""Several points: which two of them stand next to each other, and what a third one proves."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from k8scap.correlation.leg import Leg, leg
from k8scap.correlation.missing import BEFORE, BEHIND, DROPPED, FURTHER_ON, PROVEN, Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.leg import Point

    Words = npt.NDArray[np.uint64]


def legs(points: Sequence[Point]) -> list[Leg]:
    """The legs of which the ways between all points are made, in the points' order.

    Of all pairs with packets in common the shortest ones that join all points (a minimum spanning tree by
    the fastest round trip): a chain where the points stand in a row, a star where several meet at one.
    """
    pairs = [leg(a, b) for a, b in combinations(points, 2)]
    if len(pairs) == 1:
        return pairs
    joined = {point.name: point.name for point in points}
    chosen = []
    for found in sorted(pairs, key=lambda one: (one.distance_ns, -len(one.matches))):
        one, other = joined[found.a.name], joined[found.b.name]
        if len(found.matches) and one != other:
            chosen.append(found)
            joined = {name: one if root == other else root for name, root in joined.items()}
    return [_with_others(found, chosen) for found in pairs if found in chosen]


def _with_others(found: Leg, all_legs: Sequence[Leg]) -> Leg:
    """What one point lacks, and another beyond it has, was not lost: the capture between missed it."""
    import numpy as np

    def beyond(middle: Point) -> Words:
        words = [np.zeros(0, dtype=np.uint64)]
        for other in all_legs:
            if other is found:
                continue
            for absent_at, lacking in ((other.a, other.missing_at_a), (other.b, other.missing_at_b)):
                if absent_at is middle:
                    words.append(lacking.word[lacking.reason == BEHIND])
        return np.concatenate(words)

    return replace(
        found,
        missing_at_a=_proven(found.missing_at_a, beyond(found.a)),
        missing_at_b=_proven(found.missing_at_b, beyond(found.b)),
    )


def _proven(lacking: Missing, beyond: Words) -> Missing:
    import numpy as np

    there = np.isin(lacking.word, beyond) & np.isin(lacking.reason, (BEFORE, DROPPED))
    return replace(
        lacking,
        reason=np.where(there, FURTHER_ON, lacking.reason),
        confidence=np.where(there, PROVEN, lacking.confidence),
    )
