"""A hash of the first bytes of each UDP datagram's payload, read from the capture files once more.

The packets table has no payload. Two points' datagrams can be told to be the same only by theirs: a DNS
message's transaction ID and name, a QUIC packet's connection ID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.reader import RecordReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.parser.records.reader import Block

HEAD = 48
"""Bytes of payload that count: a DNS header, and the names that differ."""
_UDP_HEADER = 8
_LONGEST_TRAILER = 20
"""Bytes that may stand behind the datagram: padding to Ethernet's 60, and a check sequence."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def payload_heads(
    files: Sequence[Path], *, number: np.ndarray, ports: np.ndarray, payload_length: np.ndarray
) -> np.ndarray:
    """uint64, one hash a datagram; 0 where its bytes are not to be found or were not captured.

    `number` (int64, rising) are frame numbers over all `files`, `ports` (int64[n, 2]) source and destination.
    The datagram is looked for at the frame's end, where the header before it must bear these ports and
    this length. Raises OSError.
    """
    found = np.zeros(len(number), np.uint64)
    reader = RecordReader(files)
    try:
        for block in reader:
            before = reader.frames - len(block)
            first, end = np.searchsorted(number, [before + 1, reader.frames + 1])
            if first < end:
                records = number[first:end] - before - 1
                found[first:end] = _of_block(block, records, ports[first:end], payload_length[first:end])
    finally:
        reader.close()
    return found


def _of_block(block: Block, records: np.ndarray, ports: np.ndarray, payload: np.ndarray) -> np.ndarray:
    start, captured = block.start[records], block.captured[records]
    at = np.full(len(records), -1, np.int64)
    for trailer in range(_LONGEST_TRAILER):
        open_ = at < 0
        if not open_.any():
            break
        offset = block.length[records] - payload - trailer  # from the frame's begin, cut off or not
        fits = open_ & (offset >= _UDP_HEADER) & (offset <= captured)
        header = start[fits] + offset[fits] - _UDP_HEADER
        same = _word(block.buffer, header) == ports[fits, 0]
        same &= _word(block.buffer, header + 2) == ports[fits, 1]
        same &= _word(block.buffer, header + 4) == payload[fits] + _UDP_HEADER
        at[np.flatnonzero(fits)[same]] = offset[fits][same]
    return _hash(block.buffer, start + at, np.where(at < 0, 0, np.minimum(payload, captured - at)), payload)


def _hash(buffer: np.ndarray, begin: np.ndarray, there: np.ndarray, payload: np.ndarray) -> np.ndarray:
    """Over the first `HEAD` bytes; 0 where fewer of them were captured than were sent."""
    mixed = np.zeros(len(begin), np.uint64)
    for byte in range(HEAD):
        inside = byte < there
        value = buffer[np.where(inside, begin + byte, 0)].astype(np.uint64) + np.uint64(1)
        mixed = np.where(inside, (mixed ^ value) * _MULTIPLIER, mixed)
        mixed ^= mixed >> np.uint64(29)
    return np.where(there >= np.minimum(payload, HEAD), mixed, np.uint64(0))


def _word(buffer: np.ndarray, at: np.ndarray) -> np.ndarray:
    """16 bits of the network's byte order."""
    word: np.ndarray = buffer[at].astype(np.int64) << 8 | buffer[at + 1]
    return word
