"""The Internet's ones' complement sum (RFC 1071), and SCTP's CRC-32C (RFC 9260, appendix A)."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part

_CASTAGNOLI_REFLECTED = 0x82F63B78


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_CASTAGNOLI_REFLECTED), table >> 1)
    return table


_CRC = _crc_table()


@part
def sum_words(data, at, length):
    """The sum of the 16-bit words, an odd last byte as the high half of one; not folded."""
    high, low = np.int64(0), np.int64(0)
    for i in range(at, at + length - 1, 2):
        high += data[i]
        low += data[i + 1]
    if length & 1:
        high += data[at + length - 1]
    return (high << 8) + low


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
