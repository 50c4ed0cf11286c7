"""Numbers of the table into columns of their own width, in one pass each."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import short_kernel
from k8scap.parser.decode.facts import ABSENT

_EXACT = 1 << 53
_SECOND = 1e9


@short_kernel
def store_nullable(numbers, values, mask):
    """Values and mask of a nullable column: what its width does not hold is absent too.

    Without branches, so that the processor takes several at a time; a masked value may be anything.
    """
    for i in range(len(numbers)):
        number = numbers[i]
        values[i] = number
        mask[i] = (number == ABSENT) | (np.int64(values[i]) != number)


@short_kernel
def store_truths(numbers, values, mask):
    """0, 1 or absent."""
    for i in range(len(numbers)):
        mask[i] = numbers[i] == ABSENT
        values[i] = numbers[i] == 1


@short_kernel
def store_bit(numbers, bit, values):
    """Whether a bit is set; an absent number has none (and lacks all bits but its sign)."""
    for i in range(len(numbers)):
        values[i] = numbers[i] & bit != 0


@short_kernel
def store_seconds(numbers, values):
    """Nanoseconds as seconds, NaN where absent; gives whether one is too large for an exact division."""
    large = False
    for i in range(len(numbers)):
        number = numbers[i]
        values[i] = np.nan if number == ABSENT else number / _SECOND
        large |= (number != ABSENT) & ((number >= _EXACT) | (number <= -_EXACT))
    return large


@short_kernel
def store_codes(numbers, values):
    """Codes, -1 where absent; `values` is wide enough for `highest`."""
    for i in range(len(numbers)):
        values[i] = max(numbers[i], -1)


@short_kernel
def highest(numbers):
    """The largest of them, -1 where there is none."""
    top = np.int64(-1)
    for i in range(len(numbers)):
        top = max(top, numbers[i])
    return top
