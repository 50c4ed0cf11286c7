"""TCP's options: MSS, window scale and timestamps (RFC 9293, 7323), SACK (RFC 2018), MPTCP (RFC 8684)."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import (
    ABSENT,
    CAPTURED_END,
    LAST_WINDOW_SCALE,
    MPTCP,
    MSS,
    REPORTED_END,
    SACK_BLOCKS,
    SACK_LEFT,
    SACK_RIGHT,
    SACKED,
    TSECR,
    TSVAL,
    WINDOW_SCALE,
)
from k8scap.parser.decode.reading import u8, u16, u32

_END, _NOP, _MSS, _WINDOW_SCALE, _SACK, _TIMESTAMP, _MPTCP = 0, 1, 2, 3, 5, 8, 30
_SMALLEST_SACK = 10
_CAPABLE, _DATA_SEQUENCE, _ADD_ADDRESS, _FAIL, _FAST_CLOSE, _RESET = 0, 2, 3, 6, 7, 8
_LARGEST_SHIFT = 14
_BLOCKS_REMEMBERED = 3
_U32 = 0xFFFFFFFF


@part
def tcp_options(data, facts, at, end):
    """Read the options between `at` and `end`; False where they are cut off before their end is known."""
    captured = min(facts[CAPTURED_END], facts[REPORTED_END])
    ended = False
    while at < end:
        if at >= captured:
            return False
        kind = u8(data, at)
        if ended and kind != _END:
            return end <= captured  # what follows the end of the options is padding
        if kind == _END or kind == _NOP:
            ended = ended or kind == _END
            at += 1
            continue
        if at + 1 >= end:
            return True
        if at + 1 >= captured:
            return False
        length = u8(data, at + 1)
        if length < 2 or at + length > end:
            return True
        if not _option(data, facts, kind, at, length, captured):
            return False
        at += length
    return True


@part
def _option(data, facts, kind, at, length, captured):
    """One option; False where it is cut off, or too short for what it must hold."""
    if kind == _SACK:
        return _sack(data, facts, at, length, captured) and length >= _SMALLEST_SACK
    if kind == _TIMESTAMP and length == 10 and at + 6 <= captured and facts[TSVAL] == ABSENT:
        facts[TSVAL] = u32(data, at + 2)
        if at + 10 <= captured:
            facts[TSECR] = u32(data, at + 6)
    if at + length > captured:
        return False
    if kind == _MSS and length == 4:
        if facts[MSS] == ABSENT:
            facts[MSS] = u16(data, at + 2)
    elif kind == _WINDOW_SCALE and length == 3:
        shift = u8(data, at + 2)
        if facts[WINDOW_SCALE] == ABSENT:
            facts[WINDOW_SCALE] = shift
        facts[LAST_WINDOW_SCALE] = min(shift, _LARGEST_SHIFT)
    elif kind == _MPTCP:
        if not _is_whole_multipath(data, at, length):
            return False
        facts[MPTCP] |= 1 << (u8(data, at + 2) >> 4)
    return True


@part
def _is_whole_multipath(data, at, length):
    """Whether a subtype has the bytes that it must (RFC 8684, 3): flags and what they announce, or a key."""
    if length < 3:
        return False
    kind = u8(data, at + 2) >> 4
    if kind == _FAIL or kind == _FAST_CLOSE:
        return length >= 12
    if not (kind == _CAPABLE or kind == _DATA_SEQUENCE or kind == _ADD_ADDRESS or kind == _RESET):
        return True
    if length < 4 or kind != _DATA_SEQUENCE:
        return length >= 4
    flags, least = u8(data, at + 3), 4
    if flags & 1:
        least += 8 if flags & 2 else 4
    if flags & 4:
        least += 14 if flags & 8 else 10
    return length >= least


@part
def _sack(data, facts, at, length, captured):
    """The first block's edges, and how many bytes the first three say have arrived."""
    facts[SACKED], facts[SACK_BLOCKS] = 0, 0
    block, end = at + 2, at + length
    while block + 4 <= end:
        if block + 4 > captured:
            return False
        if facts[SACK_LEFT] == ABSENT:
            facts[SACK_LEFT] = u32(data, block)
        if block + 8 > end:
            break
        if block + 8 > captured:
            return False
        if facts[SACK_RIGHT] == ABSENT:
            facts[SACK_RIGHT] = u32(data, block + 4)
        if facts[SACK_BLOCKS] < _BLOCKS_REMEMBERED:
            facts[SACKED] = (facts[SACKED] + u32(data, block + 4) - u32(data, block)) & _U32
            facts[SACK_BLOCKS] += 1
        block += 8
    return True
