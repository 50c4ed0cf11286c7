"""TCP segments put together by connection, their numbers unwrapped, in two walks over a packets table.

Both go piece by piece, so that what is read stays in the processor's caches. Arrays in, arrays out, all
int64: the tables' own pass over what the engine has decoded. Sequence numbers are relative as Wireshark has
them, and go on counting where the wire's wrap around (RFC 9293, 3.4).
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import kernel, part

NONE = -(2**62)
"""Stands for what is not there: an acknowledgment without the ACK flag, a SACK block."""

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
SRC, SRC_PORT, DST, DST_PORT, FLAGS, SEQ_RAW, SEQ_RELATIVE = range(7)
SEEN = 7
"""The columns of the first walk, int64[7, frames]."""
ACK_RAW, ACK_RELATIVE, SACK_LEFT, SACK_RIGHT, PAYLOAD, WINDOW, TSVAL, TSECR, IP_ID, NUMBER, TIME = range(
    7, 18
)
IN = 18
"""Those of the second one, int64[18, frames]: the same, and these."""

(AT_ROW, AT_NUMBER, AT_TIME, AT_FLOW, AT_SIDE, AT_FLAGS, AT_SEQ, AT_END, AT_ACK, AT_PAYLOAD, AT_WINDOW,
 AT_TSVAL, AT_TSECR, AT_LEFT, AT_RIGHT, AT_IP_ID) = range(16)  # fmt: skip
OUT = 16
"""The answer's, int64[16, segments]."""

_SRC, _PORT, _BEGINNER, _BEGINNER_PORT, _TOLD, _COUNT = range(6)
FLOW = 6
"""Of each connection: who sent its first frame, who began it, by what that was told, and how many frames."""
_FIRST_RAW, _FIRST, _LAST_RAW, _LAST, _KNOWN = range(5)
STATE = 5
"""Of each side: the first segment's numbers, raw and unwrapped, the last one's, and whether there were any.

`_KNOWN`: 0 nothing but resets was seen, 1 others come, 2 one has come, 3 resets are all there is to go by."""


@part
def _signed(difference):
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@part
def _note_beginner(frames, row, flow, state):
    """Who began: the first SYN's sender, else the first SYN-ACK's receiver, else the higher port."""
    kind = frames[FLAGS, row] & (SYN | ACK)
    rank = 3 if kind == SYN else 2 if kind == SYN | ACK else 1
    if state[_TOLD, flow] >= rank:
        return
    turned = rank == 2 or (rank == 1 and frames[SRC_PORT, row] < frames[DST_PORT, row])
    state[_BEGINNER, flow] = frames[DST, row] if turned else frames[SRC, row]
    state[_BEGINNER_PORT, flow] = frames[DST_PORT, row] if turned else frames[SRC_PORT, row]
    state[_TOLD, flow] = rank


@kernel
def meet(frames, flows, state, sides):
    """The first walk, over some frames and their connections: who began, and each end's first numbers.

    `state` (int64[6, connections]) and `sides` (int64[5, 2·connections]) are zeros before the first frames.
    Until `settle` has been called, the even sides are those who sent a connection's first frame.
    """
    for row in range(len(flows)):
        flow = flows[row]
        if state[_COUNT, flow] == 0:
            state[_SRC, flow] = frames[SRC, row]
            state[_PORT, flow] = frames[SRC_PORT, row]
        state[_COUNT, flow] += 1
        _note_beginner(frames, row, flow, state)
        other = frames[SRC, row] != state[_SRC, flow] or frames[SRC_PORT, row] != state[_PORT, flow]
        side = 2 * flow + (1 if other else 0)
        if sides[_KNOWN, side] == 0 and frames[FLAGS, row] & RST == 0:
            sides[_FIRST_RAW, side] = frames[SEQ_RAW, row]
            sides[_FIRST, side] = _signed(frames[SEQ_RELATIVE, row])
            sides[_KNOWN, side] = 1


@kernel
def settle(state, sides, places):
    """Between the walks: even sides become those who began, and each connection gets its place."""
    for flow in range(state.shape[1]):
        places[flow + 1] = places[flow] + state[_COUNT, flow]
        same = state[_SRC, flow] == state[_BEGINNER, flow]
        if same and state[_PORT, flow] == state[_BEGINNER_PORT, flow]:
            continue
        for field in range(STATE):
            kept = sides[field, 2 * flow]
            sides[field, 2 * flow] = sides[field, 2 * flow + 1]
            sides[field, 2 * flow + 1] = kept


