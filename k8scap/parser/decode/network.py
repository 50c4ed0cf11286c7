"""IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers, fragments left as they are."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.checksums import sum_words, verifies
from k8scap.parser.decode.facts import (
    AT,
    CAPTURED_END,
    DST_HIGH,
    DST_LOW,
    DST_SEEN,
    ECN,
    END_HIGH,
    END_LOW,
    FRAGMENT_OFFSET,
    FRAGMENTED,
    FROM_HIGH,
    FROM_LOW,
    IP_CHECKSUM_OK,
    IP_DF,
    IP_ID,
    NETWORK,
    REPORTED_END,
    SRC_HIGH,
    SRC_LOW,
    SRC_SEEN,
    TTL,
)
from k8scap.parser.decode.reading import advance, trim, u8, u16, u32, u64, within

_MORE_FRAGMENTS, _OFFSET = 0x2000, 0x1FFF
_LOOSE_ROUTE, _STRICT_ROUTE = 131, 137
_LEAST_OPTION = np.zeros(256, np.int64)
_LEAST_OPTION[[7, 130, 131, 133, 137]] = 3
_LEAST_OPTION[[11, 12, 68, 136, 148]] = 4
_LEAST_OPTION[[134, 25, 82]] = 6, 8, 12
"""Bytes of an option by its type, its own two among them, without which Wireshark gives up."""
_HOP_BY_HOP, _NO_NEXT_HEADER = 0, 59
_JUMBO, _HOME_ADDRESS = 0xC2, 0xC9


@part
def ipv4(data, facts):
    """The fields in the order in which Wireshark reads them: a cut-off header gives the first ones."""
    if not within(facts, 1):
        return p.NOTHING
    at = facts[AT]
    if u8(data, at) >> 4 != 4:
        return p.IPV6 if u8(data, at) >> 4 == 6 else p.NOTHING
    header = (u8(data, at) & 15) * 4
    if header < 20 or not within(facts, 2):
        return p.NOTHING
    facts[ECN] = u8(data, at + 1) & 3
    if not within(facts, 4):
        return p.NOTHING
    length = u16(data, at + 2)
    if length == 0:
        length = max(facts[REPORTED_END] - at, header)  # segmentation offload: the whole frame
    if length < header:
        return p.NOTHING
    trim(facts, length)
    if not _ipv4_middle(data, facts, header):
        return p.NOTHING
    facts[SRC_HIGH], facts[SRC_LOW], facts[SRC_SEEN] = 0, u32(data, at + 12), 1
    facts[FROM_HIGH], facts[FROM_LOW] = 0, facts[SRC_LOW]
    return _ipv4_rest(data, facts, header)


@part
def _ipv4_middle(data, facts, header):
    """Identification to checksum; False where they are cut off."""
    at = facts[AT]
    if not within(facts, 6):
        return False
    facts[IP_ID] = u16(data, at + 4)
    if not within(facts, 8):
        return False
    fragment = u16(data, at + 6)
    facts[IP_DF] = (fragment >> 14) & 1
    facts[FRAGMENT_OFFSET] = (fragment & _OFFSET) * 8
    if not within(facts, 9):
        return False
    facts[TTL] = u8(data, at + 8)
    if within(facts, header):
        facts[IP_CHECKSUM_OK] = verifies(sum_words(data, at, header))
    return within(facts, 16)


@part
def _ipv4_rest(data, facts, header):
    """The destination, the options, and what follows."""
    at = facts[AT]
    beyond = _route_end(data, facts, header) if header > 20 else 0
    if not within(facts, 20 + max(beyond, 0)) or beyond < 0:
        return p.NOTHING
    facts[END_HIGH], facts[END_LOW] = 0, u32(data, at + 16 + beyond)
    if not beyond:
        facts[DST_HIGH], facts[DST_LOW], facts[DST_SEEN] = 0, u32(data, at + 16), 1
    fragment, protocol = u16(data, at + 6), u8(data, at + 9)
    readable = header == 20 or _options_can_be(data, facts, at + 20, at + header)
    if not advance(facts, header):
        return p.NOTHING
    if beyond:
        facts[DST_HIGH], facts[DST_LOW], facts[DST_SEEN] = 0, facts[END_LOW], 1
    if not readable:
        return p.NOTHING
    facts[FRAGMENTED] = 1 if fragment & _MORE_FRAGMENTS else 0
    if fragment & _OFFSET or facts[REPORTED_END] <= facts[AT]:
        return p.NOTHING
    return p.ip_protocol(protocol)


@part
def _route_end(data, facts, header):
    """How far behind the header's destination a source route's final one stands; -1 where it is cut off."""
    start = facts[AT] + 20
    at, end = start, facts[AT] + header
    captured = min(facts[CAPTURED_END], facts[REPORTED_END])
    while at < end:
        if at + 1 > captured:
            return -1
        kind = u8(data, at)
        if kind == 0:
            return 0
        if kind == 1:
            at += 1
            continue
        if at + 1 >= end:
            return 0
        if at + 2 > captured:
            return -1
        length = u8(data, at + 1)
        if length < 2 or at + length > end:
            return 0
        if kind == _LOOSE_ROUTE or kind == _STRICT_ROUTE:
            if at + 3 > captured:
                return -1
            pointer = u8(data, at + 2)
            return 0 if pointer < 4 or pointer & 3 or pointer > length else at - start + length
        at += length
    return 0


@part
def _options_can_be(data, facts, at, end):
    """False where an option is shorter than what it must hold: then nothing behind it is read."""
    end = min(end, facts[CAPTURED_END], facts[REPORTED_END])
    while at + 1 < end and u8(data, at) != 0:
        kind, length = u8(data, at), u8(data, at + 1)
        if kind == 1:
            at += 1
            continue
        if length < 2 or at + length > end:
            return True
        if length < _LEAST_OPTION[kind]:
            return False
        at += length
    return True


@part
def ipv6(data, facts):
    at = facts[AT]
    if not within(facts, 1) or u8(data, at) >> 4 != 6 or not within(facts, 4):
        return p.NOTHING
    facts[ECN] = (u16(data, at) >> 4) & 3
    if not within(facts, 8):
        return p.NOTHING
    length, following = u16(data, at + 4), u8(data, at + 6)
    facts[TTL] = u8(data, at + 7)
    if not within(facts, 24):
        return p.NOTHING
    facts[SRC_HIGH], facts[SRC_LOW], facts[SRC_SEEN] = u64(data, at + 8), u64(data, at + 16), 1
    facts[FROM_HIGH], facts[FROM_LOW] = facts[SRC_HIGH], facts[SRC_LOW]
    if not within(facts, 40):
        return p.NOTHING
    facts[DST_HIGH], facts[DST_LOW], facts[DST_SEEN] = u64(data, at + 24), u64(data, at + 32), 1
    facts[END_HIGH], facts[END_LOW] = facts[DST_HIGH], facts[DST_LOW]
    advance(facts, 40)
    if length == 0 and following == _HOP_BY_HOP:
        length = _jumbo_length(data, facts)
    facts[FRAGMENTED] = 0
    trim(facts, length)
    return _next_header(following)


@part
def _jumbo_length(data, facts):
    """RFC 2675: the real length, in a hop-by-hop option, where the header's own is 0."""
    if not within(facts, 8):
        return 0
    end = min(facts[AT] + (u8(data, facts[AT] + 1) + 1) * 8, facts[CAPTURED_END])
    at = facts[AT] + 2
    while at < end:
        kind = u8(data, at)
        if kind == 0:
            at += 1
            continue
        if at + 2 > end:
            return 0
        if kind == _JUMBO:
            return u32(data, at + 2) if at + 6 <= end else 0
        at += 2 + u8(data, at + 1)
    return 0


