"""Numbers for things, in the order in which they turn up: addresses, tunnels' paths, conversations.

An open-addressing hash table in arrays, so that kernels can use it without the interpreter. A key is three
64-bit numbers. Kernels never make room: `reserve` does, before a block of frames is followed.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from k8scap.parser.compiling import kernel, part

Table = namedtuple("Table", "keys slots count")  # noqa: PYI024 - Numba knows named tuples of this kind
"""keys: int64[capacity, 3]; slots: int64[2 x capacity], a number + 1, 0 where free; count: int64[1]."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def new_table(capacity: int = 1024) -> Table:
    """An empty one, with room for `capacity` (a power of two) keys."""
    return Table(np.zeros((capacity, 3), np.int64), np.zeros(2 * capacity, np.int64), np.zeros(1, np.int64))


def reserve(table: Table, more: int) -> Table:
    """The table, or a larger one with the same numbers, so that `more` new keys have room."""
    needed = int(table.count[0]) + more
    capacity = len(table.keys)
    if needed <= capacity:
        return table
    while capacity < needed:
        capacity *= 2
    larger = new_table(capacity)
    count = int(table.count[0])
    larger.keys[:count] = table.keys[:count]
    larger.count[0] = count
    _rehash(larger.keys, larger.slots, count)
    return larger


@part
def _hash(a, b, c):
    mixed = np.uint64(a) * _MIX
    mixed = ((mixed ^ (mixed >> _SHIFT)) + np.uint64(b)) * _MIX
    mixed = ((mixed ^ (mixed >> _SHIFT)) + np.uint64(c)) * _MIX
    return np.int64((mixed ^ (mixed >> _SHIFT)) >> np.uint64(1))


@kernel
def _rehash(keys, slots, count):
    mask = len(slots) - 1
    for number in range(count):
        slot = _hash(keys[number, 0], keys[number, 1], keys[number, 2]) & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = number + 1


@part
def intern(table, a, b, c):
    """The key's number, a new one where it is new."""
    mask = len(table.slots) - 1
    slot = _hash(a, b, c) & mask
    while table.slots[slot]:
        number = table.slots[slot] - 1
        if table.keys[number, 2] == c and table.keys[number, 1] == b and table.keys[number, 0] == a:
            return number
        slot = (slot + 1) & mask
    number = table.count[0]
    table.keys[number, 0], table.keys[number, 1], table.keys[number, 2] = a, b, c
    table.slots[slot] = number + 1
    table.count[0] = number + 1
    return number


@part
def number_of(table, a, b, c):
    """The key's number, -1 where it has none."""
    mask = len(table.slots) - 1
    slot = _hash(a, b, c) & mask
    while table.slots[slot]:
        number = table.slots[slot] - 1
        if table.keys[number, 2] == c and table.keys[number, 1] == b and table.keys[number, 0] == a:
            return number
        slot = (slot + 1) & mask
    return np.int64(-1)
