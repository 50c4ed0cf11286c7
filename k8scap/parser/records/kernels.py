"""The walk from record to record: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

Every length is checked against the bytes that are there before it is believed.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import kernel, part

LARGEST_PACKET = 262_144
"""Wireshark refuses larger ones, and so do we: a damaged length costs no memory."""
LARGEST_BLOCK = 16 << 20

MORE, FULL, BAD, RARE = range(4)
"""Why a walk stopped: the bytes ended, the arrays are full, a record cannot be, a block is not a packet's."""

NO_TIME = np.iinfo(np.int64).min
_SECOND = 1_000_000_000
_U32, _HALF, _LARGEST_LENGTH = 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF
_HIGHEST_SECOND = 9_223_372_025
_OBSOLETE_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 2, 3, 6
_COMMENT, _FLAGS = 1, 2

LINK_TYPE, SNAPLEN, PER_SECOND, OFFSET = range(4)
"""An interface's row: link type, most bytes a packet, ticks a second, seconds to add."""
START, CAPTURED, LENGTH, TIME, INTERFACE, DIRECTION, COMMENT, POSITION, MOMENT = range(9)
FIELDS = 9
"""A record's column in the walk's answer, int64[9, records]; `COMMENT`: where its first one stands, or -1.

`MOMENT` is what times are told apart by: as `TIME`, but 0 where there is none, and modulo 2^64 where it is
further away than `TIME` can say."""


@part
def _u32(data, at, big):
    a, b, c, d = np.int64(data[at]), np.int64(data[at + 1]), np.int64(data[at + 2]), np.int64(data[at + 3])
    if big:
        return (a << 24) | (b << 16) | (c << 8) | d
    return (d << 24) | (c << 16) | (b << 8) | a


@part
def _u16(data, at, big):
    a, b = np.int64(data[at]), np.int64(data[at + 1])
    return (a << 8) | b if big else (b << 8) | a


@kernel
def walk_pcap(data, at, end, big, nanoseconds, before, records, count):
    """Records of data[at:end]; gives (how many there are then, where the next one begins, why it stopped).

    `count`: how many `records` holds already; `before`: the offset of data[0] in the file; `nanoseconds`:
    those of the fraction's unit.
    """
    while count < records.shape[1]:
        if at + 16 > end:
            return count, at, MORE
        captured = _u32(data, at + 8, big)
        if captured > LARGEST_PACKET:
            return count, at, BAD
        if at + 16 + captured > end:
            return count, at, MORE
        records[START, count], records[CAPTURED, count] = at + 16, captured
        records[LENGTH, count] = min(_u32(data, at + 12, big), _LARGEST_LENGTH)
        fraction = _signed(_u32(data, at + 4, big) * nanoseconds)
        time = _u32(data, at, big) * _SECOND + fraction
        records[TIME, count], records[MOMENT, count] = time if fraction >= 0 else NO_TIME, time
        records[INTERFACE, count], records[DIRECTION, count] = 0, 0
        records[COMMENT, count], records[POSITION, count] = -1, before + at
        at += 16 + captured
        count += 1
    return count, at, FULL


@kernel
def walk_pcapng(data, at, end, big, interfaces, first_interface, before, records, count):
    """Packet blocks of data[at:end], up to a block of another kind; gives what `walk_pcap` gives.

    `interfaces`: int64[n, 4], those of the section; `first_interface`: the number of the first of them.
    """
    while count < records.shape[1]:
        if at + 12 > end:
            return count, at, MORE
        kind, length = _u32(data, at, big), _u32(data, at + 4, big)
        if kind != _ENHANCED_PACKET and kind != _SIMPLE_PACKET and kind != _OBSOLETE_PACKET:
            return count, at, RARE
        length = (length + 3) & ~3
        if length < 16 or length > LARGEST_BLOCK:
            return count, at, BAD
        if at + length > end:
            return count, at, MORE
        if not _packet_block(data, at, length, kind, big, interfaces, records, count):
            return count, at, BAD
        records[INTERFACE, count] += first_interface
        records[POSITION, count] = before + at
        at += length
        count += 1
    return count, at, FULL


@part
def _packet_block(data, at, length, kind, big, interfaces, records, count):
    """One whole block into its column; False where it cannot be."""
    if _u32(data, at + length - 4, big) != _u32(data, at + 4, big):
        return False
    records[DIRECTION, count], records[COMMENT, count] = 0, -1
    if kind == _SIMPLE_PACKET:
        return _simple_packet(data, at, length, big, interfaces, records, count)
    if length < 32:
        return False
    interface = _u32(data, at + 8, big) if kind == _ENHANCED_PACKET else _u16(data, at + 8, big)
    captured, sent = _u32(data, at + 20, big), min(_u32(data, at + 24, big), _LARGEST_LENGTH)
    if interface >= len(interfaces) or captured > LARGEST_PACKET or captured > length - 32:
        return False
    records[START, count], records[CAPTURED, count], records[LENGTH, count] = at + 28, captured, sent
    records[INTERFACE, count] = interface
    ticks = (_u32(data, at + 12, big) << 32) | _u32(data, at + 16, big)
    records[TIME, count], records[MOMENT, count] = _time(ticks, interfaces[interface])
    _options(data, at + 28 + ((captured + 3) & ~3), at + length - 4, big, records, count)
    return True


@part
def _signed(nanoseconds):
    """What a fraction of more than a second is in Wireshark's 32 bits; what becomes negative is no time."""
    return ((nanoseconds + _HALF) & _U32) - _HALF


@part
def _simple_packet(data, at, length, big, interfaces, records, count):
    """It has no time, and the first interface's snaplen cut it."""
    if len(interfaces) == 0:
        return False
    sent = _u32(data, at + 8, big)
    captured = sent
    snaplen = interfaces[0, SNAPLEN]
    if snaplen and captured > snaplen:
        captured = snaplen
    if captured > LARGEST_PACKET or captured > length - 16:
        return False
    records[START, count], records[CAPTURED, count], records[LENGTH, count] = at + 12, captured, sent
    records[INTERFACE, count], records[TIME, count], records[MOMENT, count] = 0, NO_TIME, 0
    return True


@part
def _time(ticks, interface):
    """Nanoseconds since 1970, `NO_TIME` where they do not fit, and the same modulo 2^64."""
    per_second = np.uint64(interface[PER_SECOND])
    ticks = np.uint64(ticks)
    seconds = np.int64(ticks // per_second) + interface[OFFSET]
    fraction = np.int64((ticks % per_second) * np.uint64(_SECOND) // per_second)
    if seconds > _HIGHEST_SECOND or seconds < -_HIGHEST_SECOND:
        return NO_TIME, seconds * _SECOND + fraction
    return seconds * _SECOND + fraction, seconds * _SECOND + fraction


@part
def _options(data, at, end, big, records, count):
    """The packet's flags, and where its first comment stands."""
    while at + 4 <= end:
        code, length = _u16(data, at, big), _u16(data, at + 2, big)
        if code == 0 or at + 4 + length > end:
            return
        if code == _FLAGS and length == 4:
            records[DIRECTION, count] = _u32(data, at + 4, big) & 3
        elif code == _COMMENT and records[COMMENT, count] < 0:
            records[COMMENT, count] = at
        at += 4 + ((length + 3) & ~3)
