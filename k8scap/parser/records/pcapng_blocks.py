"""A pcapng section: its byte order, its interfaces, and the blocks that are no packets."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from k8scap.parser.records import kernels as k

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION, _INTERFACE, _NAMES, _SECRETS = 0x0A0D0D0A, 1, 4, 10
_OTHER_FRAMES = {
    9: "journal entries", 0x0BAD: "custom blocks", 0x40000BAD: "custom blocks",
    0x204: "system calls", 0x208: "system calls", 0x216: "system calls",
}  # fmt: skip
"""Blocks that Wireshark numbers as frames, though they hold no packet."""
_LEAST = {_SECTION: 28, _INTERFACE: 20, _NAMES: 16, 5: 24, _SECRETS: 20}
_VERSIONS = ((1, 0), (1, 2))
_NAME, _DESCRIPTION, _RESOLUTION, _TIME_OFFSET = 2, 3, 9, 14
_MOST_KEPT = 16 << 20
_MOST_COMMENTS = 100_000
_MICROSECONDS = 10**6


@dataclass(frozen=True)
class Interface:
    """Where packets were captured: `name`, or else its description, link type, most bytes a packet (0: all).

    `per_second` are its clock's ticks, `offset` the seconds to add to them.
    """

    name: str | None
    link_type: int
    snaplen: int = 0
    per_second: int = _MICROSECONDS
    offset: int = 0


class Stretch(NamedTuple):
    """Bytes of a file, data[at:end]; data[0] is its byte number `before`."""

    data: np.ndarray
    at: int
    end: int
    before: int


class Met(Protocol):
    """What was met in the files so far: interfaces, comments by frame, names and secrets, frames."""

    interfaces: list[Interface]
    comments: dict[int, str]
    kept_blocks: list[bytes]
    kept_bytes: int
    notes: dict[str, None]
    frames: int
    beyond: str


class Section:
    """Walks a pcapng file; a new section header begins anew with byte order and interfaces."""

    def __init__(self, first_interface: int) -> None:
        self._big = False
        self._first = first_interface
        self._rows = np.zeros((0, 4), np.int64)
        self._known = 0

    def walk(self, there: Stretch, records: np.ndarray, count: int) -> tuple[int, int, int]:
        data, at, end, before = there
        answer: tuple[int, int, int] = k.walk_pcapng(
            data, at, end, self._big, self._rows[: self._known], self._first, before, records, count
        )
        return answer

    def needs(self, data: np.ndarray, at: int, end: int) -> int:
        """The size of the block that begins here and is not whole, where it can be."""
        if end - at < 8:
            return 0
        length = int.from_bytes(data[at + 4 : at + 8].tobytes(), self._order())  # type: ignore[arg-type]
        return length + 16 if length <= k.LARGEST_BLOCK else 0

    def take(self, data: np.ndarray, at: int, end: int, reader: Met) -> int:
        """Pass over one block; gives its length, 0 where it is not whole yet, -1 where it cannot be."""
        kind = data[at : at + 4].tobytes()
        if kind == _SECTION.to_bytes(4, "big") and not self._begin(data, at, end, reader):
            return 0 if end - at < 12 else -1
        order = self._order()
        length = int.from_bytes(data[at + 4 : at + 8].tobytes(), order)  # type: ignore[arg-type]
        length = (length + 3) & ~3
        least = _LEAST.get(int.from_bytes(kind, order), 12)  # type: ignore[arg-type]
        if length < least or length > k.LARGEST_BLOCK:
            return -1
        if at + length > end:
            return 0
        block = data[at : at + length].tobytes()
        if block[-4:] != block[4:8]:
            return -1
        self._note(int.from_bytes(kind, order), block, reader)  # type: ignore[arg-type]
        return length

    def _order(self) -> str:
        return "big" if self._big else "little"

    def _begin(self, data: np.ndarray, at: int, end: int, reader: Met) -> bool:
        mark = data[at + 8 : at + 12].tobytes()
        if end - at < 12 or mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
            return False
        self._big = mark == b"\x1a\x2b\x3c\x4d"
        self._first = len(reader.interfaces)
        self._rows, self._known = np.zeros((0, 4), np.int64), 0
        return True

    def _note(self, kind: int, block: bytes, reader: Met) -> None:
        if kind in _OTHER_FRAMES:
            reader.beyond = f"it has {_OTHER_FRAMES[kind]}"
        elif kind == _SECTION:
            version = struct.unpack_from(">HH" if self._big else "<HH", block, 12)
            if version not in _VERSIONS:
                reader.beyond = f"it has a section of version {version[0]}.{version[1]}"
        elif kind == _INTERFACE:
            self._add(_interface(block, ">" if self._big else "<"), reader)
        elif kind in (_NAMES, _SECRETS):
            _keep(block if not self._big else _turned(block), reader)

    def _add(self, interface: Interface, reader: Met) -> None:
        reader.interfaces.append(interface)
        if self._known == len(self._rows):
            longer = np.zeros((2 * self._known + 4, 4), np.int64)
            longer[: self._known] = self._rows
            self._rows = longer
        self._rows[self._known] = (
            interface.link_type, interface.snaplen, interface.per_second, interface.offset,
        )  # fmt: skip
        self._known += 1

    def remember_comments(
        self, data: np.ndarray, records: np.ndarray, first: int, end: int, reader: Met
    ) -> None:
        """The first comment of each of some packets that has one, by its frame's number."""
        for i in first + np.flatnonzero(records[k.COMMENT, first:end] >= 0):
            if len(reader.comments) >= _MOST_COMMENTS:
                reader.notes[f"Of its comments, only the first {_MOST_COMMENTS:,} are kept."] = None
                return
            at = int(records[k.COMMENT, i])
            length = int.from_bytes(data[at + 2 : at + 4].tobytes(), self._order())  # type: ignore[arg-type]
            text = data[at + 4 : at + 4 + length].tobytes().decode("utf-8", "replace")
            reader.comments[reader.frames + int(i) + 1] = text


