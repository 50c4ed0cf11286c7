"""What is carried over from block to block: numbers given so far, and every conversation's state."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from k8scap.parser import sequence as q
from k8scap.parser.decode import facts as f
from k8scap.parser.interning import new_table, reserve
from k8scap.parser.places import FOLLOWED
from k8scap.parser.segments import new_pool, reserve_segments

KEY = np.array([
    f.FLOW, f.NETWORK, f.SRC_SEEN, f.DST_SEEN, f.SRC_HIGH, f.SRC_LOW, f.DST_HIGH, f.DST_LOW, f.FROM_LOW,
    f.FROM_HIGH, f.END_LOW, f.END_HIGH, f.SRC_PORT, f.DST_PORT,
], np.int64)  # fmt: skip
KEY_SIZE = len(KEY)
E_SRC, E_DST, E_PAIR, E_SIDE, E_SRC_MAC, E_DST_MAC, E_SRC_CODE, E_DST_CODE = range(KEY_SIZE, KEY_SIZE + 8)
ENTRY_SIZE = KEY_SIZE + 10
TILE, _PADDING = 64, 8
"""Numbers are gathered in a tile that stays in the processor's nearest cache: writing each to its column at
once would fetch as many distant lines as there are columns. Padded, since columns that lie a power of two
apart would share a few places in that cache."""
RECENT = 1024
"""What was found out of recent packets' addresses and ports, by a hash of them: most packets are like one of
the last thousand."""

State = namedtuple(  # noqa: PYI024 - Numba knows named tuples of this kind
    "State",
    "addresses macs paths protocols protocol_of pairs stream_of superseded flows conversations pool counts "
    "answer recent tile",
)
"""Interned: addresses and macs by family and two halves, paths (tunnels) by outer path, kind and number,
protocols by code, pairs (conversations) by protocol, addresses and ports. int64: protocol_of by code,
stream_of (a pair's newest stream + 1), flows[2 x TCP streams, …], conversations[TCP streams, …], counts[2]
(TCP and UDP streams so far), recent[RECENT, …]; superseded is int8: whether a dissector has put a
conversation of its own in a pair's place."""


def new_state() -> State:
    """Nothing seen yet."""
    return State(
        new_table(), new_table(), new_table(64), new_table(2048), np.zeros(2048, np.int64),
        new_table(), np.zeros(1024, np.int64),
        np.zeros(1024, np.int8),
        np.zeros((2048, q.FLOW_SIZE), np.int64), np.zeros((1024, q.CONVERSATION_SIZE), np.int64),
        new_pool(), np.zeros(2, np.int64), np.zeros(q.ANSWER_SIZE, np.int64),
        np.full((RECENT, ENTRY_SIZE), -1, np.int64), np.zeros((FOLLOWED, TILE + _PADDING), np.int64),
    )  # fmt: skip


def reserve_state(state: State, rows: int) -> State:
    """The state, with room for all that `rows` more rows may add."""
    pairs = reserve(state.pairs, rows)
    streams = int(state.counts[0]) + rows
    return state._replace(
        addresses=reserve(state.addresses, 2 * rows),
        macs=reserve(state.macs, 2 * rows),
        paths=reserve(state.paths, 2 * rows),
        pairs=pairs,
        stream_of=_longer(state.stream_of, len(pairs.keys)),
        superseded=_longer(state.superseded, len(pairs.keys)),
        flows=_longer(state.flows, 2 * streams),
        conversations=_longer(state.conversations, streams),
        pool=reserve_segments(state.pool, rows),
    )


def _longer(array: np.ndarray, needed: int) -> np.ndarray:
    if needed <= len(array):
        return array
    longer = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
