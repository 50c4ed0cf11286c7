"""Capture files' records, block by block: rotated files of one point follow one another.

Memory is bounded by the block, whatever a file claims. A file that grows is read on where its whole records
ended; nothing is mapped, so that a file may also be cut off meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records import kernels as k
from k8scap.parser.records.pcapng_blocks import Section, Stretch
from k8scap.parser.records.streams import PCAP, PCAP_HEADER, PCAPNG, open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.records.pcapng_blocks import Interface
    from k8scap.parser.records.streams import Stream

_BLOCK = 4 << 20
_SMALLEST_ROOM = k.LARGEST_PACKET + 64
_MAJOR, _MINOR = 2, 4


@dataclass(frozen=True)
class Block:
    """Some whole records.

    `buffer` (uint8) holds their bytes; the others are int64 arrays, one number a record: `start` and
    `captured` tell where in `buffer` a packet's bytes lie (always inside), `length` is its size on the wire,
    `time` nanoseconds since 1970 (NaT's number where it has none), `interface` counts over all files,
    `direction` is 0 unknown, 1 in, 2 out, `position` the record's offset in the unpacked file `file`,
    `moment` the time for differences: 0 where there is none, modulo 2^64.
    """

    buffer: np.ndarray
    start: np.ndarray
    captured: np.ndarray
    length: np.ndarray
    time: np.ndarray
    interface: np.ndarray
    direction: np.ndarray
    position: np.ndarray
    moment: np.ndarray
    file: int

    def __len__(self) -> int:
        return len(self.start)

    def part(self, first: int, end: int) -> Block:
        """The records from `first` to before `end`."""
        if first == 0 and end == len(self):
            return self
        columns = ("start", "captured", "length", "time", "interface", "direction", "position", "moment")
        return replace(self, **{name: getattr(self, name)[first:end] for name in columns})


class RecordReader:
    """Reads the files' records in order; may be iterated again after its end, for what has come since.

    `interfaces` are those met so far, `notes` sentences on what could not be read, `comments` by frame
    number, `cut_off` whether a file ends inside a record, `damaged` whether one has a record that cannot be.
    `beyond` says what of a file cannot be read here, where there is such: then reading ends.
    """

    def __init__(
        self, files: Sequence[Path], *, block_bytes: int = _BLOCK, most_records: int = 32_768
    ) -> None:
        self._files = tuple(files)
        self._room = max(block_bytes, _SMALLEST_ROOM)
        self._most = most_records
        self._file = 0
        self._open: _File | None = None
        self.interfaces: list[Interface] = []
        self.notes: dict[str, None] = {}
        self.comments: dict[int, str] = {}
        self.kept_blocks: list[bytes] = []
        self.kept_bytes = 0
        self.frames = 0
        self.beyond = ""
        self.damaged = False
        self._cut_off = False

    @property
    def cut_off(self) -> bool:
        return self._cut_off or (self._open is not None and self._open.is_inside_a_record)

    def __iter__(self) -> Iterator[Block]:
        while self._file < len(self._files):
            if self._open is None:
                self._open = _File(self._files[self._file], self)
            for block in self._open.blocks(self._room, self._most, self._file):
                self.frames += len(block)
                yield block
            if self._file + 1 == len(self._files) and not self._open.is_finished:
                return  # the last one may still grow
            self._cut_off = self._cut_off or self._open.is_inside_a_record
            self.close()
            self._file += 1

    def add(self, path: Path) -> None:
        """One more file behind the last, which has its end then, and grows no more."""
        self._files += (path,)

    def pass_over(self) -> None:
        """Leave out the file that could not be opened: of a ring's, the oldest go."""
        self._file += 1

    def close(self) -> None:
        """Close what is open; done at the end of every file but a last one that may grow."""
        if self._open is not None:
            self._cut_off = self._cut_off or self._open.is_inside_a_record
            self._open.close()
            self._open = None


class _File:
    """One file: what was read of it and is not yet given away is data[at:end]."""

    def __init__(self, path: Path, reader: RecordReader) -> None:
        self._path = path
        self._reader = reader
        self._stream: Stream = open_stream(path)
        self._data = np.empty(0, np.uint8)
        self._at = self._end = 0
        self._before = 0
        self._walk: _PcapWalk | Section | None = None
        self.is_finished = False

    @property
    def is_inside_a_record(self) -> bool:
        return self._end > self._at or self._stream.broken or (self._walk is None and not self.is_finished)

    def close(self) -> None:
        self._stream.close()

    def blocks(self, room: int, most: int, number: int) -> Iterator[Block]:
        """Whole records, up to the present end."""
        while not self.is_finished:
            if self._walk is not None:
                yield from self._walk_blocks(self._walk, most, number)
            if self.is_finished or not self._read(room):
                return
            if self._walk is None:
                self._begin()

    def _walk_blocks(self, walk: _PcapWalk | Section, most: int, number: int) -> Iterator[Block]:
        stopped = k.FULL
        while stopped == k.FULL:
            records = np.empty((k.FIELDS, min(most, (self._end - self._at) // 16 + 1)), np.int64)
            count, stopped = self._fill(records, walk)
            if count:
                yield _block(self._data, records[:, :count], number)
        if stopped == k.BAD:
            where = self._before + self._at
            if not self._reader.frames:
                self._reader.beyond = f"it is damaged at byte {where:,}, before any packet"
            self._reader.notes[
                f"{self._path.name} is damaged: nothing can be read from byte {where:,} on."
            ] = None
            self._reader.damaged = True
            self.is_finished = True
            self._end = self._at

    def _fill(self, records: np.ndarray, walk: _PcapWalk | Section) -> tuple[int, int]:
        """As many records as there are, or have room; blocks of other kinds are taken on the way."""
        count, stopped = 0, k.RARE
        while stopped == k.RARE:
            first = count
            there = Stretch(self._data, self._at, self._end, self._before)
            count, self._at, stopped = walk.walk(there, records, first)
            walk.remember_comments(self._data, records, first, count, self._reader)
            if stopped == k.RARE:
                stopped = self._take_rare_block(walk)
        return count, stopped

    def _take_rare_block(self, walk: _PcapWalk | Section) -> int:
        taken = walk.take(self._data, self._at, self._end, self._reader)
        if self._reader.beyond:
            self.is_finished = True
            return k.MORE
        if taken > 0:
            self._at += taken
            return k.RARE
        return k.MORE if taken == 0 else k.BAD

    def _read(self, room: int) -> bool:
        """Read on behind what is left, into a buffer of its own: the last one may still be in use."""
        left = self._end - self._at
        wanted = max(room, self._walk.needs(self._data, self._at, self._end) if self._walk else 0)
        data = np.empty(max(wanted, left + _SMALLEST_ROOM), np.uint8)
        data[:left] = self._data[self._at : self._end]
        self._before += self._at
        self._data, self._at, self._end = data, 0, left
        view = memoryview(data.data)
        while self._end < len(data):
            got = self._stream.read_into(view[self._end :])
            if not got:
                break
            self._end += got
        return self._end > left

    def _begin(self) -> None:
        magic = self._data[:4].tobytes()
        if self._end >= 4 and magic in PCAP:
            if self._end >= PCAP_HEADER:
                self._walk = _PcapWalk(self._data[:PCAP_HEADER].tobytes(), self._reader)
                self._at = PCAP_HEADER
                self.is_finished = bool(self._reader.beyond)
        elif self._end >= 4 and magic == PCAPNG:
            self._walk = Section(len(self._reader.interfaces))
        elif self._end >= 4:
            self._reader.beyond = "it is neither pcap nor pcapng"
            self.is_finished = True


class _PcapWalk:
    def __init__(self, header: bytes, reader: RecordReader) -> None:
        from k8scap.parser.records.pcapng_blocks import Interface

        self._big, self._nanoseconds = PCAP[header[:4]]
        order = "big" if self._big else "little"
        snaplen, link = (int.from_bytes(header[i : i + 4], order) for i in (16, 20))  # type: ignore[arg-type]
        major, minor = (int.from_bytes(header[i : i + 2], order) for i in (4, 6))  # type: ignore[arg-type]
        if major != _MAJOR or minor < _MINOR:  # the lengths changed places in version 2.3
            reader.beyond = f"it is pcap of version {major}.{minor}"
        self._interface = len(reader.interfaces)
        reader.interfaces.append(Interface(None, link & 0x03FF_FFFF, snaplen))

    def walk(self, there: Stretch, records: np.ndarray, first: int) -> tuple[int, int, int]:
        data, at, end, before = there
        count, at, stopped = k.walk_pcap(data, at, end, self._big, self._nanoseconds, before, records, first)
        records[k.INTERFACE, first:count] = self._interface
        return count, at, stopped

    def needs(self, *_: object) -> int:
        """No record is larger than the room that there always is."""
        return 0

    def take(self, *_: object) -> int:
        """A pcap has packets only."""
        return -1

    def remember_comments(self, *_: object) -> None:
        """A pcap has none."""


def _block(data: np.ndarray, records: np.ndarray, number: int) -> Block:
    return Block(
        data, records[k.START], records[k.CAPTURED], records[k.LENGTH], records[k.TIME],
        records[k.INTERFACE], records[k.DIRECTION], records[k.POSITION], records[k.MOMENT], number,
    )  # fmt: skip
