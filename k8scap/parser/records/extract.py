"""Some frames of a capture as a small capture of their own, for tshark: with names and decryption secrets."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import numpy as np

from k8scap.errors import DiskFullError
from k8scap.parser.records.kernels import NO_TIME
from k8scap.parser.records.reader import RecordReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.records.pcapng_blocks import Interface
    from k8scap.parser.records.reader import Block

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _FLAGS, _NAME, _RESOLUTION = 1, 2, 2, 9
_NANOSECONDS = b"\x09"


def write_frames(path: Path, files: Sequence[Path], numbers: np.ndarray) -> int:
    """Write the frames of these numbers (from 1, over all files) to a pcapng; gives how many there were.

    Times (to the nanosecond), lengths, link types, interfaces, directions and first comments stay; name
    resolution and decryption secrets blocks go along. The files are streamed through once, so that they may
    be compressed. A packet without a time gets 1970. Raises OSError where a file cannot be read, and
    DiskFullError where the new one cannot be written.
    """
    wanted = np.unique(np.asarray(numbers, np.int64))
    reader = RecordReader(files)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:  # noqa: PTH123
            out.write(_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
            return sum(out.write(piece) > 0 for piece in _pieces(reader, wanted, out))
    except OSError as error:
        if error.filename is not None and error.filename != str(path):
            raise
        raise DiskFullError(
            f"{path} cannot be written: {error.strerror}.", next_step="TMPDIR=/another/folder"
        ) from None
    finally:
        reader.close()


def _pieces(reader: RecordReader, wanted: np.ndarray, out: object) -> Iterator[bytes]:
    """Each wanted packet's block, after the interfaces, names and secrets that were met before it."""
    interfaces = others = 0
    for block in reader:
        before = reader.frames - len(block)
        first, end = np.searchsorted(wanted, [before + 1, reader.frames + 1])
        head = b"".join(map(_interface, reader.interfaces[interfaces:]))
        head += b"".join(reader.kept_blocks[others:])
        interfaces, others = len(reader.interfaces), len(reader.kept_blocks)
        out.write(head)  # type: ignore[attr-defined]
        for number in wanted[first:end]:
            yield _packet(block, int(number) - before - 1, reader.comments.get(int(number)))
        if first == end == len(wanted):
            return


def _interface(interface: Interface) -> bytes:
    name = _option(_NAME, interface.name.encode()) if interface.name else b""
    head = struct.pack("<HHI", interface.link_type & 0xFFFF, 0, interface.snaplen)
    return _block(_INTERFACE, head + name + _option(_RESOLUTION, _NANOSECONDS) + bytes(4))


def _packet(block: Block, i: int, comment: str | None) -> bytes:
    start, captured = int(block.start[i]), int(block.captured[i])
    time = int(block.time[i])
    ticks = 0 if time == NO_TIME else time & (2**64 - 1)
    head = struct.pack(
        "<IIIII", int(block.interface[i]), ticks >> 32, ticks & 0xFFFFFFFF, captured, int(block.length[i])
    )
    data = block.buffer[start : start + captured].tobytes()
    options = _option(_FLAGS, struct.pack("<I", int(block.direction[i]))) if block.direction[i] else b""
    if comment:
        options += _option(_COMMENT, comment.encode()[:60_000])
    return _block(_PACKET, head + _padded(data) + options + (bytes(4) if options else b""))


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
