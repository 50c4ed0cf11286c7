"""TCP segments put together by connection, their numbers unwrapped, in two walks over a packets table.

Arrays in, arrays out, all int64: the tables' own pass over what the engine has decoded. Sequence numbers are
relative as Wireshark has them, and go on counting where the wire's wrap around (RFC 9293, 3.4).
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import kernel, part

NONE = -(2**62)
"""Stands for what is not there: an acknowledgment without the ACK flag, a SACK block."""

SYN, RST, ACK = 0x02, 0x04, 0x10
ROW, SIDE, SEQ, ACKED, LEFT, RIGHT = range(6)
OUT = 6
"""The answer's columns, int64[6, segments]: position in the input, side, the numbers unwrapped."""

SRC, SRC_PORT, DST, DST_PORT, FLAGS, SEQ_RAW, ACK_RAW, SEQ_RELATIVE, ACK_RELATIVE, SACK_LEFT, SACK_RIGHT = (
    range(11)
)
IN = 11
"""The input's columns, int64[11, segments], in capture order."""

_BEGINNER, _BEGINNER_PORT, _TOLD = range(3)
_FIRST_RAW, _FIRST, _LAST_RAW, _LAST, _KNOWN = range(5)
STATE = 5
"""Of each side: the first segment's numbers, raw and unwrapped, the last one's, and whether there were any.

`_KNOWN`: 0 nothing but resets was seen, 1 others come, 2 one has come."""


@part
def _signed(difference):
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@part
def _note_beginner(frames, row, flow, beginners):
    """Who began: the first SYN's sender, else the first SYN-ACK's receiver, else the higher port."""
    kind = frames[FLAGS, row] & (SYN | ACK)
    rank = 3 if kind == SYN else 2 if kind == SYN | ACK else 1
    if beginners[_TOLD, flow] >= rank:
        return
    turned = rank == 2 or (rank == 1 and frames[SRC_PORT, row] < frames[DST_PORT, row])
    beginners[_BEGINNER, flow] = frames[DST, row] if turned else frames[SRC, row]
    beginners[_BEGINNER_PORT, flow] = frames[DST_PORT, row] if turned else frames[SRC_PORT, row]
    beginners[_TOLD, flow] = rank


@part
def _side_of(frames, row, flow, beginners):
    same = frames[SRC, row] == beginners[_BEGINNER, flow]
    same = same and frames[SRC_PORT, row] == beginners[_BEGINNER_PORT, flow]
    return 2 * flow + (0 if same else 1)


@kernel
def tracks(frames, flows, places, beginners, sides, out):
    """Fill `out` from `frames`, whose connections are `flows`.

    `places` (zeros, int64[connections + 1]), `beginners` (zeros, int64[3, connections]) and `sides` (zeros,
    int64[5, 2·connections]) are room to work in.
    """
    count = frames.shape[1]
    for row in range(count):
        flow = flows[row]
        places[flow + 1] += 1
        _note_beginner(frames, row, flow, beginners)
    for flow in range(1, len(places)):
        places[flow] += places[flow - 1]
    for row in range(count):
        side = _side_of(frames, row, flows[row], beginners)
        if sides[_KNOWN, side] == 0 and frames[FLAGS, row] & RST == 0:
            sides[_FIRST_RAW, side] = frames[SEQ_RAW, row]
            sides[_FIRST, side] = _signed(frames[SEQ_RELATIVE, row])
            sides[_KNOWN, side] = 1
    for row in range(count):
        flow = flows[row]
        side = _side_of(frames, row, flow, beginners)
        at = places[flow]
        places[flow] += 1
        out[ROW, at] = row
        out[SIDE, at] = side
        _unwrap(frames, row, side, sides, out, at)


@part
def _unwrap(frames, row, side, sides, out, at):
    raw = frames[SEQ_RAW, row]
    if sides[_KNOWN, side] == 0:  # nothing but resets on this side: they are all there is to go by
        sides[_FIRST_RAW, side] = raw
        sides[_FIRST, side] = _signed(frames[SEQ_RELATIVE, row])
        sides[_KNOWN, side] = 3
        sides[_LAST_RAW, side] = raw
        sides[_LAST, side] = sides[_FIRST, side]
    known = sides[_KNOWN, side]
    base = _FIRST if known == 1 else _LAST
    base_raw = _FIRST_RAW if known == 1 else _LAST_RAW
    sequence = sides[base, side] + _signed(raw - sides[base_raw, side])
    out[SEQ, at] = sequence
    if known == 3 or frames[FLAGS, row] & RST == 0:
        sides[_LAST, side] = sequence
        sides[_LAST_RAW, side] = raw
        if known == 1:
            sides[_KNOWN, side] = 2
    acknowledgment = NONE
    if frames[FLAGS, row] & ACK != 0:
        acknowledgment = _acknowledgment(frames, row, sides, side ^ 1)
    out[ACKED, at] = acknowledgment
    out[LEFT, at] = _edge(frames[SACK_LEFT, row], frames[ACK_RELATIVE, row], acknowledgment)
    out[RIGHT, at] = _edge(frames[SACK_RIGHT, row], frames[ACK_RELATIVE, row], acknowledgment)


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
