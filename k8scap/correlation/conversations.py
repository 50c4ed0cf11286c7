"""Which conversation at one point is which at the other, whatever NAT made of its addresses and ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.correlation.trace import Trace

    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]
    Bools = npt.NDArray[np.bool_]

_MOST_ALIKE = 4
"""Conversations of one point that may share a packet (before and behind NAT, on several interfaces): what is
found in more of them is said by everybody, and tells nothing."""
_FIRST, _ONE_OF = 64, 16
"""Packets by which conversations are told: the first ones of each, and one of so many of all others."""
_NONE = -1


@dataclass(frozen=True, eq=False)
class Conversations:
    """Conversations that are one: equal numbers in `of_a` and `of_b` (one element a conversation), -1: none.

    `turned_b` are those of b where the other side was taken for who began.
    """

    of_a: Ints
    of_b: Ints
    turned_b: Bools
    count: int


@dataclass(frozen=True, eq=False)
class _Pairs:
    a: Ints
    b: Ints
    turned: Bools
    score: Ints

    def take(self, rows: Bools) -> _Pairs:
        return _Pairs(self.a[rows], self.b[rows], self.turned[rows], self.score[rows])


def same_conversations(a: Trace, b: Trace) -> Conversations:
    """Match conversations by the packets that they share; those that share none by addresses and ports.

    A conversation of one point may be several of the other, where that one missed a SYN between two on the
    same ports, or saw it before and behind NAT.
    """
    import numpy as np

    told = _by_content(a, b)
    ends = _by_ends(a, b, open_a=~np.isin(np.arange(a.conversations), told.a))
    ends_free = ~np.isin(ends.b, told.b)
    pairs = _joined(told, ends.take(ends_free))
    return _grouped(pairs, a.conversations, b.conversations)


def _joined(one: _Pairs, other: _Pairs) -> _Pairs:
    import numpy as np

    return _Pairs(
        np.concatenate((one.a, other.a)),
        np.concatenate((one.b, other.b)),
        np.concatenate((one.turned, other.turned)),
        np.concatenate((one.score, other.score)),
    )


def _by_content(a: Trace, b: Trace) -> _Pairs:
    """Each conversation's best partner: most packets in common, then the same ends, then the same place."""
    import numpy as np

    said_a, said_b = _sayings(a), _sayings(b)
    _, at_a, at_b = np.intersect1d(said_a.word, said_b.word, assume_unique=True, return_indices=True)
    found: list[tuple[Ints, Ints, Ints]] = []
    for i in range(_MOST_ALIKE):
        for j in range(_MOST_ALIKE):
            both = (said_a.count[at_a] > i) & (said_b.count[at_b] > j)
            first, second = said_a.packet(at_a[both], i), said_b.packet(at_b[both], j)
            found.append((first, second, np.full(len(first), i == j, dtype=np.int64)))
    first, second, place = (np.concatenate(part) for part in zip(*found, strict=True))
    turned = a.forward[first] != b.forward[second]
    return _best(_votes(a, b, (a.conversation[first], b.conversation[second]), turned, place))


@dataclass(frozen=True, eq=False)
class _Sayings:
    """Distinct contents, and for each the first packet of every conversation that has it (rising)."""

    word: Words
    start: Ints
    count: Ints
    order: Ints

    def packet(self, which: Ints, nth: int) -> Ints:
        answer: Ints = self.order[self.start[which] + nth]
        return answer


