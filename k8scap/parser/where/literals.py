"""A filter's words as numbers, as Wireshark 4.0 reads them for a field's type; None for what it refuses.

Forms that it takes and this does not (character constants, names of values, signs) are None as well.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8scap.parser.where.expression import Span
    from k8scap.parser.where.fields import Field

_INTEGERS = (
    (re.compile(r"0[0-7]*"), 8),
    (re.compile(r"[1-9][0-9]{0,19}"), 10),
    (re.compile(r"0[xX][0-9a-fA-F]{1,16}"), 16),
    (re.compile(r"0[bB][01]{1,64}"), 2),
)
_SECONDS = re.compile(r"(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,9}))?")
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:(:[0-9a-fA-F]{2}){5}|(-[0-9a-fA-F]{2}){5})")
_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}")
END_OF_SECONDS = 2**31 * 10**9
"""Wireshark 4.0 compares times by their difference in 32 bits: larger ones wrap."""
_TRUTHS = {"True": 1, "TRUE": 1, "False": 0, "FALSE": 0}


def span_of(field: Field, word: str) -> Span | None:
    """The numbers that a word stands for: one, or all those of a network (`10.0.0.0/8`)."""
    if field.kind in ("ipv4", "ipv6"):
        return _network(word, version=4 if field.kind == "ipv4" else 6)
    number = number_of(field, word)
    return None if number is None else (number, number)


def number_of(field: Field, word: str) -> int | None:
    """A single number: an integer, an address' bits, nanoseconds, 0 or 1."""
    match field.kind:
        case "uint":
            return integer(word, field.width)
        case "bool":
            number = _TRUTHS.get(word, integer(word, 64))
            return None if number is None else int(number != 0)
        case "ether":
            return int(word.replace(":", "").replace("-", ""), 16) if _MAC.fullmatch(word) else None
        case "seconds":
            return _nanoseconds(word)
        case "ipv4" | "ipv6":
            network = _network(word, version=4 if field.kind == "ipv4" else 6)
            return network[0] if network and "/" not in word else None
        case _:
            return None


def integer(word: str, width: int) -> int | None:
    """An unsigned integer of `width` bits: decimal, 0x…, 0b…, or octal, which begins with a 0."""
    for form, base in _INTEGERS:
        if form.fullmatch(word):
            number = int(word, base)
            return number if number < 1 << width else None
    return None


def _network(word: str, *, version: int) -> tuple[int, int] | None:
    text, slash, prefix = word.partition("/")
    if slash and not _PREFIX.fullmatch(prefix):
        return None
    address_type, bits = (ipaddress.IPv4Address, 32) if version == 4 else (ipaddress.IPv6Address, 128)
    try:
        first = int(address_type(text))
    except ipaddress.AddressValueError:
        return None
    host_bits = bits - int(prefix) if slash else 0
    if host_bits < 0:
        return None
    first = first >> host_bits << host_bits
    return first, first + (1 << host_bits) - 1


def _nanoseconds(word: str) -> int | None:
    if not (parts := _SECONDS.fullmatch(word)):
        return None
    nanoseconds = int(parts[1]) * 10**9 + int((parts[2] or "").ljust(9, "0"))
    return nanoseconds if nanoseconds < END_OF_SECONDS else None
