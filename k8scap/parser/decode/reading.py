"""Numbers in network byte order. Nothing here checks bounds: the caller has asked `within` before."""

from __future__ import annotations

import numpy as np

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
