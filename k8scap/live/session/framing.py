"""Where the records of a pcap stream end. Classic pcap, as tcpdump writes it (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER_BYTES = 24
_RECORD_BYTES = 16
_MAGIC = {  # byte order as struct writes it, nanoseconds in a time stamp's smaller part
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_MOST_BYTES = 262_144  # MAXIMUM_SNAPLEN: no record is longer, or these are not records
_CHUNK = 1 << 20


class NotPcapError(ValueError):
    """The bytes are not what tcpdump writes."""


@dataclass(frozen=True)
class Header:
    """A stream's first 24 bytes, and what they say: its byte order, the unit (ns) of its time stamps."""

    raw: bytes
    order: str
    fraction_ns: int

    @classmethod
    def read(cls, raw: bytes) -> Header:
        """Raises NotPcapError."""
        if raw[:4] not in _MAGIC or len(raw) != HEADER_BYTES:
            raise NotPcapError(f"no pcap header: {raw[:HEADER_BYTES].hex(' ')}")
        return cls(raw, *_MAGIC[raw[:4]])

    def record_ends(self, data: bytes | memoryview) -> list[int]:
        """The offset behind each whole record of `data`, which starts with a record.

        Raises NotPcapError for a length that no record has.
        """
        length_at = struct.Struct(self.order + "8xI4x").unpack_from
        size, at = len(data), 0
        ends: list[int] = []
        while at + _RECORD_BYTES <= size:
            (captured,) = length_at(data, at)
            if captured > _MOST_BYTES:
                raise NotPcapError(f"a record of {captured} bytes")
            at += _RECORD_BYTES + captured
            if at <= size:
                ends.append(at)
        return ends

    def count_until(self, data: bytes | memoryview, ends: Sequence[int], until_ns: int) -> int:
        """How many of the records that end at `ends` come before the first one later than `until_ns`."""
        stamp_at = struct.Struct(self.order + "II").unpack_from
        for index, start in enumerate([0, *ends[:-1]]):
            seconds, fraction = stamp_at(data, start)
            if seconds * 1_000_000_000 + fraction * self.fraction_ns > until_ns:
                return index
        return len(ends)


def measure(path: Path) -> tuple[int, int]:
    """The bytes up to the end of the last whole record of a file, and its whole records.

    (0, 0) where not even the header is whole; a record with an impossible length ends the count.
    """
    with path.open("rb", buffering=0) as file:
        try:
            header = Header.read(file.read(HEADER_BYTES))
        except NotPcapError:
            return 0, 0
        whole, records, rest = HEADER_BYTES, 0, b""
        while data := file.read(_CHUNK):
            rest += data
            try:
                ends = header.record_ends(rest)
            except NotPcapError:
                break
            if ends:
                whole, records, rest = whole + ends[-1], records + len(ends), rest[ends[-1] :]
    return whole, records


def cut_to_whole_records(path: Path) -> int:
    """Cut what a killed writer left half-written; returns the whole records.

    A file without even a header, which no tool could open, is removed.
    """
    whole, records = measure(path)
    if whole == 0:
        path.unlink()
    elif path.stat().st_size > whole:
        os.truncate(path, whole)
    return records