@part
def _next_header(number):
    return p.NOTHING if number == _NO_NEXT_HEADER else p.ip_protocol(number)


@part
def ipv6_options(data, facts):
    """Hop-by-hop and destination options; Mobile IPv6 has the sender's home address there (RFC 6275, 6.3)."""
    if not within(facts, 2):
        return p.NOTHING
    following, length = u8(data, facts[AT]), (u8(data, facts[AT] + 1) + 1) * 8
    at, end = facts[AT] + 2, facts[AT] + length
    captured = min(facts[CAPTURED_END], facts[REPORTED_END])
    while at < end:
        if at + 2 > captured:
            return p.NOTHING
        kind, size = u8(data, at), u8(data, at + 1)
        if kind == 0:
            at += 1
            continue
        if at + 2 + size > captured:
            return p.NOTHING
        if kind == _HOME_ADDRESS and size == 16:
            facts[FROM_HIGH], facts[FROM_LOW] = u64(data, at + 2), u64(data, at + 10)
        at += 2 + size
    return _next_header(following) if advance(facts, length) else p.NOTHING


@part
def ipv6_routing(data, facts):
    """RFC 8200, 4.4: while segments are left, the last address is where the packet ends."""
    if not within(facts, 4):
        return p.NOTHING
    at = facts[AT]
    following, length, kind, left = u8(data, at), u8(data, at + 1), u8(data, at + 2), u8(data, at + 3)
    if not within(facts, (length + 1) * 8):
        return p.NOTHING
    addresses = length // 2
    if left > 0 and addresses > 0 and (kind == 0 or kind == 2):
        last = at + 8 + (addresses - 1) * 16 if kind == 0 else at + 8
        facts[END_HIGH], facts[END_LOW] = u64(data, last), u64(data, last + 8)
    elif kind == 4 and addresses > 0:
        facts[END_HIGH], facts[END_LOW] = u64(data, at + 8), u64(data, at + 16)
    advance(facts, (length + 1) * 8)
    return _next_header(following)


@part
def ipv6_fragment(data, facts):
    if not within(facts, 8):
        return p.NOTHING
    following, fragment = u8(data, facts[AT]), u16(data, facts[AT] + 2)
    if facts[NETWORK] == 6:
        facts[FRAGMENT_OFFSET] = fragment & 0xFFF8
    advance(facts, 8)
    if fragment & 0xFFF8:
        return p.NOTHING
    facts[FRAGMENTED] = fragment & 1
    return _next_header(following)


@part
def authentication(data, facts):
    """RFC 4302: what it protects follows in clear."""
    if not within(facts, 12):
        return p.NOTHING
    following, length = u8(data, facts[AT]), (u8(data, facts[AT] + 1) + 2) * 4
    if not advance(facts, length):
        return p.NOTHING
    return _next_header(following)
