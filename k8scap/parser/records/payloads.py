"""How segments' payloads begin, and where in the file's bytes they lie: what no column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.records.reader import RecordReader
from k8scap.parser.records.scan import format_of, head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.records.reader import Block


_CHECKSUM = 4
_TRAILERS = (_CHECKSUM, *range(1, _CHECKSUM), *range(_CHECKSUM + 1, 23))
_SHORTEST = 64
"""Bytes of Ethernet's shortest frame, with its checksum: what is shorter is padded (IEEE 802.3, 3.2.8)."""
_HEADER_WORDS = (8, 5, 6, 7, *range(9, 16))
_DATA_OFFSET = 12
_SECRETS = 10


@dataclass(frozen=True)
class Payloads:
    """The payloads of some frames, inside one block's `buffer` (uint8).

    One array element a frame: `rows` are positions among the numbers asked for, `start` and `length` where
    the captured part of a payload lies in the buffer; a length of 0 where nothing of it was captured.
    """

    buffer: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def beginnings(self, size: int) -> np.ndarray:
        """The first `size` bytes of each, zeros behind its end: uint8, one row a payload."""
        place = np.arange(size)
        there = place < self.length[:, None]
        at = np.where(there, self.start[:, None] + place, 0)
        return np.where(there, self.buffer[at], 0).astype(np.uint8)

    def bytes_of(self, which: int) -> bytes:
        """The captured part of one payload."""
        start = int(self.start[which])
        return self.buffer[start : start + int(self.length[which])].tobytes()


def payloads(
    files: Sequence[Path], numbers: np.ndarray, lengths: np.ndarray, ports: np.ndarray
) -> Iterator[Payloads]:
    """Block by block, where these TCP segments' payloads lie; raises BeyondThisEngineError, and OSError.

    `numbers` are the frames' (from 1, over all files, rising), `lengths` how much each carries above TCP,
    `ports` its source port times 65536 plus its destination port. The files are streamed through up to the
    last such frame.
    """
    reader = RecordReader(files)
    try:
        done = 0
        for block in reader:
            before = reader.frames - len(block)
            end = int(np.searchsorted(numbers, reader.frames + 1))
            if end > done:
                rows = np.arange(done, end)
                yield _located(block, rows, numbers[rows] - before - 1, lengths[rows], ports[rows])
            done = end
            if done == len(numbers):
                return
        if reader.beyond:
            raise BeyondThisEngineError(reader.beyond)
    finally:
        reader.close()


def brings_secrets(files: Sequence[Path]) -> bool:
    """Whether any of the files has a decryption secrets block (pcapng draft, 4.7); raises OSError."""
    if all(format_of(head(path)) != "pcapng" for path in files):
        return False
    reader = RecordReader(files)
    try:
        for _ in reader:
            pass
    finally:
        reader.close()
    return any(int.from_bytes(kept[:4], "little") == _SECRETS for kept in reader.kept_blocks)


def _located(
    block: Block, rows: np.ndarray, records: np.ndarray, lengths: np.ndarray, ports: np.ndarray
) -> Payloads:
    """A payload stands at the frame's end, but for what pads a short frame, and an Ethernet checksum."""
    captured = block.captured[records]
    room = block.length[records] - lengths
    offset = room.copy()
    open_rows = np.flatnonzero(room > 0)
    for trailer in (0, *_TRAILERS):
        at = np.minimum(room[open_rows] - trailer, captured[open_rows])
        found = _follows_tcp(block.buffer, block.start[records[open_rows]], at, ports[open_rows])
        offset[open_rows[found]] = at[found]
        open_rows = open_rows[~found]
        if trailer >= _CHECKSUM:  # padding is for short frames
            open_rows = open_rows[block.length[records[open_rows]] <= _SHORTEST]
    offset = np.clip(offset, 0, captured)
    length = np.minimum(lengths, captured - offset)
    return Payloads(block.buffer, rows, block.start[records] + offset, length)


def _follows_tcp(buffer: np.ndarray, start: np.ndarray, offset: np.ndarray, ports: np.ndarray) -> np.ndarray:
    """Whether a TCP header (RFC 9293, 3.1) between these ports ends just before this offset into a frame."""
    found = np.zeros(len(start), bool)
    left = np.arange(len(start))
    for words in _HEADER_WORDS:
        at = offset[left] - 4 * words
        there = at >= 0
        place = np.where(there, start[left] + at, 0)
        there &= buffer[np.where(there, place + _DATA_OFFSET, 0)] >> 4 == words
        for byte in range(4):
            there &= buffer[np.where(there, place + byte, 0)] == (ports[left] >> (24 - 8 * byte)) & 0xFF
        found[left[there]] = True
        left = left[~there]
    return found