def _keep(block: bytes, reader: Met) -> None:
    """Names and secrets go along where frames are written out again."""
    if reader.kept_bytes + len(block) > _MOST_KEPT:
        reader.notes[f"Of its names and secrets, only the first {_MOST_KEPT >> 20} MB are kept."] = None
        return
    reader.kept_blocks.append(block)
    reader.kept_bytes += len(block)


def _interface(block: bytes, order: str) -> Interface:
    link_type, snaplen = struct.unpack_from(f"{order}HxxI", block, 8)
    names, per_second, offset = dict[int, str](), _MICROSECONDS, 0
    for code, value in _options(block[16:-4], order):
        if code in (_NAME, _DESCRIPTION):
            names.setdefault(code, _printable(value.split(b"\0")[0].decode("utf-8", "replace")))
        elif code == _RESOLUTION and len(value) == 1:
            per_second = _per_second(value[0])
        elif code == _TIME_OFFSET and len(value) == 8:
            offset = struct.unpack(f"{order}q", value)[0]
    name = names.get(_NAME, names.get(_DESCRIPTION))
    return Interface(name, link_type, snaplen, per_second, offset)


def _printable(name: str) -> str:
    """A name may hold anything; in a table it shall not break a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _per_second(resolution: int) -> int:
    """A negative power of 10, or of 2 where the highest bit is set; what no 64 bits hold is the finest."""
    exponent = resolution & 0x7F
    return 1 << min(exponent, 62) if resolution & 0x80 else 10 ** min(exponent, 18)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if code == 0 or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)


def _turned(block: bytes) -> bytes:
    """A block of a big-endian section, for a little-endian one: names and secrets, field by field."""
    kind, length = struct.unpack_from(">II", block)
    body = block[8:-4]
    if kind == _SECRETS:
        secret, size = struct.unpack_from(">II", body)
        body = struct.pack("<II", secret, size) + body[8:]
    else:
        body = b"".join(
            struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
            for code, value in _options(body, ">")
        )
        body += bytes(4)
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
