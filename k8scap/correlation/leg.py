"""The way between two points: their packets matched, their clocks compared, what is missing judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.correlation.clocks import Clock, clock
from k8scap.correlation.conversations import same_conversations
from k8scap.correlation.matching import LINGER_NS, Matches, all_matches, sides
from k8scap.correlation.missing import Meeting, Missing, View, missing
from k8scap.correlation.ways import ways

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.matching import Side
    from k8scap.correlation.trace import Trace

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

SLACK_NS = 200_000
"""Nanoseconds by which a packet may be faster than the fastest that is certain."""


@dataclass(frozen=True, eq=False)
class Point:
    """One capture point: its name, its packets, and what is known of its recording (see `View`).

    `filter` is tcpdump's that it was captured with, None where nobody knows.
    """

    name: str
    trace: Trace
    begin: int
    end: int
    dropped: int | None
    filter: str | None

    def view(self, side: Side) -> View:
        return View(side, self.begin, self.end, self.dropped, unfiltered=self.filter == "")


@dataclass(frozen=True, eq=False)
class Leg:
    """Two points and all that was found of them; `clock` is None where they have nothing in common.

    `way` is 1 for matched packets that go from a to b, -1 for those that come from b, 0: not known.
    `delay_ns` is NaN for those, and where the clocks cannot be compared.
    """

    a: Point
    b: Point
    matches: Matches
    way: Ints
    clock: Clock | None
    delay_ns: Floats
    missing_at_b: Missing
    missing_at_a: Missing

    @property
    def distance_ns(self) -> float:
        """The fastest round trip between the points; infinite where nobody knows."""
        return 2 * self.clock.either_ns if self.clock else float("inf")


def leg(a: Point, b: Point) -> Leg:
    """Correlate two points."""
    import numpy as np

    same = same_conversations(a.trace, b.trace)
    side_a, side_b, certain = sides(a.trace, b.trace, same)
    way_of_group = ways(side_a, side_b, certain, same.count)
    time_a, time_b = a.trace.time[certain.a], b.trace.time[certain.b]
    found = clock(time_a, time_b, _way(side_a, certain.a, way_of_group))
    everybody = np.arange(len(a.trace))
    way_a = _way(side_a, everybody, way_of_group)
    arrival = _at_b(a.trace.time, way_a, found)
    spread = _spread(time_a, time_b, _way(side_a, certain.a, way_of_group), found)
    both = all_matches(
        side_a, side_b, certain, arrival - way_a * SLACK_NS, towards_b=way_a, longest=spread + LINGER_NS
    )
    way = way_a[both.a]
    views = a.view(side_a), b.view(side_b)
    from_a = Meeting(both.a, both.b, way_of_group, arrival, spread)
    way_b = -_way(side_b, np.arange(len(b.trace)), way_of_group)
    from_b = Meeting(both.b, both.a, -way_of_group, _at_a(b.trace.time, way_b, found), spread)
    return Leg(
        a,
        b,
        both,
        way,
        found,
        _delays(a.trace.time[both.a], b.trace.time[both.b], way, found),
        missing(views[0], views[1], from_a),
        missing(views[1], views[0], from_b),
    )


def _way(side: Side, rows: Ints, way_of_group: Ints) -> Ints:
    """The way of packets in a's terms: 1 to b, -1 from b, 0 where nobody knows."""
    import numpy as np

    way = np.append(way_of_group, 0)[side.group[rows]]
    return np.where(side.forward[rows], way, -way)


def _at_b(time: Ints, way: Ints, found: Clock | None) -> Ints:
    """When packets of a would be at b at the earliest, or were there at the latest; by b's clock."""
    import numpy as np

    if found is None:
        return time
    to_b, from_b = found.fastest_to_b(time), found.fastest_to_a(time)
    apart = np.where(way > 0, to_b, np.where(way < 0, from_b, (to_b + from_b) / 2))
    return time + apart.astype(np.int64)


def _at_a(time: Ints, way: Ints, found: Clock | None) -> Ints:
    """The same for packets of b, whose `way` is 1 where they go to a; by a's clock."""
    import numpy as np

    if found is None:
        return time
    by_a = time - int(found.offset_ns)  # near enough to tell the drift by
    to_a, from_a = found.fastest_to_a(by_a), found.fastest_to_b(by_a)
    apart = np.where(way > 0, to_a, np.where(way < 0, from_a, (to_a + from_a) / 2))
    return time - apart.astype(np.int64)


def _spread(time_a: Ints, time_b: Ints, way: Ints, found: Clock | None) -> int:
    """How much longer than the fastest the slowest certain packet took, in ns."""
    if found is None or not way.any():
        return 0
    late = (time_b - _at_b(time_a, way, found)) * way
    return int(late[way != 0].max())


def _delays(time_a: Ints, time_b: Ints, way: Ints, found: Clock | None) -> Floats:
    import numpy as np

    if found is None:
        return np.full(len(way), np.nan)
    late = (time_b - time_a) - found.offset_at(time_a)
    return np.where(way == 0, np.nan, late * way)
