"""A capture file's skeleton: format, link types, whole records, and where it breaks off.

Read in blocks, never by a length that the file claims: a hostile file costs neither memory nor a hang.
pcap is https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap, pcapng …-pcapng; each may be gzipped.
What is neither (snoop, ERF, zstd …) is left to tshark.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Format = Literal["pcap", "pcapng", "other"]

_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_GZIP = b"\x1f\x8b"
_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_LARGEST = 1 << 28
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Scan:
    """What a file is made of.

    `whole_bytes` counts the (unpacked) bytes up to the end of the last whole record; `cut_off` says that
    something follows that is no whole record; `truncated` counts records that the snaplen cut.
    """

    format: Format
    compressed: bool = False
    header: bytes = b""
    link_types: tuple[int, ...] = ()
    snaplen: int = 0
    records: int = 0
    truncated: int = 0
    whole_bytes: int = 0
    cut_off: bool = False


def scan(path: Path) -> Scan:
    """Read the file's skeleton; raises OSError only."""
    with _opened(path) as (file, compressed):
        cursor = _Cursor(file)
        magic = cursor.take(4)
        if magic in _PCAP:
            return _Pcap(cursor, magic, compressed=compressed).scan()
        if magic == _PCAPNG:
            return _Pcapng(cursor, compressed=compressed).scan()
        return Scan("other", compressed)


@contextmanager
def whole_records(path: Path, found: Scan) -> Iterator[Iterator[bytes]]:
    """The bytes of a pcap's whole records, without its header, in blocks."""
    with _opened(path) as (file, _):
        cursor = _Cursor(file)
        cursor.take(len(found.header))
        yield cursor.blocks(found.whole_bytes - len(found.header))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    with path.open("rb") as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        if not compressed:
            yield raw, False
            return
        with gzip.open(raw) as unpacked:
            yield unpacked, True  # type: ignore[misc]


class _Cursor:
    """Takes and skips bytes; `position` is the end of what was there, whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = b""
        self._at = 0
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes (small counts only); fewer at the end."""
        if len(self._buffer) - self._at < count:
            self._buffer = self._buffer[self._at :] + self._more()
            self._at = 0
        taken = self._buffer[self._at : self._at + count]
        self._at += len(taken)
        self.position += len(taken)
        return taken

    def skip(self, count: int) -> bool:
        """Pass over `count` bytes; False where the file ends before."""
        while count > len(self._buffer) - self._at:
            count -= len(self._buffer) - self._at
            self.position += len(self._buffer) - self._at
            self._buffer, self._at = self._more(), 0
            if not self._buffer:
                return False
        self._at += count
        self.position += count
        return True

    def blocks(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, block by block."""
        while count > 0 and (block := self.take(min(count, _BLOCK))):
            count -= len(block)
            yield block

    def _more(self) -> bytes:
        try:
            return self._file.read(_BLOCK)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return b""  # a compressed file that was cut off, or damaged, ends there


class _Pcap:
    def __init__(self, cursor: _Cursor, magic: bytes, *, compressed: bool) -> None:
        self._cursor = cursor
        self._compressed = compressed
        self._order, _ = _PCAP[magic]
        self._header = magic + cursor.take(20)

    def scan(self) -> Scan:
        if len(self._header) < 24:
            return Scan("pcap", self._compressed, cut_off=True)
        snaplen, link_type = struct.unpack_from(f"{self._order}II", self._header, 16)
        records, truncated, whole, cut_off = self._walk()
        return Scan(
            "pcap",
            self._compressed,
            self._header,
            (link_type & 0x0FFF_FFFF,),
            snaplen,
            records,
            truncated,
            whole,
            cut_off,
        )

    def _walk(self) -> tuple[int, int, int, bool]:
        cursor, lengths = self._cursor, struct.Struct(f"{self._order}8xII")
        records, truncated, whole = 0, 0, cursor.position
        while len(head := cursor.take(16)) == 16:
            captured, length = lengths.unpack(head)
            if captured > _LARGEST or not cursor.skip(captured):
                return records, truncated, whole, True
            records += 1
            truncated += captured < length
            whole = cursor.position
        return records, truncated, whole, bool(head)


class _Pcapng:
    def __init__(self, cursor: _Cursor, *, compressed: bool) -> None:
        self._cursor = cursor
        self._compressed = compressed
        self._order = "<"
        self._link_types: dict[int, None] = {}
        self._snaplen = 0
        self._records = 0
        self._truncated = 0

    def scan(self) -> Scan:
        whole, cut_off = 0, False
        head = _PCAPNG + self._cursor.take(4)
        while len(head) == 8 and not cut_off:
            cut_off = not self._block(head)
            if not cut_off:
                whole = self._cursor.position
                head = self._cursor.take(8)
        return Scan(
            "pcapng",
            self._compressed,
            link_types=tuple(self._link_types),
            snaplen=self._snaplen,
            records=self._records,
            truncated=self._truncated,
            whole_bytes=whole,
            cut_off=cut_off or 0 < len(head) < 8,
        )

    def _block(self, head: bytes) -> bool:
        """Pass over one block; False where it is not whole."""
        taken = 8
        peek = b""
        if head[:4] == _PCAPNG:
            peek = self._cursor.take(4)
            taken += len(peek)
            self._order = ">" if peek == b"\x1a\x2b\x3c\x4d" else "<"
        kind, length = struct.unpack(f"{self._order}II", head)
        if length < 12 or length % 4 or length > _LARGEST:
            return False
        if kind in {_INTERFACE, _ENHANCED, _SIMPLE, _PACKET}:
            peek = self._cursor.take(min(length - 12, 20))
            taken += len(peek)
        if length < taken or not self._cursor.skip(length - taken):
            return False
        self._count(kind, peek)
        return True

    def _count(self, kind: int, body: bytes) -> None:
        if kind == _INTERFACE and len(body) >= 8:
            link_type, snaplen = struct.unpack_from(f"{self._order}HxxI", body)
            self._link_types[link_type] = None
            self._snaplen = max(self._snaplen, snaplen)
        elif kind in {_ENHANCED, _PACKET} and len(body) == 20:
            captured, length = struct.unpack_from(f"{self._order}12xII", body)
            self._truncated += captured < length
        self._records += kind in {_ENHANCED, _SIMPLE, _PACKET}
