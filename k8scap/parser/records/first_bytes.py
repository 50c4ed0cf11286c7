"""What bytes tell that no table holds: how payloads begin, and the names that a pcapng brings along."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.reader import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.records.reader import Block

_NAMES = 4
_FAMILIES = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}
_CHECKSUM = 4
"""Bytes of the Ethernet checksum that some captures have behind each frame."""


def look(
    files: Sequence[Path], numbers: np.ndarray, payloads: np.ndarray, beginning: bytes
) -> tuple[np.ndarray, list[tuple[str, str]]] | None:
    """Which frames' payload has this `beginning`, and (address, name) of the name resolution blocks.

    `numbers` are the frames' (from 1, over all files, rising), `payloads` the lengths of what they carry
    above TCP, which stands at their end. Returns numbers of frames; None where the files are of a format that
    only tshark reads. The files are streamed through once.
    """
    reader = RecordReader(files)
    found: list[np.ndarray] = [numbers[:0]]
    try:
        for block in reader:
            before = reader.frames - len(block)
            first, end = np.searchsorted(numbers, [before + 1, reader.frames + 1])
            mine = numbers[first:end]
            found.append(mine[_begins(block, mine - before - 1, payloads[first:end], beginning)])
    finally:
        reader.close()
    if reader.beyond:
        return None
    return np.concatenate(found), [pair for kept in reader.kept_blocks for pair in _named(kept)]


def _begins(block: Block, rows: np.ndarray, payloads: np.ndarray, beginning: bytes) -> np.ndarray:
    """Whether the payload of these records begins so; those that were cut short do not tell."""
    start, captured = block.start[rows], block.captured[rows]
    whole = captured == block.length[rows]
    result = np.zeros(len(rows), bool)
    for trailer in (0, _CHECKSUM):
        at = captured - payloads - trailer
        same = whole & (at >= 0) & (payloads >= len(beginning))
        for i, byte in enumerate(beginning):
            same &= block.buffer[np.where(same, start + at + i, 0)] == byte
        result |= same
    return result


def _named(block: bytes) -> Iterator[tuple[str, str]]:
    """(address, name) of a name resolution block (pcapng draft, 4.5), little-endian; of other blocks none."""
    if len(block) < 16 or struct.unpack_from("<I", block)[0] != _NAMES:
        return
    body, at = block[8:-4], 0
    while at + 4 <= len(body):
        kind, length = struct.unpack_from("<HH", body, at)
        value = body[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)
        if kind == 0:
            return
        if kind in _FAMILIES:
            family, size = _FAMILIES[kind]
            names = value[size:].split(b"\0")
            if len(value) > size and names[0]:
                yield socket.inet_ntop(family, value[:size]), names[0].decode("utf-8", "replace")


def payloads(files: Sequence[Path], numbers: np.ndarray, lengths: np.ndarray, *, most: int) -> list[bytes]:
    """How the payloads of these frames begin (`most` bytes at most); empty where nothing of it is there.

    `numbers` are the frames' (from 1, over all files, rising), `lengths` of what they carry above TCP, which
    stands at the end of the whole frame; it may have been cut short. The files are streamed through once.
    """
    reader = RecordReader(files)
    found: list[bytes] = []
    try:
        for block in reader:
            before = reader.frames - len(block)
            first, end = len(found), int(np.searchsorted(numbers, reader.frames, "right"))
            rows = numbers[first:end] - before - 1
            start = block.start[rows]
            at = start + block.length[rows] - lengths[first:end]
            stop = np.minimum(start + block.captured[rows], at + np.minimum(lengths[first:end], most))
            buffer = block.buffer
            found += [
                buffer[a:b].tobytes() if a >= s else b""
                for s, a, b in zip(start.tolist(), at.tolist(), stop.tolist(), strict=True)
            ]
            if end == len(numbers):
                break
    finally:
        reader.close()
    return found + [b""] * (len(numbers) - len(found))
