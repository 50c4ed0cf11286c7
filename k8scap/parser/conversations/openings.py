"""Conversations that wait for their packets: UDP ones that a dissector opened with a part left open.

Wireshark's `find_conversation` (epan/conversation.c of 4.0) takes the conversation between exactly these
addresses and ports where there is one. Otherwise it looks, in this order, and each time first from the
sender's side, then from the receiver's: for one with any other address, one with any other port, one with
any other address and port. What it finds gives the packet's stream number, and none is opened for the pair.
Among conversations alike, the one set up by the latest frame counts.

TCP needs none of this: the first packets bind such a conversation to the pair, which is as good as a new one.
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.conversations.interning import intern, number_of
from k8scap.parser.conversations.state import OPENED_BY, OPENED_STREAM, SET_UP, STANDS
from k8scap.parser.decode import facts as f

_ANY_ADDRESS, _ANY_PORT, _ANY = 1, 2, 3
_KIND, _FAMILY = 1 << 40, 1 << 36
_PORT = 1 << 16
NO_ONE = 0


@part
def number_unnumbered(state, facts, pair, side):
    """The stream of a datagram whose pair has no number: a waiting conversation's, or one of its own."""
    if not state.standing[pair] and state.openings.count[0]:
        opening = awaiting(state, facts, pair, side)
        if opening >= 0:
            opened = state.opened[opening]
            if opened[OPENED_STREAM] == 0:
                opened[OPENED_STREAM] = _next_stream(state)
            return opened[OPENED_STREAM] - 1
    if not state.standing[pair]:
        state.standing[pair] = STANDS
    state.stream_of[pair] = _next_stream(state)
    return state.stream_of[pair] - 1


@part
def _next_stream(state):
    state.counts[1] += 1
    return state.counts[1]


@part
def awaiting(state, facts, pair, side):
    """The opening that waited for such a packet, -1 for none; looked for again once there are new ones."""
    known = state.openings.count[0]
    found = state.found[2 * pair + side]
    if found[1] != known:
        found[0], found[1] = _find(state, facts, pair, side), known
    return found[0]


@part
def _find(state, facts, pair, side):
    source, destination = facts[f.SRC_PORT], facts[f.DST_PORT]
    from_high, from_low, end_high, end_low = (
        facts[f.FROM_HIGH], facts[f.FROM_LOW], facts[f.END_HIGH], facts[f.END_LOW],
    )  # fmt: skip
    family = facts[f.NETWORK] * _FAMILY
    table = state.openings
    both = source * _PORT + destination
    opening = number_of(table, from_high, from_low, _ANY_ADDRESS * _KIND + family + both)
    if opening < 0:
        both = destination * _PORT + source
        opening = number_of(table, end_high, end_low, _ANY_ADDRESS * _KIND + family + both)
    sender, receiver = _ends(state, pair, side)
    if opening < 0:
        opening = number_of(table, sender, receiver, _ANY_PORT * _KIND + source)
    if opening < 0:
        opening = number_of(table, receiver, sender, _ANY_PORT * _KIND + destination)
    if opening < 0:
        opening = number_of(table, from_high, from_low, _ANY * _KIND + family + source)
    if opening < 0:
        opening = number_of(table, end_high, end_low, _ANY * _KIND + family + destination)
    return opening


@part
def _ends(state, pair, side):
    """The numbers of the sender's and of the receiver's address."""
    low, high = state.pairs.keys[pair, 0] >> 8, state.pairs.keys[pair, 1]
    return (high, low) if side else (low, high)


@part
def open_to_any(state, family, high, low, port, frame):
    """Open an address and port to any other, but for what this frame, or a later one, has opened there."""
    opened = state.opened[intern(state.openings, high, low, _ANY * _KIND + family * _FAMILY + port)]
    if opened[SET_UP] < frame:
        opened[SET_UP], opened[OPENED_STREAM], opened[OPENED_BY] = frame, 0, NO_ONE


@part
def is_open_to_any(state, family, high, low, port):
    return number_of(state.openings, high, low, _ANY * _KIND + family * _FAMILY + port) >= 0


@part
def open_to_any_port(state, facts, pair, side, frame):
    """What a TFTP request, or a HART-IP session's start, opens: its sender with any port of the receiver.

    A request opens one each time, a session only where there is none.
    """
    sender, receiver = _ends(state, pair, side)
    who = facts[f.AWAITS]
    if facts[f.ONLY]:
        # a pair with a conversation of its own finds the other's protocol from the receiver's side only
        inside = _is_open_by(state, receiver, sender, facts[f.DST_PORT], who)
        if not state.standing[pair]:
            inside = inside or _is_open_by(state, sender, receiver, facts[f.SRC_PORT], who)
        if inside != (facts[f.ONLY] == f.INSIDE):
            return
    opening = intern(state.openings, sender, receiver, _ANY_PORT * _KIND + facts[f.SRC_PORT])
    opened = state.opened[opening]
    if who == f.TFTP_REQUEST or opened[OPENED_BY] != who:
        opened[SET_UP], opened[OPENED_STREAM], opened[OPENED_BY] = frame, 0, who


@part
def _is_open_by(state, one, other, port, who):
    """Whether `one` at this port waits for any port of the other, for this protocol."""
    opening = number_of(state.openings, one, other, _ANY_PORT * _KIND + port)
    return opening >= 0 and state.opened[opening, OPENED_BY] == who
