"""Addresses as text: IPv4 with dots, IPv6 with colons (RFC 4291, 2.2), as inet_pton(3) takes them."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import FAMILY, HIGH, LOW
from k8scap.parser.decode.reading import u8
from k8scap.parser.decode.text import COLON, is_digit

_DOT = 46
_GROUPS = 8
_LONGEST = 45


@part
def read_ipv4(data, at, end):
    """The address as a number, -1 where the text is none."""
    number, dots, digits, octet = np.int64(0), 0, 0, np.int64(0)
    for i in range(at, end):
        byte = u8(data, i)
        if byte == _DOT and digits and dots < 3:
            number, dots, digits, octet = number << 8 | octet, dots + 1, 0, np.int64(0)
            continue
        if not is_digit(byte) or (digits and octet == 0):
            return np.int64(-1)
        octet, digits = octet * 10 + byte - 48, digits + 1
        if octet > 255:
            return np.int64(-1)
    return number << 8 | octet if dots == 3 and digits else np.int64(-1)


@part
def _hexadecimal(byte):
    """A digit's value, -1 for anything else."""
    if is_digit(byte):
        return byte - 48
    lower = byte | 0x20
    return lower - 87 if 97 <= lower <= 102 else np.int64(-1)


@part
def read_ipv6(data, at, end, row):
    """Put the address's halves into the row; False where the text is none, and the row is left alone."""
    if end - at < 2 or end - at > _LONGEST:
        return False
    high, low, groups, gap = np.int64(0), np.int64(0), 0, -1
    i = at
    if u8(data, i) == COLON:
        if u8(data, i + 1) != COLON:
            return False
        gap, i = 0, i + 2
    while i < end:
        start, value = i, np.int64(0)
        while i < end and i - start < 4 and _hexadecimal(u8(data, i)) >= 0:
            value, i = value << 4 | _hexadecimal(u8(data, i)), i + 1
        if i < end and data[i] == _DOT:
            tail = read_ipv4(data, start, end)
            if tail < 0 or groups > _GROUPS - 2:
                return False
            high, low = high << 32 | (low >> 32 & 0xFFFFFFFF), low << 32 | tail
            groups, i = groups + 2, end
            break
        if i == start or groups == _GROUPS:
            return False
        high, low, groups = high << 16 | (low >> 48 & 0xFFFF), low << 16 | value, groups + 1
        if i == end:
            break
        if data[i] != COLON:
            return False
        i += 1
        if i < end and data[i] == COLON:
            if gap >= 0:
                return False
            gap, i = groups, i + 1
        elif i == end:
            return False
    if gap < 0 and groups != _GROUPS or gap >= 0 and groups == _GROUPS:
        return False
    _place_groups(high, low, groups, gap, row)
    return True


@part
def _place_groups(high, low, groups, gap, row):
    """Groups stand at the end of the two halves so far: those before the gap go to the front."""
    behind = groups - gap if gap >= 0 else _GROUPS
    front_high, front_low = np.int64(0), np.int64(0)
    for group in range(_GROUPS):
        if group < groups - behind:
            value = _group(high, low, groups - 1 - group)
        elif group >= _GROUPS - behind:
            value = _group(high, low, _GROUPS - 1 - group)
        else:
            value = np.int64(0)
        front_high, front_low = front_high << 16 | (front_low >> 48 & 0xFFFF), front_low << 16 | value
    row[FAMILY], row[HIGH], row[LOW] = 6, front_high, front_low


@part
def _group(high, low, place):
    """The group at `place`, counted from the last one."""
    return low >> 16 * place & 0xFFFF if place < 4 else high >> 16 * (place - 4) & 0xFFFF
