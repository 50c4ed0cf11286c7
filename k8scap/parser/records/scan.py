"""A capture file's skeleton: format, link types, whole records, and where it breaks off.

The records are those of `RecordReader`, so that whoever asks, and every engine, finds the same ones. What it
cannot read (snoop, ERF, odd versions …) is left to tshark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from k8scap.parser.records.streams import GZIP, PCAP, PCAP_HEADER, PCAPNG, ZSTD, open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8scap.parser.records.streams import Stream

Format = Literal["pcap", "pcapng", "other"]

_MAGIC = 4
_RECORD_HEADER = 16
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Scan:
    """What a file is made of.

    `whole_bytes` counts a pcap's (unpacked) bytes up to the end of the last whole record; `cut_off` says that
    something follows that is no whole record, because the file ends there, or is damaged: `notes` say so.
    """

    format: Format
    compressed: bool = False
    header: bytes = b""
    link_types: tuple[int, ...] = ()
    records: int = 0
    whole_bytes: int = 0
    cut_off: bool = False
    notes: tuple[str, ...] = ()


def scan(path: Path) -> Scan:
    """Read the file's skeleton; raises OSError only."""
    from k8scap.parser.records.reader import RecordReader

    header = head(path)
    form, compressed = format_of(header), _is_compressed(path)
    if form == "other":
        return Scan(form, compressed, cut_off=len(header) < _MAGIC)
    reader = RecordReader([path])
    end = PCAP_HEADER if len(header) == PCAP_HEADER else 0
    try:
        for block in reader:
            end = int(block.position[-1] + _RECORD_HEADER + block.captured[-1])
    finally:
        reader.close()
    if reader.beyond and not reader.damaged:
        return Scan("other", compressed)
    return Scan(
        form,
        compressed,
        header if form == "pcap" else b"",
        tuple(dict.fromkeys(interface.link_type for interface in reader.interfaces)),
        reader.frames,
        end if form == "pcap" else 0,
        reader.cut_off or reader.damaged,
        tuple(reader.notes),
    )


def whole_records(path: Path, found: Scan) -> Iterator[memoryview]:
    """The bytes of a pcap's whole records, without its header, in blocks; raises OSError."""
    stream = open_stream(path)
    try:
        _fill(stream, memoryview(bytearray(len(found.header))))
        room = memoryview(bytearray(_BLOCK))
        left = found.whole_bytes - len(found.header)
        while left > 0 and (got := stream.read_into(room[:left])):
            yield room[:got]
            left -= got
    finally:
        stream.close()


def head(path: Path) -> bytes:
    """The first bytes, unpacked: as many as a pcap's header has. Raises OSError."""
    room = bytearray(PCAP_HEADER)
    stream = open_stream(path)
    try:
        got = _fill(stream, memoryview(room))
    finally:
        stream.close()
    return bytes(room[:got])


def format_of(header: bytes) -> Format:
    """Which format a file has that begins so."""
    if header[:_MAGIC] in PCAP:
        return "pcap"
    return "pcapng" if header[:_MAGIC] == PCAPNG else "other"


def is_hardly_begun(header: bytes) -> bool:
    """Whether a file that begins so ends inside its header: nothing can be said of it."""
    return len(header) < _MAGIC or (len(header) < PCAP_HEADER and format_of(header) != "other")


def _fill(stream: Stream, room: memoryview) -> int:
    got = 0
    while got < len(room) and (more := stream.read_into(room[got:])):
        got += more
    return got


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_MAGIC).startswith((GZIP, ZSTD))
