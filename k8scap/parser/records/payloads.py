"""How segments' payloads begin, and where in the file's bytes they lie: what no column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.records.reader import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.records.reader import Block


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


def payloads(files: Sequence[Path], numbers: np.ndarray, lengths: np.ndarray) -> Iterator[Payloads]:
    """Block by block, where the payloads of these frames lie; raises BeyondThisEngineError, and OSError.

    `numbers` are the frames' (from 1, over all files, rising), `lengths` how much each carries above TCP,
    which stands at the frame's end on the wire. (An Ethernet checksum behind it would shift it by four bytes:
    no capture of a container's interface has one.) The files are streamed through up to the last such frame.
    """
    reader = RecordReader(files)
    try:
        done = 0
        for block in reader:
            before = reader.frames - len(block)
            end = int(np.searchsorted(numbers, reader.frames + 1))
            if end > done:
                rows = np.arange(done, end)
                yield _located(block, rows, numbers[rows] - before - 1, lengths[rows])
            done = end
            if done == len(numbers):
                return
        if reader.beyond:
            raise BeyondThisEngineError(reader.beyond)
    finally:
        reader.close()


def _located(block: Block, rows: np.ndarray, records: np.ndarray, lengths: np.ndarray) -> Payloads:
    captured = block.captured[records]
    offset = np.clip(block.length[records] - lengths, 0, captured)
    length = np.minimum(lengths, captured - offset)
    return Payloads(block.buffer, rows, block.start[records] + offset, length)
