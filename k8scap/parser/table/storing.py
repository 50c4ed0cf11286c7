"""Numbers of frames into the table's columns, each in its own width: one pass a column, one call a block.

Columns lie at addresses, since a kernel cannot be handed a list of arrays of many types at no cost. What a
block has none of (options, verdicts) is not written at all: fresh memory is zero, and memory that nobody
touches is neither fetched nor taken from the machine.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from k8scap.parser.compiling import kernel, part
from k8scap.parser.decode.facts import ABSENT

PLACE, KIND, WIDTH, BIT, VALUES, MASK, TROUBLE = range(7)
"""A column's row in the plan: which of the numbers it takes, how it stores them (bytes each), where to."""
PLAN_SIZE = 7
PLAIN, NULLABLE, TRUTH, FLAG, SECONDS, CODE = range(6)

_EXACT = 1 << 53
_SECOND = 1e9
_FITS, _DOES_NOT_FIT = 0, 1


@intrinsic
def _array(typing_context, address, dtype):
    """What lies at an address as C sees an array; who calls answers for its room."""
    del typing_context
    pointer = types.CPointer(dtype.instance_type)

    def cast(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return pointer(address, dtype), cast


@kernel
def store(plan, numbers, count):
    """The first `count` of numbers[PLACE] into each column; gives how many columns were in trouble.

    `plan`: int64[columns, PLAN_SIZE], whose VALUES and MASK are addresses of room for `count` more, zeroed.
    `numbers`: int64[places, count or more]. In trouble (`TROUBLE` is set) are codes that need a wider column,
    and seconds too large for an exact division: their room is not to be relied on.
    """
    troubles = 0
    for c in range(len(plan)):
        plan[c, TROUBLE] = _store(plan[c], numbers[plan[c, PLACE]], count)
        troubles += plan[c, TROUBLE]
    return troubles


@part
def _store(column, numbers, count):
    kind, width = column[KIND], column[WIDTH]
    if kind == FLAG:
        return _store_flags(numbers, column[BIT], _array(column[VALUES], np.uint8), count)
    if kind == SECONDS:
        return _store_seconds(numbers, _array(column[VALUES], np.float64), count)
    if kind == PLAIN:
        return _copy(numbers, _array(column[VALUES], np.int64), count)
    if kind == CODE:
        if width == 1:
            return _store_codes(numbers, _array(column[VALUES], np.int8), count, 0x7F)
        if width == 2:
            return _store_codes(numbers, _array(column[VALUES], np.int16), count, 0x7FFF)
        return _store_codes(numbers, _array(column[VALUES], np.int32), count, 0x7FFFFFFF)
    mask = _array(column[MASK], np.uint8)
    if kind == TRUTH:
        return _store_truths(numbers, _array(column[VALUES], np.uint8), count, mask)
    if width == 1:
        return _store_nullable(numbers, _array(column[VALUES], np.int8), count, mask)
    if width == 2:
        return _store_nullable(numbers, _array(column[VALUES], np.int16), count, mask)
    if width == 4:
        return _store_nullable(numbers, _array(column[VALUES], np.int32), count, mask)
    return _store_nullable(numbers, _array(column[VALUES], np.int64), count, mask)


@part
def _copy(numbers, values, count):
    for i in range(count):
        values[i] = numbers[i]
    return _FITS


@part
def _absent(numbers, count):
    """How many there are not."""
    absent = 0
    for i in range(count):
        absent += numbers[i] == ABSENT
    return absent


@part
def _fill(mask, count):
    for i in range(count):
        mask[i] = 1


@part
def _store_nullable(numbers, values, count, mask):
    """Values and mask: what the width does not hold is absent too; a masked value may be anything."""
    absent = _absent(numbers, count)
    if absent == count:
        _fill(mask, count)
        return _FITS
    misfit = False
    for i in range(count):
        values[i] = numbers[i]
        misfit |= np.int64(values[i]) != numbers[i]
    if absent or misfit:
        for i in range(count):
            mask[i] = (numbers[i] == ABSENT) | (np.int64(values[i]) != numbers[i])
    return _FITS


@part
def _store_truths(numbers, values, count, mask):
    """0, 1 or absent."""
    absent = _absent(numbers, count)
    if absent == count:
        _fill(mask, count)
        return _FITS
    for i in range(count):
        values[i] = numbers[i] == 1
    if absent:
        for i in range(count):
            mask[i] = numbers[i] == ABSENT
    return _FITS


@part
def _store_flags(numbers, bit, values, count):
    """Whether a bit is set; an absent number has none (and lacks all bits but its sign)."""
    some = np.int64(0)
    for i in range(count):
        some |= numbers[i]
    if some & bit:
        for i in range(count):
            values[i] = numbers[i] & bit != 0
    return _FITS


@part
def _store_seconds(numbers, values, count):
    """Nanoseconds as seconds, NaN where absent."""
    if _absent(numbers, count) == count:
        for i in range(count):
            values[i] = np.nan
        return _FITS
    large = False
    for i in range(count):
        number = numbers[i]
        values[i] = np.nan if number == ABSENT else number / _SECOND
        large |= (number != ABSENT) & ((number >= _EXACT) | (number <= -_EXACT))
    return _DOES_NOT_FIT if large else _FITS


@part
def _store_codes(numbers, values, count, most):
    """Codes, -1 where absent."""
    top = np.int64(-1)
    for i in range(count):
        top = max(top, numbers[i])
    if top > most:
        return _DOES_NOT_FIT
    for i in range(count):
        values[i] = max(numbers[i], -1)
    return _FITS
