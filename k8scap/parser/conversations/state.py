"""What is carried over from block to block: numbers given so far, and every conversation's state."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from k8scap.parser.conversations import sequence as q
from k8scap.parser.conversations.interning import new_table, reserve
from k8scap.parser.conversations.segments import new_pool, reserve_segments
from k8scap.parser.decode import facts as f
from k8scap.parser.decode.sdp import MOST_MEDIA
from k8scap.parser.table.places import FOLLOWED

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

STANDS, SUPERSEDED = 1, 2
"""How it stands with a pair's conversation: one of its own; one that a dissector has put in its place."""
OPENED_STREAM, SET_UP, OPENED_BY, OPENED_SIZE = range(4)
T_SEQUENCE, T_METHOD, T_STATE, T_FRAME, T_STATUS, TRANSACTION_SIZE = range(6)
O_ANSWERED, O_COUNT, O_MEDIA = range(3)
M_SPOKEN, M_FAMILY, M_HIGH, M_LOW, M_PORT, M_CONTROL, M_BUNDLED, M_SET_UP, MEDIA_SIZE = range(9)
R_CLIENT, R_SERVER, R_VERSION, R_COMMAND, R_METHOD, R_PORT, R_SERVER_PORT, R_DONE, RELAY_SIZE = range(9)
OFFER_SIZE = O_MEDIA + MOST_MEDIA * MEDIA_SIZE

State = namedtuple(  # noqa: PYI024 - Numba knows named tuples of this kind
    "State",
    "addresses macs paths protocols protocol_of pairs stream_of standing flows conversations pool counts "
    "answer recent tile openings opened found calls transactions offers described "
    "relays relayed",
)
"""Interned: addresses and macs by family and two halves, paths (tunnels) by outer path, kind and number,
protocols by code, pairs (conversations) by protocol, addresses and ports. int64: protocol_of by code,
stream_of (a pair's newest stream + 1), flows[2 x TCP streams, …], conversations[TCP streams, …], counts[2]
(TCP and UDP streams so far), recent[RECENT, …]; standing is int8, by pair. Of conversations that wait for
packets (`openings`): openings by what is known of them, opened[openings, …] (stream + 1, the frame
that set it up, who did), found[2 x pairs, 2] (which one a pair's packets of one side have, as of how many).
Of SIP (`transactions`): calls by hash, addresses and ports, transactions[calls, …]; offers by frame,
described[offers, …]. Of SOCKS (`relays`): relays by TCP stream, relayed[relays, …]."""


def new_state() -> State:
    """Nothing seen yet."""
    return State(
        new_table(), new_table(), new_table(64), new_table(2048), np.zeros(2048, np.int64),
        new_table(), np.zeros(1024, np.int64),
        np.zeros(1024, np.int8),
        np.zeros((2048, q.FLOW_SIZE), np.int64), np.zeros((1024, q.CONVERSATION_SIZE), np.int64),
        new_pool(), np.zeros(2, np.int64), np.zeros(q.ANSWER_SIZE, np.int64),
        np.full((RECENT, ENTRY_SIZE), -1, np.int64), np.zeros((FOLLOWED, TILE + _PADDING), np.int64),
        new_table(64), np.zeros((64, OPENED_SIZE), np.int64), np.zeros((2, 2), np.int64),
        new_table(64), np.zeros((64, TRANSACTION_SIZE), np.int64),
        new_table(64), np.zeros((64, OFFER_SIZE), np.int64),
        new_table(64), np.zeros((64, RELAY_SIZE), np.int64),
    )  # fmt: skip


def reserve_state(state: State, rows: int, announcing: int = 0) -> State:
    """The state, with room for all that `rows` more rows may add, `announcing` of them with announcements."""
    pairs = reserve(state.pairs, rows)
    streams = int(state.counts[0]) + rows  # a relayed connection has a row, too
    state = state._replace(
        addresses=reserve(state.addresses, 2 * rows),
        macs=reserve(state.macs, 2 * rows),
        paths=reserve(state.paths, 2 * rows),
        pairs=pairs,
        stream_of=_longer(state.stream_of, len(pairs.keys)),
        standing=_longer(state.standing, len(pairs.keys)),
        flows=_longer(state.flows, 2 * streams),
        conversations=_longer(state.conversations, streams),
        pool=reserve_segments(state.pool, rows),
    )
    return _reserve_announced(state, announcing) if announcing or state.openings.count[0] else state


def _reserve_announced(state: State, rows: int) -> State:
    """An announcement opens two conversations at most: for media and their control."""
    openings = reserve(state.openings, 2 * rows)
    calls, offers, relays = (reserve(t, rows) for t in (state.calls, state.offers, state.relays))
    return state._replace(
        openings=openings,
        opened=_longer(state.opened, len(openings.keys)),
        found=_longer(state.found, 2 * len(state.pairs.keys)),
        calls=calls,
        transactions=_longer(state.transactions, len(calls.keys)),
        offers=offers,
        described=_longer(state.described, len(offers.keys)),
        relays=relays,
        relayed=_longer(state.relayed, len(relays.keys)),
    )


def _longer(array: np.ndarray, needed: int) -> np.ndarray:
    if needed <= len(array):
        return array
    longer = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
