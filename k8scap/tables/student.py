"""Student's t distribution: how many standard errors make a 95 % interval where few connections tell them."""

from __future__ import annotations

from math import atan, cos, erfc, pi, sin, sqrt

MOST_DF = 200
"""Beyond so many degrees of freedom the normal distribution is as good."""


def two_sided(t: float, df: int) -> float:
    """The probability of a value beyond ±`t` with `df` degrees of freedom (1 at the least).

    The finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    if df > MOST_DF:
        return erfc(t / sqrt(2))
    angle = atan(t / sqrt(df))
    if df == 1:
        return 1 - 2 * angle / pi
    square, term, total = cos(angle) ** 2, 1.0, 1.0
    for k in range(2 + df % 2, df - 1, 2):
        term *= square * (k - 1) / k
        total += term
    if df % 2:
        return max(0.0, 1 - 2 / pi * (angle + sin(angle) * cos(angle) * total))
    return max(0.0, 1 - sin(angle) * total)


def multiplier(confidence: float, df: int) -> float:
    """The t that leaves 1 - `confidence` outside ±t, to nine digits, by bisection."""
    low, high = 0.0, 1e4
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, df) > 1 - confidence else (low, middle)
    return high
