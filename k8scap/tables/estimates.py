"""What a sample says of a quantile, a share or a mean, and between which limits.

Samples of one connection are not independent of each other: one slow path makes them all slow. So what
counts is how much connections differ (the design effect of cluster sampling, Kish 1965), not how many
samples there are. Without that dependence the limits are the usual ones: of a quantile the order statistics
that the binomial distribution names (Woodruff 1952 for clusters), of a share Wilson's (1927; Korn and
Graubard 1998 for clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, sqrt
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

MIN_CLUSTERS = 5
"""Fewer connections do not tell how much connections differ, and one may speak for this part of them all."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One array element an observation: `value`, of how many (`total`; 1 for a time), by which `cluster`.

    `value` and `total` are float64, `cluster` int64: connections, or what else hangs together.
    """

    value: Floats
    total: Floats
    cluster: Ints

    def take(self, rows: Bools | Ints) -> Sample:
        return Sample(self.value[rows], self.total[rows], self.cluster[rows])

    def __len__(self) -> int:
        return len(self.value)


class Estimate(Protocol):
    """A number, how many observations it is made of, and its limits `c` standard errors away."""

    @property
    def value(self) -> float: ...

    @property
    def samples(self) -> int: ...

    @property
    def df(self) -> int: ...

    def limits(self, c: float) -> tuple[float, float]: ...


@dataclass(frozen=True, eq=False)
class Quantile:
    """The `q` quantile of sorted values; `size` is how many independent ones they are worth."""

    ordered: Floats
    q: float
    value: float
    samples: int
    size: float
    df: int

    def limits(self, c: float) -> tuple[float, float]:
        """Infinite where the sample does not reach that far; what is measured here is never negative."""
        count, width = len(self.ordered), c * sqrt(self.q * (1 - self.q) / self.size)
        low, high = floor(count * (self.q - width)) - 1, ceil(count * (self.q + width))
        return (
            float(self.ordered[low]) if low >= 0 else 0.0,
            float(self.ordered[high]) if high < count else inf,
        )


@dataclass(frozen=True)
class Share:
    """A proportion, 0 to 1; `size` is how many independent trials it is worth."""

    value: float
    samples: int
    size: float
    df: int

    def limits(self, c: float) -> tuple[float, float]:
        square = c * c / self.size
        middle = self.value + square / 2
        width = c * sqrt(self.value * (1 - self.value) / self.size + square / (4 * self.size))
        return max(0.0, (middle - width) / (1 + square)), min(1.0, (middle + width) / (1 + square))


@dataclass(frozen=True)
class Mean:
    """A mean of equal stretches of time (batch means), with its standard error."""

    value: float
    samples: int
    error: float
    df: int

    def limits(self, c: float) -> tuple[float, float]:
        return max(0.0, self.value - c * self.error), self.value + c * self.error


def quantile(sample: Sample, q: float) -> Quantile | None:
    """The sample's `q` quantile, as numpy has it; None where too few connections made it."""
    import numpy as np

    even = evened(sample)
    if even is None:
        return None
    ordered = np.sort(even.value)
    value = float(np.quantile(ordered, q))
    below = (even.value <= value).astype(np.float64)
    size, df = _worth(below, np.ones(len(even)), even.cluster, q)
    return Quantile(ordered, q, value, len(sample), size, df)


def share(sample: Sample) -> Share | None:
    """The sum of the values in that of the totals; None where too few connections made them."""
    import numpy as np

    if _clusters(sample) < MIN_CLUSTERS:
        return None
    value = float(sample.value.sum() / sample.total.sum())
    size, df = _worth(sample.value, sample.total, sample.cluster, value)
    return Share(value, int(np.rint(sample.total.sum())), size, df)


def mean(sample: Sample) -> Mean | None:
    """The values' mean in one unit of `total`: so many a second, where these are stretches of time."""
    import numpy as np

    if len(sample) < MIN_CLUSTERS or not sample.total.sum() > 0:
        return None
    rates = sample.value / sample.total
    error = float(np.std(rates, ddof=1)) / sqrt(len(rates))
    value = float(sample.value.sum() / sample.total.sum())
    return Mean(value, int(np.rint(sample.value.sum())), error, len(rates) - 1)


def evened(sample: Sample) -> Sample | None:
    """At most as many samples of a connection, evenly taken, that none has more than a fifth of them all.

    None where there are fewer than five connections.
    """
    import numpy as np

    order = np.argsort(sample.cluster, kind="stable")
    _, start, count = np.unique(sample.cluster[order], return_index=True, return_counts=True)
    if len(count) < MIN_CLUSTERS:
        return None
    most = _most(count)
    kept = np.minimum(count, most)
    place = np.arange(int(kept.sum())) - np.repeat(np.cumsum(kept) - kept, kept)
    spread = (place * np.repeat(count, kept)) // np.repeat(kept, kept)
    return sample.take(order[np.repeat(start, kept) + spread])


def _most(count: Ints) -> int:
    """The largest number of samples for which the largest connection has a fifth of all at the most."""
    low, high = 1, int(count.max())
    while low < high:
        middle = (low + high + 1) // 2
        fits = middle * MIN_CLUSTERS <= int(count.clip(max=middle).sum())
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _clusters(sample: Sample) -> int:
    import numpy as np

    return len(np.unique(sample.cluster[sample.total > 0]))


def _worth(value: Floats, total: Floats, cluster: Ints, p: float) -> tuple[float, int]:
    """How many independent trials these are worth, never more than there are, and degrees of freedom."""
    import numpy as np

    _, member = np.unique(cluster, return_inverse=True)
    sums: Any = np.bincount(member, weights=total)
    off = np.bincount(member, weights=value) - p * sums
    groups, count = len(sums), float(sums.sum())
    even = count**2 / float((sums**2).sum())  # how many equal connections would be as telling
    independent = p * (1 - p) * count
    effect = groups / max(groups - 1, 1) * float((off**2).sum()) / independent if independent else 1.0
    return count / max(effect, 1.0), max(1, floor(even + 1e-9) - 1)
