"""Packet by packet: which one at the first point is which at the second, each at most once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.conversations import Conversations
    from k8scap.correlation.trace import Trace

    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]
    Bools = npt.NDArray[np.bool_]

IDS_KEPT = 0.9
"""Share of packets, certain by their content, whose IP identification must be the same at both points for it
to tell repeated packets apart: a router leaves it alone, and a proxy or scrubber changes nearly all."""
LINGER_NS = 1_000_000_000
"""Nanoseconds that a packet may take beyond the longest that is certain: more, and it is another packet."""


@dataclass(frozen=True, eq=False)
class Side:
    """One point's packets in the pair's common terms, one element a packet of its trace.

    `group` is the conversation that both points have (-1: the other shows nothing of it), `forward` the
    direction in a's terms, `key` a hash that equals the other point's for the same packet.
    """

    trace: Trace
    group: Ints
    forward: Bools
    key: Words

    @property
    def candidates(self) -> Bools:
        """Packets that the other point may have, second sightings aside."""
        return (self.group >= 0) & ~self.trace.again


@dataclass(frozen=True, eq=False)
class Matches:
    """Indices into the traces of a and b, of packets that are one, in a's order."""

    a: Ints
    b: Ints

    def __len__(self) -> int:
        return len(self.a)


def sides(a: Trace, b: Trace, same: Conversations) -> tuple[Side, Side, Matches]:
    """Both points' packets with the keys by which they are matched, and the matches that are certain.

    Certain is a packet that is the only one of its key at either point. Without any such, the nth is taken
    for the nth, of keys that both have as often.
    """
    group_a, group_b = same.of_a[a.conversation], same.of_b[b.conversation]
    forward_b = b.forward ^ same.turned_b[b.conversation]
    first, second = _side(a, group_a, a.forward), _side(b, group_b, forward_b)
    certain = _only_ones(first, second)
    told = a.ip_id[certain.a] == b.ip_id[certain.b]
    if len(certain) and told.mean() >= IDS_KEPT:
        first, second = (_with_identification(side) for side in (first, second))
        certain = Matches(certain.a[told], certain.b[told])
    return first, second, certain if len(certain) else _undecided(first, second)


def _side(trace: Trace, group: Ints, forward: Bools) -> Side:
    from k8scap.correlation.trace import digest

    return Side(trace, group, forward, digest(trace.content, group, forward))


def _with_identification(side: Side) -> Side:
    from dataclasses import replace

    from k8scap.correlation.trace import digest

    return replace(side, key=digest(side.key, side.trace.ip_id))


def _only_ones(a: Side, b: Side) -> Matches:
    import numpy as np

    (key_a, rows_a), (key_b, rows_b) = (_alone(side) for side in (a, b))
    at = np.searchsorted(key_b, key_a)
    both = np.flatnonzero(at < len(key_b))
    both = both[key_b[at[both]] == key_a[both]]
    return _sorted(a, rows_a[both], rows_b[at[both]])


def _alone(side: Side) -> tuple[Words, Ints]:
    """The keys that one packet has, rising, and which."""
    import numpy as np

    rows = np.flatnonzero(side.candidates)
    rows = rows[np.argsort(side.key[rows])]
    key = side.key[rows]
    differs = np.concatenate(([True], key[1:] != key[:-1], [True]))
    alone = differs[1:] & differs[:-1] if len(key) else np.zeros(0, dtype=bool)
    return key[alone], rows[alone]


def _sorted(a: Side, first: Ints, second: Ints) -> Matches:
    """By a's order: conversation by conversation, as they were captured."""
    import numpy as np

    partner = np.full(len(a.trace), -1, dtype=np.int64)
    partner[first] = second
    rows = np.flatnonzero(partner >= 0)
    return Matches(rows, partner[rows])


def _undecided(a: Side, b: Side) -> Matches:
    import numpy as np

    first, second = np.flatnonzero(a.candidates), np.flatnonzero(b.candidates)
    one, two = _in_turn(a.key[first], b.key[second])
    return _sorted(a, first[one], second[two])


