"""How far apart two estimates are, between which limits, and how likely chance alone would do that.

The limits of a difference come from those of its two sides (MOVER: Newcombe 1998 for proportions; Zou and
Donner 2008 for all): the same at every run, as nothing is drawn by lot. `p` is one minus the confidence at
which these limits just touch zero, so that it never contradicts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite
from typing import TYPE_CHECKING

from k8scap.tables.student import multiplier, two_sided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.tables.estimates import Estimate

CONFIDENCE = 0.95
_FURTHEST = 1e3


@dataclass(frozen=True)
class Difference:
    """Of `second` from `first`: how much more, its 95 % limits, and p before any other comparison counts."""

    first: Estimate
    second: Estimate
    value: float
    low: float
    high: float
    p: float

    @property
    def is_bounded(self) -> bool:
        """Whether the samples reach far enough to say between which limits it is."""
        return isfinite(self.low) and isfinite(self.high)


def difference(first: Estimate, second: Estimate) -> Difference:
    df = min(first.df, second.df)
    low, high = _limits(first, second, multiplier(CONFIDENCE, df))
    touching = _touching(first, second)
    p = 1.0 if touching <= 0 else two_sided(touching, df)
    return Difference(first, second, second.value - first.value, low, high, p)


def _limits(first: Estimate, second: Estimate, c: float) -> tuple[float, float]:
    (low1, high1), (low2, high2) = first.limits(c), second.limits(c)
    value = second.value - first.value
    below = hypot(_span(second.value, low2), _span(first.value, high1))
    above = hypot(_span(second.value, high2), _span(first.value, low1))
    return value - below, value + above


def _span(value: float, limit: float) -> float:
    return abs(limit - value)


def _touching(first: Estimate, second: Estimate) -> float:
    """How many standard errors away the limits reach zero; bisection, as limits only ever widen."""
    low, high = 0.0, _FURTHEST
    for _ in range(40):
        middle = (low + high) / 2
        below, above = _limits(first, second, middle)
        low, high = (low, middle) if below <= 0 <= above else (middle, high)
    return low if first.value != second.value else 0.0


def holm(ps: Sequence[float]) -> list[float]:
    """Each p as it counts when all are looked at: the chance of one error among them (Holm 1979)."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, worst = [1.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = worst
    return adjusted


def binomial(count: int, total: int, share: float) -> float:
    """Two-sided: how likely `count` of `total` is, or what is no likelier, where each has this `share`."""
    from math import comb

    if total > 1_000:  # so far beyond any doubt that the powers would only lose their digits
        return 0.0 if abs(count / total - share) > 4 * (share * (1 - share) / total) ** 0.5 else 1.0
    chances = [comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
    return min(1.0, sum(c for c in chances if c <= chances[count] * (1 + 1e-9)))
