"""Differences of 32-bit numbers on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


def signed(difference: Ints) -> Ints:
    """A difference of 32-bit numbers as what it means on the wire: -2³¹ to 2³¹-1 (RFC 9293, 3.4)."""
    return ((difference + 2**31) & 0xFFFFFFFF) - 2**31
