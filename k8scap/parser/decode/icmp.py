"""ICMP (RFC 792, 1191, 4884) and ICMPv6 (RFC 4443): type, code, MTU, checksum, and what an error quotes."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.checksums import sum_halves, sum_words, verifies
from k8scap.parser.decode.facts import (
    AT,
    CAPTURED_END,
    END_HIGH,
    END_LOW,
    FRAGMENTED,
    FROM_HIGH,
    FROM_LOW,
    ICMP_CODE,
    ICMP_MTU,
    ICMP_TYPE,
    QUOTING,
    REPORTED_END,
    TRANSPORT_CHECKSUM_OK,
)
from k8scap.parser.decode.reading import advance, trim, u8, u16, u32, within

_UNREACHABLE, _QUENCH, _REDIRECT, _TIME_EXCEEDED, _PARAMETER = 3, 4, 5, 11, 12
_FRAGMENTATION_NEEDED = 4
_V6_TOO_BIG, _V6_LAST_ERROR = 2, 4


@part
def icmp(data, facts):
    """Gives IP where a packet is quoted."""
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if not within(facts, 6):
        return p.NOTHING
    kind, code = u8(data, at), u8(data, at + 1)
    facts[ICMP_TYPE], facts[ICMP_CODE] = kind, code
    if facts[CAPTURED_END] >= facts[REPORTED_END] and not facts[FRAGMENTED] and not facts[QUOTING]:
        facts[TRANSPORT_CHECKSUM_OK] = verifies(sum_words(data, at, reported))
    if not within(facts, 8):
        return p.NOTHING
    if kind == _UNREACHABLE and code == _FRAGMENTATION_NEEDED:
        facts[ICMP_MTU] = u16(data, at + 6)
    quotes = kind == _UNREACHABLE or kind == _QUENCH or kind == _REDIRECT
    if not (quotes or kind == _TIME_EXCEEDED or kind == _PARAMETER):
        return p.NOTHING
    words = u8(data, at + 5)
    advance(facts, 8)
    return p.IP if _trim_quoted(data, facts, kind, words, reported) else p.NOTHING


@part
def _trim_quoted(data, facts, kind, words, reported):
    """A redirect quotes a header and 8 bytes; RFC 4884 tells how many words, before its extensions."""
    if kind == _REDIRECT:
        if not within(facts, 1):
            return False
        trim(facts, (u8(data, facts[AT]) & 15) * 4 + 8)
    elif words and reported > 8 + words * 4:
        if not within(facts, 4):
            return False
        if u16(data, facts[AT] + 2) > words * 4:
            trim(facts, ((u8(data, facts[AT]) & 15) + words) * 4)
    return True


@part
def icmpv6(data, facts):
    """Gives IPV6 where a packet is quoted."""
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if within(facts, 1):
        facts[ICMP_TYPE] = u8(data, at)
    if not within(facts, 2):
        return p.NOTHING
    kind = u8(data, at)
    facts[ICMP_CODE] = u8(data, at + 1)
    if not within(facts, 4):
        return p.NOTHING
    if facts[CAPTURED_END] >= facts[REPORTED_END] and not facts[FRAGMENTED] and not facts[QUOTING]:
        addresses = sum_halves(facts[FROM_HIGH]) + sum_halves(facts[FROM_LOW])
        addresses += sum_halves(facts[END_HIGH]) + sum_halves(facts[END_LOW])
        facts[TRANSPORT_CHECKSUM_OK] = verifies(
            addresses + 58 + sum_halves(reported) + sum_words(data, at, reported)
        )
    if not within(facts, 8):
        return p.NOTHING
    if kind == _V6_TOO_BIG:
        facts[ICMP_MTU] = u32(data, at + 4)
    if not 1 <= kind <= _V6_LAST_ERROR:
        return p.NOTHING
    advance(facts, 8)
    return p.IPV6
