"""A capture file's bytes, unpacked where it is compressed, read into arrays block by block.

What an archive claims of its size is not asked: unpacking gives as much as is wanted at a time.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PCAP = {
    b"\xd4\xc3\xb2\xa1": (False, 1000),
    b"\xa1\xb2\xc3\xd4": (True, 1000),
    b"\x4d\x3c\xb2\xa1": (False, 1),
    b"\xa1\xb2\x3c\x4d": (True, 1),
}
"""A pcap's first four bytes: whether it is big-endian, and the nanoseconds of its fraction's unit."""
PCAPNG = b"\x0a\x0d\x0d\x0a"
PCAP_HEADER = 24
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 16


class Stream(Protocol):
    """A file's content; `broken` says that a compressed one ended too early, or is damaged."""

    broken: bool

    def read_into(self, room: memoryview) -> int:
        """Fill the beginning of `room`; gives how many bytes, 0 at the (present) end."""

    def close(self) -> None: ...


def open_stream(path: Path) -> Stream:
    """Plain, gzip or zstd, by the file's first bytes. Raises OSError, here and in reading, with its name."""
    with _named(path), path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == GZIP:
        return _Gzip(path)
    return _Zstd(path) if magic == ZSTD else _Plain(path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error in reading, unlike one in opening, does not tell of which file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


class _Plain:
    def __init__(self, path: Path) -> None:
        self.broken = False
        self._path = path
        self._file = path.open("rb", buffering=0)

    def read_into(self, room: memoryview) -> int:
        with _named(self._path):
            return self._file.readinto(room) or 0

    def close(self) -> None:
        self._file.close()


class _Gzip:
    """Members one after the other (RFC 1952); all that a cut-off one can still give.

    Zeros between and behind them are padding, and nobody's, as gzip(1) has it.
    """

    def __init__(self, path: Path) -> None:
        self.broken = False
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._unpacker = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._begun = False

    def read_into(self, room: memoryview) -> int:
        while not self.broken:
            if self._unpacker.eof:
                self._next_member()
            if not self._packed and not self._read():
                self.broken = self._begun
                return 0
            if self._packed and (unpacked := self._unpack(len(room))):
                room[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def _read(self) -> bool:
        with _named(self._path):
            piece = self._file.read(_PIECE)
        self._packed = piece if self._begun else piece.lstrip(b"\0")
        return bool(piece)

    def _unpack(self, most: int) -> bytes:
        self._begun = True
        try:
            unpacked = self._unpacker.decompress(self._packed, most)
        except zlib.error:
            self.broken = True
            return b""
        self._packed = self._unpacker.unconsumed_tail
        return unpacked

    def _next_member(self) -> None:
        self._packed = self._unpacker.unused_data.lstrip(b"\0")
        self._unpacker = zlib.decompressobj(wbits=31)
        self._begun = False

    def close(self) -> None:
        self._file.close()


class _Zstd:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.broken = False
        self._stream = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")

    def read_into(self, room: memoryview) -> int:
        import pyarrow as pa

        try:
            unpacked = self._stream.read(min(len(room), _PIECE))
        except (OSError, pa.ArrowException):
            self.broken = True
            return 0
        room[: len(unpacked)] = unpacked
        return len(unpacked)

    def close(self) -> None:
        self._stream.close()