def all_matches(
    a: Side, b: Side, certain: Matches, arrival: Ints, *, towards_b: Ints, longest: int
) -> Matches:
    """Every packet that both have. Of packets with equal keys each one seen is the latest sent before it.

    `arrival` is when each packet of a would be at b by b's clock at the earliest, were it sent toward b, or
    have been there at the latest, were it sent from there (int64, nanoseconds). `towards_b` is 1 for packets
    of a that go to b, -1 for those that come from there, 0 where nobody knows: of these the nth of a key is
    the nth, where both have as many. Nothing takes more than `longest` nanoseconds beyond the earliest.
    """
    import numpy as np

    way_a, way_b = towards_b, _ways_of_b(a, b, towards_b)
    open_a, open_b = a.candidates, b.candidates
    open_a[certain.a], open_b[certain.b] = False, False
    found = [(certain.a, certain.b)]
    for sign in (1, 0, -1):
        first = np.flatnonzero(open_a & (way_a == sign))
        second = np.flatnonzero(open_b & (way_b == sign))
        at_a, at_b = _Seen(a.key[first], arrival[first]), _Seen(b.key[second], b.trace.time[second])
        if sign > 0:
            one, two = _aligned(at_a, at_b, longest)
        elif sign < 0:
            two, one = _aligned(at_b, at_a, longest)
        else:
            one, two = _in_turn(at_a.key, at_b.key)
        found.append((first[one], second[two]))
    first, second = (np.concatenate(part) for part in zip(*found, strict=True))
    return _sorted(a, first, second)


def _ways_of_b(a: Side, b: Side, towards_b: Ints) -> Ints:
    """The way of each packet of b: that of its group and direction, as it was given for a's."""
    import numpy as np

    groups = int(max(a.group.max(initial=-1), b.group.max(initial=-1))) + 1
    way = np.zeros(2 * groups + 2, dtype=np.int64)
    way[2 * a.group + a.forward] = towards_b  # those without a group share the last two
    way[2 * groups :] = 0
    of_b: Ints = way[2 * b.group + b.forward]
    return of_b


@dataclass(frozen=True, eq=False)
class _Seen:
    key: Words
    time: Ints

    def sorted(self) -> tuple[Ints, _Seen]:
        import numpy as np

        order = np.lexsort((self.time, self.key))
        return order, _Seen(self.key[order], self.time[order])


def _aligned(sent: _Seen, seen: _Seen, longest: int) -> tuple[Ints, Ints]:
    """Index pairs (sent, seen) of equal key, rising in both: each seen one is the latest sent before it.

    A packet's time as `sent` is when it would be seen at the earliest. Where two would be the same one, the
    earlier of them is the one sent before.
    """
    import numpy as np

    by_sent, sent = sent.sorted()
    by_seen, seen = seen.sorted()
    if not len(by_sent) or not len(by_seen):
        return by_sent[:0], by_seen[:0]
    keys, times = np.concatenate((sent.key, seen.key)), np.concatenate((sent.time, seen.time))
    is_seen = np.repeat([False, True], [len(by_sent), len(by_seen)])
    merged = np.lexsort((is_seen, times, keys))
    latest = (np.cumsum(~is_seen[merged]) - 1)[is_seen[merged]]
    run = np.cumsum(np.concatenate(([0], seen.key[1:] != seen.key[:-1])))
    choice = _each_before_the_next(latest, run)
    good = choice >= np.searchsorted(sent.key, seen.key, "left")
    choice = np.where(good, choice, 0)
    good &= seen.time - sent.time[choice] <= longest
    return by_sent[choice[good]], by_seen[good]


def _each_before_the_next(latest: Ints, run: Ints) -> Ints:
    """The highest numbers up to `latest` that rise strictly within each run."""
    import numpy as np

    place = np.arange(len(latest))
    room = 2 * int(latest.max() + len(latest) + 2)
    shifted = latest - place + run * room  # later runs lie higher: a minimum from behind stays in its run
    choice: Ints = np.minimum.accumulate(shifted[::-1])[::-1] - run * room + place
    return choice


def _in_turn(key_a: Words, key_b: Words) -> tuple[Ints, Ints]:
    """The nth of a key with the nth of the other, where there are as many."""
    import numpy as np

    order_a, order_b = np.argsort(key_a, kind="stable"), np.argsort(key_b, kind="stable")
    words, start_a, count_a = np.unique(key_a[order_a], return_index=True, return_counts=True)
    others, start_b, count_b = np.unique(key_b[order_b], return_index=True, return_counts=True)
    _, at_a, at_b = np.intersect1d(words, others, assume_unique=True, return_indices=True)
    equal = count_a[at_a] == count_b[at_b]
    at_a, at_b = at_a[equal], at_b[equal]
    count = count_a[at_a]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    first = order_a[np.repeat(start_a[at_a], count) + within]
    second = order_b[np.repeat(start_b[at_b], count) + within]
    return first, second
