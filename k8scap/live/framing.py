"""Where the records of a pcap stream end. Classic pcap, as tcpdump writes it (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER_BYTES = 24
_RECORD_BYTES = 16
_MAGIC = {
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
}
_MOST_BYTES = 262_144  # MAXIMUM_SNAPLEN: no record is longer, or these are not records
_CHUNK = 1 << 20


class NotPcapError(ValueError):
    """The bytes are not what tcpdump writes."""


@dataclass(frozen=True)
class Header:
    """A stream's first 24 bytes, and its byte order as struct writes it."""

    raw: bytes
    order: str

    @classmethod
    def read(cls, raw: bytes) -> Header:
        """Raises NotPcapError."""
        order = _MAGIC.get(raw[:4])
        if order is None or len(raw) != HEADER_BYTES:
            raise NotPcapError(f"no pcap header: {raw[:HEADER_BYTES].hex(' ')}")
        return cls(raw, order)

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