@kernel
def place(frames, flows, rows, state, sides, places, out):
    """The second walk, over the same frames (`rows` are their positions): each to its place in `out`."""
    for row in range(len(flows)):
        flow = flows[row]
        began = frames[SRC, row] == state[_BEGINNER, flow]
        began = began and frames[SRC_PORT, row] == state[_BEGINNER_PORT, flow]
        side = 2 * flow + (0 if began else 1)
        at = places[flow]
        places[flow] += 1
        flags = frames[FLAGS, row]
        payload = np.int64(0) if flags & RST else frames[PAYLOAD, row]
        marks = np.int64(0) if flags & RST else (flags & FIN) + (flags >> 1 & 1)
        out[AT_ROW, at] = rows[row]
        out[AT_NUMBER, at] = frames[NUMBER, row]
        out[AT_TIME, at] = frames[TIME, row]
        out[AT_FLOW, at] = flow
        out[AT_SIDE, at] = side
        out[AT_FLAGS, at] = flags
        _unwrap(frames, row, side, sides, out, at)
        out[AT_END, at] = out[AT_SEQ, at] + payload + marks
        out[AT_PAYLOAD, at] = payload
        out[AT_WINDOW, at] = frames[WINDOW, row]
        out[AT_TSVAL, at] = frames[TSVAL, row]
        out[AT_TSECR, at] = frames[TSECR, row]
        out[AT_IP_ID, at] = frames[IP_ID, row]


@part
def _unwrap(frames, row, side, sides, out, at):
    raw = frames[SEQ_RAW, row]
    if sides[_KNOWN, side] == 0:
        sides[_LAST_RAW, side] = raw
        sides[_LAST, side] = _signed(frames[SEQ_RELATIVE, row])
        sides[_KNOWN, side] = 3
    known = sides[_KNOWN, side]
    base = _FIRST if known == 1 else _LAST
    base_raw = _FIRST_RAW if known == 1 else _LAST_RAW
    sequence = sides[base, side] + _signed(raw - sides[base_raw, side])
    out[AT_SEQ, at] = sequence
    if known == 3 or frames[FLAGS, row] & RST == 0:
        sides[_LAST, side] = sequence
        sides[_LAST_RAW, side] = raw
        if known == 1:
            sides[_KNOWN, side] = 2
    acknowledgment = NONE
    if frames[FLAGS, row] & ACK != 0:
        acknowledgment = _acknowledgment(frames, row, sides, side ^ 1)
    out[AT_ACK, at] = acknowledgment
    out[AT_LEFT, at] = _edge(frames[SACK_LEFT, row], frames[ACK_RELATIVE, row], acknowledgment)
    out[AT_RIGHT, at] = _edge(frames[SACK_RIGHT, row], frames[ACK_RELATIVE, row], acknowledgment)


@part
def _acknowledgment(frames, row, sides, other):
    known = sides[_KNOWN, other]
    if known == 0 or known == 3:
        return _signed(frames[ACK_RELATIVE, row])
    base = _FIRST if known == 1 else _LAST
    base_raw = _FIRST_RAW if known == 1 else _LAST_RAW
    return sides[base, other] + _signed(frames[ACK_RAW, row] - sides[base_raw, other])


@part
def _edge(edge, relative, acknowledgment):
    if edge == NONE or acknowledgment == NONE:
        return NONE
    return acknowledgment + _signed(edge - relative)


@kernel
def highest(sides, values, before, out):
    """The highest of `values` so far on each side, with the element's own or (`before`) without it.

    The elements of a connection stand together; NONE is no value.
    """
    flow = np.int64(-1)
    first, second = np.int64(NONE), np.int64(NONE)
    for at in range(len(sides)):
        if sides[at] >> 1 != flow:
            flow = sides[at] >> 1
            first, second = np.int64(NONE), np.int64(NONE)
        value = values[at]
        if sides[at] & 1 == 0:
            if before:
                out[at] = first
            first = max(first, value)
            if not before:
                out[at] = first
        else:
            if before:
                out[at] = second
            second = max(second, value)
            if not before:
                out[at] = second


@kernel
def others(sides, out):
    """The place of the last element of the other side before each one, -1 where there is none."""
    flow = np.int64(-1)
    first, second = np.int64(-1), np.int64(-1)
    for at in range(len(sides)):
        if sides[at] >> 1 != flow:
            flow = sides[at] >> 1
            first, second = np.int64(-1), np.int64(-1)
        if sides[at] & 1 == 0:
            out[at] = second
            first = np.int64(at)
        else:
            out[at] = first
            second = np.int64(at)


@kernel
def met_before(digests, table, earlier):
    """The last element of the same digest before each one, -1 where there is none.

    `table` (int64, a power of two of them and more than there are digests, all -1) is room to work in.
    """
    mask = len(table) - 1
    for at in range(len(digests)):
        slot = digests[at] & mask
        while table[slot] >= 0 and digests[table[slot]] != digests[at]:
            slot = (slot + 1) & mask
        earlier[at] = table[slot]
        table[slot] = at
