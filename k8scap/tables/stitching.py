"""Which connection outside belongs to which one on `lo`: by time, bytes and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from k8scap.tables.redirected import on_loopback

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

WITHIN_NS = 10_000_000_000
"""Nanoseconds from the one connection's start to the other's: a proxy may wait for the request first."""
NEIGHBOURS = 16
"""So many connections outside are compared with each on lo, the next in time."""
SAME_BYTES = 0.95
ONE_OF_SEVERAL = 0.7
LIKE_BYTES = 0.6
MORE_SHARE, MORE_BYTES = 0.25, 8192
"""How far the bytes may differ where the proxy encrypts, or adds headers."""
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Pairs:
    """One array element a connection on `lo`: `inner` is its number, `outer` its partner's (-1: none).

    `ingress` says that the one outside began first. Bytes are the inner one's; `confidence` is 0 without
    partner.
    """

    inner: Ints
    outer: Ints
    ingress: Bools
    request_bytes: Ints
    response_bytes: Ints
    confidence: Floats


@dataclass(frozen=True, eq=False)
class _Flows:
    """One array element a connection; addresses as codes."""

    start: Ints
    end: Ints
    asked: Ints
    said: Ints
    client: Ints
    server: Ints
    point: Ints


def stitch(replay: Replay) -> Pairs:
    """The connections on `lo`, each with its partner outside where there is one; each partner is one's."""
    import numpy as np

    flows = _flows(replay)
    here = _inside(replay)
    inner, outside = np.flatnonzero(here), np.flatnonzero(~here)
    chosen = np.full(len(inner), -1, dtype=np.int64)
    ingress = np.zeros(len(inner), dtype=bool)
    confidence = np.zeros(len(inner))
    if len(inner) and len(outside):
        place, outer, later, same = _candidates(replay, flows, inner, outside)
        taken = _mutual(place, outer, _cost(flows, inner[place], outer, same))
        rows = place[taken]
        chosen[rows], ingress[rows] = outer[taken], ~later[taken]
        rivals = np.bincount(place[same], minlength=len(inner))[rows]
        confidence[rows] = np.select([~same[taken], rivals > 1], [LIKE_BYTES, ONE_OF_SEVERAL], SAME_BYTES)
    return Pairs(inner, chosen, ingress, flows.asked[inner], flows.said[inner], confidence)


def _flows(replay: Replay) -> _Flows:
    import numpy as np

    found = replay.segments
    first = found.flow_start
    last = np.append(first[1:], len(found)) - 1 if len(first) else first
    ends = replay.ends.take(found.row[first]).turned(~found.from_client[first])
    spoken = replay.spoken
    fresh = np.minimum(replay.coverage.fresh, found.payload)[spoken].astype(np.float64)
    by_side = np.bincount(found.side[spoken], fresh, minlength=2 * found.flows).astype(np.int64)
    return _Flows(
        found.time[first], found.time[last], by_side[0::2], by_side[1::2], ends.src, ends.dst, ends.point
    )


def loopback(replay: Replay) -> Bools:
    """Which of the addresses (by code; the last is none) are a host's own, 127.0.0.0/8 or ::1."""
    import numpy as np

    texts = [str(text) for text in replay.ends.addresses.categories]
    return np.array([text.startswith(("127.", "::")) and _is_loopback(text) for text in texts] + [False])


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _inside(replay: Replay) -> Bools:
    """Which connections were captured on `lo`, by their first frame."""
    found = replay.segments
    answer: Bools = on_loopback(replay.packets)[found.row[found.flow_start]]
    return answer


def _candidates(replay: Replay, flows: _Flows, inner: Ints, outside: Ints) -> tuple[Ints, Ints, Bools, Bools]:
    """Pairs that may be one: place in `inner`, connection outside, whether that began later, same bytes."""
    import numpy as np

    outside = outside[np.argsort(flows.start[outside], kind="stable")]
    middle = np.searchsorted(flows.start[outside], flows.start[inner])
    reach = np.arange(-NEIGHBOURS, NEIGHBOURS)
    near = middle[:, None] + reach[None, :]
    place, column = np.nonzero((near >= 0) & (near < len(outside)))
    outer = outside[near[place, column]]
    one = inner[place]
    later = flows.start[outer] >= flows.start[one]
    likely = _possible(replay, flows, one, outer, later)
    same = (flows.asked[one] == flows.asked[outer]) & (flows.said[one] == flows.said[outer])
    more = np.maximum(
        np.abs(flows.asked[one] - flows.asked[outer]) - MORE_SHARE * flows.asked[one],
        np.abs(flows.said[one] - flows.said[outer]) - MORE_SHARE * flows.said[one],
    )
    kept = likely & (same | (more <= MORE_BYTES))
    return place[kept], outer[kept], later[kept], same[kept]


def _possible(replay: Replay, flows: _Flows, one: Ints, outer: Ints, later: Bools) -> Bools:
    """At one point, at once, with payload, and from (egress) or to (ingress) an address of this host."""
    import numpy as np

    own = loopback(replay)
    inner = np.unique(one)
    ends = np.concatenate((flows.client[inner], flows.server[inner]))
    local = np.zeros(len(own), dtype=bool)
    local[ends[~own[ends]]] = True  # what talks on lo is this host's
    gap = flows.start[outer] - flows.start[one]
    overlap = (flows.start[outer] <= flows.end[one]) & (flows.start[one] <= flows.end[outer])
    out = later & (local[flows.client[outer]] | ~local.any()) & _agrees(own, flows.client, one, outer)
    come = ~later & (local[flows.server[outer]] | ~local.any()) & _agrees(own, flows.server, one, outer)
    answer: Bools = (
        (flows.point[one] == flows.point[outer])
        & (np.abs(gap) <= WITHIN_NS)
        & overlap
        & (flows.asked[one] + flows.said[one] > 0)
        & (out | come)
    )
    return answer


def _agrees(own: Bools, end: Ints, one: Ints, outer: Ints) -> Bools:
    """Whether the two have that end in common; a loopback address agrees with any."""
    answer: Bools = own[end[one]] | (end[one] == end[outer])
    return answer


def _cost(flows: _Flows, one: Ints, outer: Ints, same: Bools) -> Ints:
    """The lower, the likelier: equal bytes before like ones, and then the time between."""
    import numpy as np

    gap = np.abs(flows.start[outer] - flows.start[one])
    cost: Ints = np.where(same, gap, gap + 2 * WITHIN_NS).astype(np.int64)
    return cost


def _mutual(one: Ints, other: Ints, cost: Ints) -> Ints:
    """Places of the pairs in which each is the other's best, of those that are left, again and again."""
    import numpy as np

    order = np.argsort(cost, kind="stable")
    taken: list[Ints] = []
    for _ in range(_ROUNDS):
        if not len(order):
            break
        best_of_one = np.isin(np.arange(len(order)), np.unique(one[order], return_index=True)[1])
        best_of_other = np.isin(np.arange(len(order)), np.unique(other[order], return_index=True)[1])
        chosen = order[best_of_one & best_of_other]
        taken.append(chosen)
        order = order[~np.isin(one[order], one[chosen]) & ~np.isin(other[order], other[chosen])]
    places: Ints = np.concatenate([np.zeros(0, dtype=np.int64), *taken])
    return places
