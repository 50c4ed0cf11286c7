"""Numbers in network byte order. Nothing here checks bounds: the caller has asked `within` before.

A number is loaded as a whole and turned round: byte by byte, with an index that might count from the end,
reading took most of a packet's time. Where Numba's bounds checks are asked for, each byte is indexed, so
that they see it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import AT, CAPTURED_END, REPORTED_END

LITTLE = sys.byteorder == "little"


def _loading(result: Any, *, turned: bool) -> Any:
    """What loads a number of the width of `result` from anywhere among bytes, turned round or as it lies."""

    @intrinsic
    def load(typing_context, data, at):
        del typing_context

        def generate(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            word = context.get_value_type(result)
            place = builder.bitcast(builder.gep(array.data, [arguments[1]]), word.as_pointer())
            value = builder.load(place, align=1)
            if turned and word.width > 8:
                value = builder.bswap(value)
            wide = context.get_value_type(signature.return_type)
            return value if word == wide else builder.zext(value, wide)

        return (types.uint64 if result is types.uint64 else types.int64)(data, at), generate

    return load


@part
def _u8(data, at):
    return np.int64(data[at])


@part
def _u16(data, at):
    return (_u8(data, at) << 8) | _u8(data, at + 1)


@part
def _u32(data, at):
    return (_u16(data, at) << 16) | _u16(data, at + 2)


@part
def _u64(data, at):
    return (_u32(data, at) << 32) | _u32(data, at + 4)


@part
def _machine_u64(data, at):
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(data[at + i]) << np.uint64(8 * i if LITTLE else 56 - 8 * i)
    return word


if config.BOUNDSCHECK:
    u8, u16, u32, u64, machine_u64 = _u8, _u16, _u32, _u64, _machine_u64
else:
    u8, u16, u32, u64 = (
        _loading(width, turned=LITTLE) for width in (types.uint8, types.uint16, types.uint32, types.int64)
    )
    machine_u64 = _loading(types.uint64, turned=False)
"""`u64` is signed: the bits matter, not the value. `machine_u64` (np.uint64) has the machine's own order."""


@part
def u24(data, at):
    return (u16(data, at) << 8) | u8(data, at + 2)


@part
def u48(data, at):
    return (u16(data, at) << 32) | u32(data, at + 2)


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
