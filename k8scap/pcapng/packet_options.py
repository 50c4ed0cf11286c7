"""What a packet's block tells beside its bytes: comments, those that it had and those to add; direction."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from k8scap.pcapng import blocks

if TYPE_CHECKING:
    from k8scap.parser.records.reader import Block
    from k8scap.pcapng.frames import PointFrames

_HEAD = 28
_KINDS = (2, 6)
"""The obsolete packet block and the enhanced one: both have options, behind a head of one length."""


def options_of(whole: Block, chosen: np.ndarray, before: int, what: PointFrames) -> dict[int, bytes]:
    """The options, with their end, of those of the `chosen` records that have any; keys are places there."""
    found: dict[int, bytes] = {}
    direction = whole.direction[chosen]
    told = {int(code): blocks.option(blocks.FLAGS, struct.pack("<I", int(code))) for code in set(direction)}
    for i in np.flatnonzero(direction).tolist():
        found[i] = told[int(direction[i])]
    if what.foreign_comments:
        for i, comments in _foreign_comments(whole, chosen):
            found[i] = found.get(i, b"") + comments
    for i in _commented(chosen, before, what):
        texts = what.comments[int(chosen[i]) + before + 1]
        found[i] = found.get(i, b"") + b"".join(blocks.text_option(blocks.COMMENT, text) for text in texts)
    return {i: blocks.ended(options) for i, options in found.items()}


def _commented(chosen: np.ndarray, before: int, what: PointFrames) -> list[int]:
    if not what.comments or not len(chosen):
        return []
    numbers = np.fromiter(what.comments, np.int64, len(what.comments))
    return np.flatnonzero(np.isin(chosen + before + 1, numbers)).tolist()


def _foreign_comments(whole: Block, chosen: np.ndarray) -> list[tuple[int, bytes]]:
    """All comments of the records that are packet blocks of a pcapng, as options."""
    data, start = whole.buffer, whole.start[chosen]
    view = memoryview(data.data)
    places = np.flatnonzero(start >= _HEAD)
    kind = data[start[places, None] - _HEAD + np.arange(4)].astype(np.int64)
    little = np.isin(kind[:, 0], _KINDS) & (kind[:, 1:] == 0).all(axis=1)
    big = np.isin(kind[:, 3], _KINDS) & (kind[:, :3] == 0).all(axis=1)
    found = []
    for i, order in [(i, "<") for i in places[little].tolist()] + [(i, ">") for i in places[big].tolist()]:
        at, record = int(start[i]), int(chosen[i])
        (size,) = struct.unpack_from(f"{order}I", view, at - _HEAD + 4)
        first, end = at + (int(whole.captured[record]) + 3 & ~3), at - _HEAD + size - 4
        if first + 4 <= end <= len(data) - 4 and struct.unpack_from(f"{order}I", view, end) == (size,):
            comments = _comments(data[first:end].tobytes(), order)
            if comments:
                found.append((i, comments))
    return found


def _comments(options: bytes, order: str) -> bytes:
    kept, at = b"", 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(f"{order}HH", options, at)
        if code == 0 or at + 4 + length > len(options):
            break
        if code == blocks.COMMENT:
            kept += blocks.option(code, options[at + 4 : at + 4 + length])
        at += 4 + (length + 3 & ~3)
    return kept
