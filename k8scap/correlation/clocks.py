"""How far apart two points' clocks are, and how they drift: from the fastest packets of either direction.

As NTP has it (RFC 5905, 8): what a packet takes one way, by the two clocks, is the true delay plus the
offset; the other way it is the delay minus the offset. The fastest packets met no queue; half the difference
of the two fastest is the offset, as far as the path is as long one way as the other. How much it is not,
nobody can know from captures: the offset is certain only within half of the fastest round trip.
The drift is the slope of the widest strip without packets between those of the two directions: a line under
all delays, as Moon, Skelly and Towsley (Estimation and removal of clock skew, INFOCOM 1999), from both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

FEWEST = 20
"""Packets in each direction below which no drift is judged: three of them may lie on any line."""
NOISE_RANK = 4
"""The fifth fastest packet's excess over the fastest one is taken for the noise of the fastest."""
STEEPEST = 1000e-6
"""Drift beyond which no clock goes: crystals are good to 100 ppm, virtual machines' to some hundred."""
WANDER_NS = 50_000
"""What the fastest packets of a busy second differ by from those of an idle one, on machines that share their
processors: the drift is not known better than to this, over the length of the capture."""
GENTLER = 0.25
"""Share of the noise by which a strip may be narrower for a gentler slope to be taken: clocks hardly drift
in a short capture, whose edges are all noise, and all of the noise would hide what they do in a long one."""
_ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Two clocks: `offset_ns` is b's minus a's when a's shows `when_ns`, where it is known best; it drifts.

    `drift` is seconds a second (1e-6: 1 ppm), and wrong by `drift_error` at the most. `either_ns` is the most
    by which `offset_ns` may be wrong: half the fastest round trip between the points, were all of it one way.
    `noise_ns` is what it is wrong by on a symmetric path. With packets of one direction only both are
    infinite, and `offset_ns` takes the fastest packet for immediate. `stepped`: some packets would have
    arrived before they were sent; no one line fits, a clock was set.
    """

    offset_ns: float
    when_ns: int
    drift: float
    drift_error: float
    either_ns: float
    noise_ns: float
    to_b: int
    to_a: int
    low_ns: float
    high_ns: float
    stepped: bool = False

    def offset_at(self, time: Ints) -> Floats:
        """How far b's clock is ahead of a's, in nanoseconds, when a's shows `time`."""
        return self._line(self.offset_ns, time)

    def fastest_to_b(self, time: Ints) -> Floats:
        """Difference of the clocks plus the fastest delay from a to b."""
        return self._line(self.high_ns, time)

    def fastest_to_a(self, time: Ints) -> Floats:
        """Difference of the clocks minus the fastest delay from b to a."""
        return self._line(self.low_ns, time)

    def _line(self, in_the_middle: float, time: Ints) -> Floats:
        return in_the_middle + self.drift * (time - self.when_ns).astype("float64")


