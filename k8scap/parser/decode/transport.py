"""TCP (RFC 9293) with its options, UDP (RFC 768), UDP-Lite (RFC 3828), SCTP's common header (RFC 9260)."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.announcing import announces, announces_on_tcp
from k8scap.parser.decode.checksums import crc32c, sum_halves, sum_words, verifies
from k8scap.parser.decode.facts import (
    ACK_RAW,
    AT,
    CAPTURED_END,
    DST_PORT,
    END_HIGH,
    END_LOW,
    FLOW,
    FRAGMENTED,
    FROM_HIGH,
    FROM_LOW,
    NETWORK,
    NUMBERED,
    PAYLOAD_LENGTH,
    QUOTING,
    REPORTED_END,
    SEGMENT_LENGTH,
    SEQ_RAW,
    SHOWN,
    SRC_PORT,
    SUPERSEDES,
    TCP_FLAGS,
    TCP_FLOW,
    TCP_STAGE,
    TRANSPORT_CHECKSUM_OK,
    UDP_FLOW,
    WHOLE,
    WINDOW_RAW,
)
from k8scap.parser.decode.reading import advance, trim, u8, u16, u32, within
from k8scap.parser.decode.tcp_options import tcp_options

_RFB_VERSION = 12
_VNC_PORTS = (5500, 5501, 5900, 5901)


@part
def tcp(data, facts):
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if not within(facts, 4):
        return p.NOTHING
    facts[SRC_PORT], facts[DST_PORT] = u16(data, at), u16(data, at + 2)
    if not within(facts, 16):
        return p.NOTHING
    facts[FLOW], facts[TCP_STAGE] = TCP_FLOW, NUMBERED
    facts[SEQ_RAW], facts[ACK_RAW] = u32(data, at + 4), u32(data, at + 8)
    facts[TCP_FLAGS], facts[WINDOW_RAW] = u16(data, at + 12) & 0xFFF, u16(data, at + 14)
    header = (u8(data, at + 12) >> 4) * 4
    if not facts[FRAGMENTED] and not facts[QUOTING] and reported >= header:
        facts[SEGMENT_LENGTH] = facts[PAYLOAD_LENGTH] = reported - header
    if header < 20:
        return p.NOTHING
    facts[TCP_STAGE] = SHOWN
    if not within(facts, 18):
        return p.NOTHING
    if not facts[FRAGMENTED] and facts[CAPTURED_END] >= facts[REPORTED_END]:
        whole = _pseudo_header(facts, 6, reported) + sum_words(data, at, reported)
        facts[TRANSPORT_CHECKSUM_OK] = verifies(whole) if u16(data, at + 16) != 0xFFFF else 0
    if within(facts, 20) and tcp_options(data, facts, at + 20, at + header):
        if reported < header:
            return p.NOTHING
        facts[TCP_STAGE] = WHOLE
        if facts[SEGMENT_LENGTH] == _RFB_VERSION and _is_remote_framebuffer(data, facts, at + header):
            facts[SUPERSEDES] = 1
        if facts[SEGMENT_LENGTH] > 0:
            found = announces_on_tcp(facts[SRC_PORT], facts[DST_PORT])
            return found if found != p.NOTHING and advance(facts, header) else p.NOTHING
    return p.NOTHING


@part
def _is_remote_framebuffer(data, facts, at):
    """`RFB 003.008` on a port of its own choice (RFC 6143, 7.1.1): VNC opens another conversation."""
    if at + 12 > facts[CAPTURED_END] or u32(data, at) != 0x52464220:
        return False
    known = facts[SRC_PORT] in _VNC_PORTS or facts[DST_PORT] in _VNC_PORTS
    return u8(data, at + 7) == 0x2E and u8(data, at + 11) == 0x0A and not known


@part
def _pseudo_header(facts, protocol, length):
    """RFC 9293, 3.1 and RFC 8200, 8.1: addresses (a source route's last), protocol, length."""
    addresses = sum_halves(facts[FROM_LOW]) + sum_halves(facts[END_LOW])
    if facts[NETWORK] == 6:
        addresses += sum_halves(facts[FROM_HIGH]) + sum_halves(facts[END_HIGH])
    return addresses + protocol + sum_halves(length)


@part
def udp(data, facts):
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if not within(facts, 4):
        return p.NOTHING
    facts[SRC_PORT], facts[DST_PORT] = u16(data, at), u16(data, at + 2)
    if not within(facts, 6):
        return p.NOTHING
    length = u16(data, at + 4)
    if length >= 8:
        facts[PAYLOAD_LENGTH] = length - 8
    if length == 0 and facts[NETWORK] == 6:
        length = reported  # a jumbogram (RFC 2675)
    if length < 8 or not within(facts, 8):
        return p.NOTHING
    _datagram_checksum(data, facts, 17, length, length)
    facts[FLOW] = UDP_FLOW
    low, high = min(facts[SRC_PORT], facts[DST_PORT]), max(facts[SRC_PORT], facts[DST_PORT])
    trim(facts, length)
    advance(facts, 8)
    if length == 8:
        return p.NOTHING
    found = _by_port(low, high)
    if found == p.SNMP and _is_snmp(data, facts):
        facts[SUPERSEDES] = 1  # its dissector opens another conversation: what follows has its number
    return found if found != p.NOTHING else announces(data, facts)


@part
def _by_port(low, high):
    """The lower port's protocol, where one is known by it, before the higher one's; 0 is nobody's."""
    found = p.look_up(p.UDP_KEYS, p.UDP_CODES, low) if low else p.NOTHING
    return found if found != p.NOTHING else p.look_up(p.UDP_KEYS, p.UDP_CODES, high)


@part
def _datagram_checksum(data, facts, protocol, covered, counted):
    """Where all that it covers is there, and there is one (0 is none)."""
    at = facts[AT]
    reported, captured = facts[REPORTED_END] - at, facts[CAPTURED_END] - at
    if u16(data, at + 6) == 0 or facts[FRAGMENTED] or covered < 8:
        return
    if captured >= reported and reported >= covered:
        total = _pseudo_header(facts, protocol, counted) + sum_words(data, at, covered)
        facts[TRANSPORT_CHECKSUM_OK] = verifies(total)


@part
def udplite(data, facts):
    """The length field says how much the checksum covers, however oddly; the length is the packet's."""
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if not within(facts, 4):
        return p.NOTHING
    facts[SRC_PORT], facts[DST_PORT] = u16(data, at), u16(data, at + 2)
    if not within(facts, 6):
        return p.NOTHING
    facts[PAYLOAD_LENGTH] = reported - 8
    if within(facts, 8):
        facts[FLOW] = UDP_FLOW
    return p.NOTHING


@part
def sctp(data, facts):
    at, reported = facts[AT], facts[REPORTED_END] - facts[AT]
    if not within(facts, 12):
        return p.NOTHING
    facts[SRC_PORT], facts[DST_PORT] = u16(data, at), u16(data, at + 2)
    if facts[CAPTURED_END] == facts[REPORTED_END]:  # of a fragment, too: the reference calls it wrong
        sent = u8(data, at + 8) | u8(data, at + 9) << 8 | u8(data, at + 10) << 16 | u8(data, at + 11) << 24
        facts[TRANSPORT_CHECKSUM_OK] = 1 if sent == crc32c(data, at, reported, at + 8) else 0
    return p.NOTHING


@part
def _is_snmp(data, facts):
    """A BER sequence that fits, and an integer in it: where SNMP's dissector begins (RFC 3417)."""
    if not within(facts, 2) or u8(data, facts[AT]) != 0x30:
        return False
    size, at = u8(data, facts[AT] + 1), facts[AT] + 2
    if size & 0x80:
        count = size & 0x7F
        if count > 4 or not within(facts, 2 + count):
            return False
        size = 0
        for i in range(count):
            size = size << 8 | u8(data, at + i)
        at += count
    return size <= facts[REPORTED_END] - at and at < facts[CAPTURED_END] and u8(data, at) == 0x02
