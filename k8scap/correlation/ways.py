"""Which way a conversation's packets pass two points: from the first to the second, or the other way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.matching import Matches, Side

    Ints = npt.NDArray[np.int64]


def ways(a: Side, b: Side, matches: Matches, groups: int) -> Ints:
    """For each group: 1 where its forward packets go from a to b, -1 where they come from b, 0: not known.

    Routers between two points count the TTL down (RFC 791): the point that sees the higher one is nearer to
    the sender. Where there is none between them, time tells, whatever the clocks: from a packet to the next
    one of the other direction more time passes at the point that is nearer to the first one's sender, by the
    round trip between the points. A conversation of one direction only goes as others from the same sender.
    """
    import numpy as np

    group, forward = a.group[matches.a], a.forward[matches.a]
    by_ttl = _by_ttl(a, b, matches, groups)
    by_time = _by_time(a, b, matches, groups)
    told = np.where(by_ttl != 0, by_ttl, by_time)
    way = np.where(forward, told[group], -told[group])
    return np.where(told != 0, told, _by_senders(a, matches, way, groups))


def _by_ttl(a: Side, b: Side, matches: Matches, groups: int) -> Ints:
    import numpy as np

    hops = a.trace.ttl[matches.a] - b.trace.ttl[matches.b]
    signed = np.sign(np.where(a.forward[matches.a], hops, -hops))
    return _sign_of_sum(a.group[matches.a], signed, groups)


def _by_time(a: Side, b: Side, matches: Matches, groups: int) -> Ints:
    """By neighbours of opposite directions; the differences all have one sign, the round trip's size."""
    import numpy as np

    group, forward = a.group[matches.a], a.forward[matches.a]
    apart = b.trace.time[matches.b] - a.trace.time[matches.a]
    order = np.argsort(group, kind="stable")  # they stand nearly so, and in order of time
    group, forward, apart = group[order], forward[order], apart[order]
    turn = (group[1:] == group[:-1]) & (forward[1:] != forward[:-1])
    longer = np.where(forward[1:], 1, -1) * (apart[1:] - apart[:-1])
    return _sign_of_sum(group[1:][turn], np.sign(longer[turn]), groups)


def _by_senders(a: Side, matches: Matches, way: Ints, groups: int) -> Ints:
    """By what is known of others from, or to, the same addresses as a saw them."""
    import numpy as np

    near = near_side(a, matches.a, way)
    rows = np.flatnonzero(a.group >= 0)
    guess = np.sign(near[a.trace.sender[rows]] - near[a.trace.receiver[rows]])
    return _sign_of_sum(a.group[rows], np.where(a.forward[rows], guess, -guess), groups)


def near_side(side: Side, rows: Ints, way: Ints) -> Ints:
    """For each address that a point saw: 1 where it lies on its own side, -1 on the other's, by majority.

    `rows` are packets that both points have, `way` is 1 where one goes to the other point, -1 where it comes
    from there. 0 is not known; the last element is that of no address.
    """
    import numpy as np

    trace = side.trace
    size = int(max(trace.sender.max(initial=-1), trace.receiver.max(initial=-1))) + 2
    votes = np.zeros(size, dtype=np.int64)
    np.add.at(votes, trace.sender[rows], way)
    np.add.at(votes, trace.receiver[rows], -way)
    votes[-1] = 0
    return np.sign(votes)


def _sign_of_sum(group: Ints, values: Ints, groups: int) -> Ints:
    import numpy as np

    return np.sign(np.bincount(group, weights=values, minlength=groups)).astype(np.int64)
