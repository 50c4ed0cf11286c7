"""From when to when an X.509 certificate is valid (RFC 5280, 4.1.2.5), read from its DER."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_TIME = re.compile(rb"(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_THIS_CENTURY = 50
_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**63 // _SECOND - 1
"""Seconds since 1970 that 64 bits of nanoseconds hold, to the year 2262: "no end" (9999) becomes that."""


def validity(certificate: str) -> tuple[int, int] | None:
    """Nanoseconds since 1970 of notBefore and notAfter, from a certificate's DER in hexadecimal digits.

    None where it is none, or incomplete. A time beyond what 64 bits hold becomes the last that they do.
    """
    try:
        der = bytes.fromhex(certificate.replace(":", ""))
        times = _times(der)
    except (ValueError, IndexError):
        return None
    return (times[0], times[1]) if times else None


def _times(der: bytes) -> list[int]:
    """Certificate → TBSCertificate → [version] serial, algorithm, issuer, validity."""
    at, _ = _inside(der, 0, _SEQUENCE)
    at, _ = _inside(der, at, _SEQUENCE)
    if der[at] == _VERSION:
        at = _behind(der, at)
    for _field in ("serialNumber", "signature", "issuer"):
        at = _behind(der, at)
    at, end = _inside(der, at, _SEQUENCE)
    times: list[int] = []
    while at < end and len(times) < 2:
        times.append(_time(der, at))
        at = _behind(der, at)
    return times if len(times) == 2 else []


def _inside(der: bytes, at: int, kind: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends; raises ValueError for another kind."""
    if der[at] != kind:
        raise ValueError
    begin, length = _content(der, at)
    return begin, begin + length


def _behind(der: bytes, at: int) -> int:
    begin, length = _content(der, at)
    return begin + length


def _content(der: bytes, at: int) -> tuple[int, int]:
    length = der[at + 1]
    if length < 0x80:
        return at + 2, length
    size = length & 0x7F
    if not 1 <= size <= 4:
        raise ValueError
    return at + 2 + size, int.from_bytes(der[at + 2 : at + 2 + size], "big")


def _time(der: bytes, at: int) -> int:
    begin, length = _content(der, at)
    match = _TIME.fullmatch(der[begin : begin + length])
    if der[at] not in (_UTC_TIME, _GENERALIZED_TIME) or not match:
        raise ValueError
    year, *rest = map(int, match.groups())
    if der[at] == _UTC_TIME:
        year += 2000 if year < _THIS_CENTURY else 1900
    seconds = int((datetime(year, *rest, tzinfo=UTC) - _EPOCH).total_seconds())  # type: ignore[misc,arg-type]
    return max(min(seconds, _LATEST), -_LATEST) * _SECOND
