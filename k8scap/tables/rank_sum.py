"""Whether two handfuls of numbers lie apart: Mann and Whitney's test, exact, as few connections need it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def rank_sum(first: Floats, second: Floats) -> float:
    """Two-sided p that both come from one distribution (Mann and Whitney 1947); ties count half."""
    import numpy as np

    below = np.sum(first[:, None] < second) + 0.5 * np.sum(first[:, None] == second)
    pairs = len(first) * len(second)
    ways = _ways(len(first), len(second))
    nearer = min(ceil(below), ceil(pairs - below))
    return min(1.0, 2 * float(ways[: nearer + 1].sum() / ways.sum()))


def _ways(first: int, second: int) -> Floats:
    """In how many of all orders each number of pairs is the right way round: the Gaussian binomial."""
    import numpy as np

    ways = np.zeros(first * second + 1)
    ways[0] = 1.0
    for k in range(1, first + 1):
        taller = ways.copy()
        taller[second + k :] -= ways[: max(0, len(ways) - second - k)]
        for at in range(k, len(taller)):
            taller[at] += taller[at - k]
        ways = taller
    return ways