def clock(time_a: Ints, time_b: Ints, towards_b: Ints) -> Clock | None:
    """Estimate from packets that both points have; `towards_b` is 1, -1, or 0 where nobody knows the way.

    Times are nanoseconds. None without a packet whose way is known.
    """
    import numpy as np

    known = towards_b != 0
    if not known.any():
        return None
    middle = int(time_a[known].min() // 2 + time_a[known].max() // 2)
    at = (time_a - middle).astype(np.float64)
    apart = (time_b - time_a).astype(np.float64)
    to_b, to_a = towards_b > 0, towards_b < 0
    if not to_b.any() or not to_a.any():
        return _one_way(apart, to_b, to_a, middle)
    strip = _Strip((at[to_b], apart[to_b]), (at[to_a], apart[to_a]))
    few = min(to_b.sum(), to_a.sum()) < FEWEST
    drift, error = (0.0, STEEPEST) if few else _drift(strip)
    above, below = apart[to_b] - drift * at[to_b], apart[to_a] - drift * at[to_a]
    # between the two fastest packets the offset hangs least on the drift
    best = float(at[to_b][above.argmin()] + at[to_a][below.argmax()]) / 2
    high, low = float(above.min()) + drift * best, float(below.max()) + drift * best
    return Clock(
        offset_ns=(high + low) / 2,
        when_ns=middle + int(best),
        drift=drift,
        drift_error=error,
        either_ns=max(high - low, 0.0) / 2,
        noise_ns=strip.noise(drift) / 2,
        to_b=int(to_b.sum()),
        to_a=int(to_a.sum()),
        low_ns=low,
        high_ns=high,
        stepped=bool(high < low),
    )


def _one_way(apart: Floats, to_b: Bools, to_a: Bools, middle: int) -> Clock:
    import numpy as np

    edge = float(apart[to_b].min() if to_b.any() else apart[to_a].max())
    return Clock(
        offset_ns=edge, when_ns=middle, drift=0.0, drift_error=STEEPEST, either_ns=np.inf,
        noise_ns=np.inf, to_b=int(to_b.sum()), to_a=int(to_a.sum()), low_ns=edge, high_ns=edge,
    )  # fmt: skip


def _drift(strip: _Strip) -> tuple[float, float]:
    """The gentlest slope whose strip is about as wide as the widest, and what it may be wrong by.

    Slopes whose strip is narrower by less than the noise of its edges are as good as the best one.
    """
    best = _between(strip.width)
    noise = strip.noise(best)
    lowest, highest = _as_good(strip, best, noise * GENTLER)
    slope = min(max(lowest, 0.0), highest)
    lowest, highest = _as_good(strip, best, max(noise, WANDER_NS))
    return slope, max(highest - slope, slope - lowest)


def _as_good(strip: _Strip, best: float, less: float) -> tuple[float, float]:
    """The range of slopes whose strip is narrower than the best one's by at most `less`."""
    enough = strip.width(best) - less
    low, high = (
        _where_it_begins(lambda slope: strip.width(slope) >= enough, border, best)
        for border in (-STEEPEST, STEEPEST)
    )
    return low, high


def _between(width: Callable[[float], float]) -> float:
    """Where a concave function is highest: thirds are cut off where it is lower."""
    low, high = -STEEPEST, STEEPEST
    for _ in range(_ROUNDS):
        third = (high - low) / 3
        if width(low + third) < width(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def _where_it_begins(holds: Callable[[float], bool], outside: float, inside: float) -> float:
    """The border between where it does not hold and where it does, by halves."""
    for _ in range(_ROUNDS):
        middle = (outside + inside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


@dataclass(frozen=True, eq=False)
class _Strip:
    """The packets to b (`above`) and to a (`below`): when, and the clocks' difference, in nanoseconds.

    The hulls are those points of either that an edge of the strip can touch.
    """

    above: tuple[Floats, Floats]
    below: tuple[Floats, Floats]

    @cached_property
    def _hulls(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        return _lowest(*self.above), _lowest(self.below[0], -self.below[1])

    def width(self, slope: float) -> float:
        (at_above, above), (at_below, below) = self._hulls
        return float((above - slope * at_above).min() + (below + slope * at_below).min())

    def noise(self, slope: float) -> float:
        """How much later than the fastest the next ones are, both directions together."""
        import numpy as np

        total = 0.0
        (at_above, above), (at_below, below) = self.above, self.below
        for late in (above - slope * at_above, slope * at_below - below):
            rank = min(NOISE_RANK, len(late) - 1)
            total += float(np.partition(late, rank)[rank] - late.min())
        return total


def _span(at: Floats) -> float:
    return float(at.max() - at.min())


def _lowest(at: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The lower convex hull of points: the only ones that a line under all of them can touch.

    Before it is walked, all but the lowest of each of 4096 stretches of time are left out.
    """
    import numpy as np

    order = np.lexsort((values, _stretches(at)))
    stretch = _stretches(at)[order]
    first = np.concatenate(([True], stretch[1:] != stretch[:-1]))
    chosen = order[first]
    chosen = chosen[np.argsort(at[chosen], kind="stable")]
    hull: list[tuple[float, float]] = []
    for x, y in zip(at[chosen].tolist(), values[chosen].tolist(), strict=True):
        while len(hull) > 1 and _above(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    points = np.array(hull)
    return points[:, 0], points[:, 1]


def _stretches(at: Floats) -> Ints:
    import numpy as np

    width = max(_span(at), 1.0)
    stretch: Ints = ((at - at.min()) / width * 4095).astype(np.int64)
    return stretch


def _above(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the middle point lies on or above the line between the other two."""
    return (middle[1] - first[1]) * (last[0] - first[0]) >= (last[1] - first[1]) * (middle[0] - first[0])