def _sayings(trace: Trace) -> _Sayings:
    import numpy as np

    chosen = _sample(trace)
    order = chosen[np.argsort(trace.content[chosen], kind="stable")]
    word, conversation = trace.content[order], trace.conversation[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (word[1:] == word[:-1]) & (conversation[1:] == conversation[:-1])
    order, word = order[~again], word[~again]
    distinct, start, count = np.unique(word, return_index=True, return_counts=True)
    few = count <= _MOST_ALIKE
    return _Sayings(distinct[few], start[few], count[few], order)


def _sample(trace: Trace) -> Ints:
    """The first packets of each conversation, and of the others those that either point would choose.

    Chosen by their content, the same packets are in both points' samples.
    """
    import numpy as np

    nth = np.arange(len(trace)) - trace.starts[trace.conversation]
    return np.flatnonzero((nth < _FIRST) | (trace.content % np.uint64(_ONE_OF) == 0))


def _votes(a: Trace, b: Trace, voters: tuple[Ints, Ints], turned: Bools, place: Ints) -> _Pairs:
    import numpy as np

    of_a, of_b = voters
    pair, index, count = np.unique(
        of_a * max(b.conversations, 1) + of_b, return_index=True, return_counts=True
    )
    inverse = np.searchsorted(pair, of_a * max(b.conversations, 1) + of_b)
    against = np.bincount(inverse, weights=turned, minlength=len(pair)) * 2 > count
    in_place = np.bincount(inverse, weights=place, minlength=len(pair)) * 2 > count
    first, second = of_a[index], of_b[index]
    ends_a, ends_b = _ends(a, b)
    same = ends_a[first] == ends_b[second]
    return _Pairs(first, second, against, count * 4 + same * 2 + in_place)


def _best(pairs: _Pairs) -> _Pairs:
    """Those that are the best of either of the two."""
    import numpy as np

    kept = np.zeros(len(pairs.a), dtype=bool)
    for mine, other in ((pairs.a, pairs.b), (pairs.b, pairs.a)):
        order = np.lexsort((other, -pairs.score, mine))
        first = np.ones(len(order), dtype=bool)
        first[1:] = mine[order][1:] != mine[order][:-1]
        kept[order[first]] = True
    return pairs.take(kept)


def _by_ends(a: Trace, b: Trace, *, open_a: Bools) -> _Pairs:
    """The nth conversation between two ends at one point, the nth at the other; where there are as many."""
    import numpy as np

    ends_a, ends_b = _ends(a, b)
    order_a, order_b = np.argsort(ends_a, kind="stable"), np.argsort(ends_b, kind="stable")
    words, at_a, at_b = np.intersect1d(ends_a[order_a], ends_b[order_b], return_indices=True)
    count_a = np.searchsorted(ends_a[order_a], words, "right") - at_a
    count_b = np.searchsorted(ends_b[order_b], words, "right") - at_b
    equal = count_a == count_b
    at_a, at_b, count = at_a[equal], at_b[equal], count_a[equal]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    first, second = order_a[np.repeat(at_a, count) + within], order_b[np.repeat(at_b, count) + within]
    chosen = open_a[first]
    first, second = first[chosen], second[chosen]
    packet_a, packet_b = a.starts[first], b.starts[second]
    same_sender = (a.sender[packet_a] == b.sender[packet_b]) & (
        a.sender_port[packet_a] == b.sender_port[packet_b]
    )
    turned = same_sender != (a.forward[packet_a] == b.forward[packet_b])
    return _Pairs(first, second, turned, np.zeros(len(first), dtype=np.int64))


def _ends(a: Trace, b: Trace) -> tuple[Words, Words]:
    """A hash of each conversation's protocol, addresses and ports, the same for either direction."""
    import numpy as np

    from k8scap.correlation.trace import digest

    def of(trace: Trace) -> Words:
        first = trace.starts
        ends = [digest(address[first], port[first]) for address, port in _sides(trace)]
        return digest(trace.protocol[first], np.minimum(*ends), np.maximum(*ends))

    return of(a), of(b)


def _sides(trace: Trace) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
    return (trace.sender, trace.sender_port), (trace.receiver, trace.receiver_port)


def _grouped(pairs: _Pairs, count_a: int, count_b: int) -> Conversations:
    """Number what hangs together: the smallest label spreads along the pairs until nothing changes."""
    import numpy as np

    label_a, label_b = np.arange(count_a), np.full(count_b, count_a)
    while True:
        before = label_a.copy(), label_b.copy()
        np.minimum.at(label_b, pairs.b, label_a[pairs.a])
        np.minimum.at(label_a, pairs.a, label_b[pairs.b])
        if np.array_equal(before[0], label_a) and np.array_equal(before[1], label_b):
            break
    shared = np.unique(label_b[pairs.b])
    number = np.full(count_a + 1, _NONE, dtype=np.int64)
    number[shared] = np.arange(len(shared))
    turned = np.zeros(count_b, dtype=bool)
    by_score = np.argsort(pairs.score, kind="stable")
    turned[pairs.b[by_score]] = pairs.turned[by_score]
    return Conversations(number[label_a], number[label_b], turned, len(shared))
