"""Numbers in network byte order. Nothing here checks bounds: the caller has asked `within` before."""

from __future__ import annotations

import sys

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import AT, CAPTURED_END, REPORTED_END


@part
def u8(data, at):
    return np.int64(data[at])


@part
def u16(data, at):
    return (u8(data, at) << 8) | u8(data, at + 1)


@part
def u24(data, at):
    return (u16(data, at) << 8) | u8(data, at + 2)


@part
def u32(data, at):
    return (u16(data, at) << 16) | u16(data, at + 2)


@part
def u48(data, at):
    return (u16(data, at) << 32) | u32(data, at + 2)


@part
def u64(data, at):
    """As a signed number of 64 bits: the bits matter, not the value."""
    return (u32(data, at) << 32) | u32(data, at + 4)


@intrinsic
def _load_at_once(typing_context, data, at):
    del typing_context

    def load(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        word = context.get_value_type(signature.return_type).as_pointer()
        return builder.load(builder.bitcast(place, word), align=1)

    return types.uint64(data, at), load


@part
def _load_checked(data, at):
    word = np.uint64(0)
    for i in range(8):
        shift = np.uint64(8 * i if LITTLE else 56 - 8 * i)
        word |= np.uint64(data[at + i]) << shift
    return word


LITTLE = sys.byteorder == "little"
load_u64 = _load_checked if config.BOUNDSCHECK else _load_at_once
"""Eight bytes as one number in the machine's own order, np.uint64, wherever they lie."""


@part
def within(facts, length):
    """Whether that many bytes are there: captured, and part of this layer."""
    return facts[AT] + length <= min(facts[CAPTURED_END], facts[REPORTED_END])


@part
def trim(facts, length):
    """End this layer after `length` bytes, where its header knows that; what follows is padding."""
    end = facts[AT] + length
    if end < facts[REPORTED_END]:
        facts[REPORTED_END] = end
        facts[CAPTURED_END] = min(facts[CAPTURED_END], end)


@part
def advance(facts, length):
    """Pass over a header; False where the captured bytes end inside it."""
    facts[AT] += length
    return facts[AT] <= min(facts[CAPTURED_END], facts[REPORTED_END])
