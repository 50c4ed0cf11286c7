"""The Internet's ones' complement sum (RFC 1071), and SCTP's CRC-32C (RFC 9260, appendix A)."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode.reading import LITTLE, machine_u64

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_WORD, _WORD_BITS = np.uint64(0xFFFF), np.uint64(16)
_CASTAGNOLI_REFLECTED = 0x82F63B78


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_CASTAGNOLI_REFLECTED), table >> 1)
    return table


_CRC = _crc_table()


@part
def sum_words(data, at, length):
    """What the 16-bit words sum up to, an odd last byte as the high half of one; folded in part.

    The sum does not depend on the order of a word's bytes, nor on the words' width (RFC 1071, 2): eight bytes
    are taken at once, as the machine has them, and the halves changed over in the end.
    """
    total = np.uint64(0)
    whole = at + (length & ~7)
    for i in range(at, whole, 8):
        word = machine_u64(data, i)
        total += (word & _LOW) + (word >> _HALF)
    return _changed_over(_folded(total)) + _sum_bytes(data, whole, length & 7)


@part
def _folded(total):
    while total > _WORD:
        total = (total & _WORD) + (total >> _WORD_BITS)
    return np.int64(total)


@part
def _changed_over(word):
    return (word & 0xFF) << 8 | word >> 8 if LITTLE else word


@part
def _sum_bytes(data, at, length):
    total = np.int64(0)
    for i in range(0, length - 1, 2):
        total += np.int64(data[at + i]) << 8 | np.int64(data[at + i + 1])
    if length & 1:
        total += np.int64(data[at + length - 1]) << 8
    return total


@part
def sum_halves(value):
    """The sum of the four 16-bit words of a 64-bit number."""
    return (value & 0xFFFF) + ((value >> 16) & 0xFFFF) + ((value >> 32) & 0xFFFF) + ((value >> 48) & 0xFFFF)


@part
def verifies(total):
    """Whether words that hold their own checksum sum up to ones."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return np.int64(total == 0xFFFF)


@part
def crc32c(data, at, length, zeroed):
    """CRC-32C of `length` bytes, the four at `zeroed` taken as zeros."""
    crc = np.uint32(0xFFFFFFFF)
    for i in range(at, at + length):
        byte = np.uint32(0) if zeroed <= i < zeroed + 4 else np.uint32(data[i])
        crc = _CRC[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)
