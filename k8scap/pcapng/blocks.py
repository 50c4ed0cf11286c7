"""The bytes of pcapng's blocks (draft-ietf-opsawg-pcapng), little-endian, times in nanoseconds."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECTION, INTERFACE, NAMES, PACKET, SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
COMMENT, FLAGS = 1, 2
_NAME, _DESCRIPTION, _RESOLUTION, _APPLICATION = 2, 3, 9, 4
_NANOSECONDS = b"\x09"
_MAGIC = 0x1A2B3C4D
_LONGEST_TEXT = 60_000
_LONGEST_NAME = 255
_NAMES_A_BLOCK = 1000


def section(*, comment: str, application: str) -> bytes:
    """A section header, of unknown length."""
    options = text_option(COMMENT, comment) if comment else b""
    options += text_option(_APPLICATION, application)
    return block(SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1) + ended(options))


def interface(link_type: int, snaplen: int, *, name: str, description: str) -> bytes:
    """An interface; what it is called and described as may be empty."""
    options = text_option(_NAME, name) if name else b""
    options += text_option(_DESCRIPTION, description) if description else b""
    options += option(_RESOLUTION, _NANOSECONDS)
    return block(INTERFACE, struct.pack("<HHI", link_type & 0xFFFF, 0, snaplen) + ended(options))


def names(known: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """Name resolution blocks of (address, name), as many as it takes."""
    records = [_name_record(address, name) for address, name in known]
    for first in range(0, len(records), _NAMES_A_BLOCK):
        yield block(NAMES, b"".join(records[first : first + _NAMES_A_BLOCK]) + bytes(4))


def names_without(kept: bytes, addresses: set[bytes]) -> bytes:
    """A name resolution block without the records of some (packed) addresses; b"" where none is left."""
    records, left = kept[8:-4], b""
    at = 0
    while at + 4 <= len(records):
        kind, length = struct.unpack_from("<HH", records, at)
        end = at + 4 + (length + 3 & ~3)
        if kind == 0 or end > len(records):
            break
        size = {1: 4, 2: 16}.get(kind, 0)
        if size and records[at + 4 : at + 4 + size] not in addresses:
            left += records[at:end]
        at = end
    return block(NAMES, left + bytes(4)) if left else b""


def text_option(code: int, text: str) -> bytes:
    """UTF-8, cut to what an option holds; a NUL would end it early."""
    data = text.replace("\0", "").encode("utf-8", "replace")[:_LONGEST_TEXT]
    return option(code, data.decode("utf-8", "ignore").encode())


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + padded(value)


def ended(options: bytes) -> bytes:
    """Options with their end, which only stands where there are any."""
    return options + bytes(4) if options else b""


def block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _name_record(address: str, name: str) -> bytes:
    packed = ip_address(address).packed
    text = name.replace("\0", "").encode("utf-8", "replace")[:_LONGEST_NAME].decode("utf-8", "ignore")
    return option(1 if len(packed) == 4 else 2, packed + text.encode() + b"\0")
