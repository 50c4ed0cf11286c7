"""Tunnels: GRE, ERSPAN, VXLAN, Geneve, GTP-U, L2TP, and rarer ones.

Each step reads one header and gives what it carries, `NOTHING` where it carries no packet. RFC 2784, 2890,
2637 (GRE), 7348 (VXLAN), 8926 (Geneve), 2661 (L2TP); 3GPP TS 29.281 (GTP-U).
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import AT, FLAGS, REPORTED_END, TRANSPORT, TUNNEL_ID
from k8scap.parser.decode.reading import advance, trim, u8, u16, u24, u32, within

_GRE_PPP = 0x880B
_GRE_WCCP = 0x883E
_GRE_ERSPAN = 0x88BE
_GRE_3GPP2 = 0x88D2
_GTP_T_PDU, _GTP_NOT_PRIME = 0xFF, 0x10
_L2TP_CONTROL, _L2TP_LENGTH, _L2TP_SEQUENCE, _L2TP_OFFSET = 0x8000, 0x4000, 0x0800, 0x0200
_VXLAN_GPE_NEXT = (0, p.IP, p.IPV6, p.ETH, p.NSH, p.MPLS)


@part
def gre(data, facts):
    if not within(facts, 4):
        return p.NOTHING
    flags, kind = u16(data, facts[AT]), u16(data, facts[AT] + 2)
    is_ppp = (kind == _GRE_PPP and flags & 7 != 0) or kind == _GRE_3GPP2
    length = 4
    length += 4 if flags & 0xC000 else 0
    length += 4 if flags & 0x2000 else 0
    length += 4 if flags & 0x1000 else 0
    length += 4 if is_ppp and flags & 0x80 else 0
    if kind == _GRE_WCCP and within(facts, 5) and u8(data, facts[AT] + 4) & 0xF0 != 0x40:
        length += 4
    if not advance(facts, length):
        return p.NOTHING
    if flags & 0x4000 and not _source_routes(data, facts):
        return p.NOTHING
    if not flags & 0x1000 and facts[REPORTED_END] <= facts[AT]:
        return p.NOTHING
    facts[FLAGS] = flags if kind == _GRE_ERSPAN else flags | 0x1000
    return p.look_up(p.GRE_KEYS, p.GRE_CODES, kind)


@part
def _source_routes(data, facts):
    """RFC 1701: entries up to one of zeros; False where they are cut off."""
    while True:
        if not within(facts, 4):
            return False
        family, length = u16(data, facts[AT]), u8(data, facts[AT] + 3)
        if not advance(facts, 4 + length):
            return False
        if family == 0 and length == 0:
            return True


@part
def erspan(data, facts):
    """Types I (no header, and no number in GRE's), II (8 bytes) and III (12, or 20) before a whole frame.

    Type III may say that it carries something else than Ethernet.
    """
    if not facts[FLAGS] & 0x1000:
        return p.ETH
    if not within(facts, 2):
        return p.NOTHING
    version = u8(data, facts[AT]) >> 4
    if version == 1:
        return p.ETH if advance(facts, 8) else p.NOTHING
    if version != 2 or not within(facts, 12):
        return p.NOTHING
    last = u16(data, facts[AT] + 10)
    return p.ETH if advance(facts, 20 if last & 1 else 12) and last & 0x7C00 == 0 else p.NOTHING


@part
def vxlan(data, facts, generic):
    if not within(facts, 8):
        return p.NOTHING
    following = u8(data, facts[AT] + 3)
    facts[TUNNEL_ID] = u24(data, facts[AT] + 4)
    advance(facts, 8)
    if not generic:
        return p.ETH
    return _VXLAN_GPE_NEXT[following] if following < len(_VXLAN_GPE_NEXT) else p.NOTHING


@part
def geneve(data, facts):
    if not within(facts, 8):
        return p.NOTHING
    options = (u8(data, facts[AT]) & 0x3F) * 4
    kind = u16(data, facts[AT] + 2)
    facts[TUNNEL_ID] = u24(data, facts[AT] + 4)
    return p.ethertype(kind) if advance(facts, 8 + options) else p.NOTHING


@part
def gtp(data, facts):
    """A T-PDU carries IP, or Ethernet, told by its first bytes."""
    if not within(facts, 8):
        return p.NOTHING
    flags, message = u8(data, facts[AT]), u8(data, facts[AT] + 1)
    version = flags >> 5
    if version == 0:
        return _gtp_prime_t_pdu(data, facts, message)
    if version != 1:
        return p.NOTHING
    facts[TUNNEL_ID] = u32(data, facts[AT] + 4)
    if message != _GTP_T_PDU or not flags & _GTP_NOT_PRIME:
        return p.NOTHING
    trim(facts, 8 + u16(data, facts[AT] + 2))
    has_extensions = flags & 4 and within(facts, 12) and u8(data, facts[AT] + 11)
    if not advance(facts, 12 if flags & 7 else 8):
        return p.NOTHING
    if has_extensions and not _gtp_extensions(data, facts):
        return p.NOTHING
    if not within(facts, 1):
        return p.NOTHING
    return _t_pdu(data, facts)


@part
def _gtp_prime_t_pdu(data, facts, message):
    """Version 0 (3GPP TS 09.60): a header of 20 bytes."""
    trim(facts, 20 + u16(data, facts[AT] + 2))
    if message != _GTP_T_PDU or not advance(facts, 20) or not within(facts, 1):
        return p.NOTHING
    return _t_pdu(data, facts)


@part
def _gtp_extensions(data, facts):
    """Each has its length in words, and ends with the next one's type."""
    while True:
        if not within(facts, 1):
            return False
        length = u8(data, facts[AT]) * 4
        if length == 0 or not within(facts, length):
            return False
        following = u8(data, facts[AT] + length - 1)
        advance(facts, length)
        if following == 0:
            return True


@part
def _t_pdu(data, facts):
    first = u8(data, facts[AT])
    if 0x45 <= first <= 0x4E:
        return p.IP
    if first >> 4 == 6:
        return p.IPV6
    if facts[REPORTED_END] - facts[AT] > 14 and within(facts, 14):
        kind = u16(data, facts[AT] + 12)
        if kind == 0x0800 or kind == 0x86DD or kind == 0x0806:
            return p.ETH
    return p.NOTHING


@part
def l2tp(data, facts):
    """Version 2 carries PPP; what version 3 carries is agreed on elsewhere, and not told by its header."""
    if facts[TRANSPORT] != p.UDP or not within(facts, 2):
        return p.NOTHING
    flags = u16(data, facts[AT])
    if flags & 15 != 2 or flags & _L2TP_CONTROL:
        return p.NOTHING
    advance(facts, 8 if flags & _L2TP_LENGTH else 6)
    if flags & _L2TP_SEQUENCE:
        advance(facts, 4)
    if flags & _L2TP_OFFSET:
        if not within(facts, 2):
            return p.NOTHING
        advance(facts, 2 + u16(data, facts[AT]))
    return p.PPP_HDLC if within(facts, 1) else p.NOTHING


@part
def lisp_data(data, facts):
    """RFC 9300, 5.1: eight bytes before an IP packet of either version."""
    if not within(facts, 9):
        return p.NOTHING
    advance(facts, 8)
    version = u8(data, facts[AT]) >> 4
    return p.IP if version == 4 else p.IPV6 if version == 6 else p.NOTHING


@part
def teredo(data, facts):
    """RFC 4380: authentication and origin before an IPv6 packet, each where its first bytes say so."""
    if within(facts, 4) and u16(data, facts[AT]) == 0x0001:
        length = 13 + u8(data, facts[AT] + 2) + u8(data, facts[AT] + 3)
        if not advance(facts, length):
            return p.NOTHING
    if within(facts, 8) and u16(data, facts[AT]) == 0:
        advance(facts, 8)
    return p.IPV6 if within(facts, 1) and u8(data, facts[AT]) >> 4 == 6 else p.NOTHING


@part
def ayiya(data, facts):
    """Identity and signature of sizes that the header tells, before an IPv6 packet."""
    if not within(facts, 4):
        return p.NOTHING
    at = facts[AT]
    identity = 1 << (u8(data, at) >> 4)
    signature = (u8(data, at + 1) >> 4) * 4
    opcode, following = u8(data, at + 2) & 15, u8(data, at + 3)
    if not advance(facts, 8 + identity + signature) or opcode != 1:
        return p.NOTHING
    return p.ip_protocol(following)


@part
def network_service_header(data, facts):
    """RFC 8300: its length in words, and the next protocol."""
    if not within(facts, 8):
        return p.NOTHING
    length, following = (u16(data, facts[AT]) & 0x3F) * 4, u8(data, facts[AT] + 3)
    if not advance(facts, length):
        return p.NOTHING
    return _VXLAN_GPE_NEXT[following] if 1 <= following <= 5 and following != 4 else p.NOTHING


@part
def pim(data, facts):
    """A register carries a multicast packet (RFC 7761, 4.9.3); other types carry none."""
    if not within(facts, 8) or u8(data, facts[AT]) != 0x21:
        return p.NOTHING
    advance(facts, 8)
    if not within(facts, 1):
        return p.NOTHING
    version = u8(data, facts[AT]) >> 4
    return p.IP if version == 4 else p.IPV6 if version == 6 else p.NOTHING


@part
def lwapp(data, facts):
    """Where its control bit is not set, a frame of 802.11."""
    if not within(facts, 6) or u8(data, facts[AT]) & 4:
        return p.NOTHING
    advance(facts, 6)
    return p.WLAN


@part
def capwap_data(data, facts):
    """RFC 5415, 4: a header that knows its length, before a frame of 802.3 or 802.11."""
    if not within(facts, 4) or u8(data, facts[AT]) & 15 == 1:
        return p.NOTHING
    header = u32(data, facts[AT])
    length, binding = (header >> 19 & 31) * 4, header >> 9 & 31
    native, fragment, keep_alive = header & 0x100, header & 0x80, header & 8
    if fragment or keep_alive or not advance(facts, length):
        return p.NOTHING
    if not native:
        return p.ETH
    return p.WLAN_SWAPPED if binding == 1 else p.NOTHING


@part
def ether_ip(facts):
    """RFC 3378: two bytes before a frame."""
    return p.ETH if advance(facts, 2) else p.NOTHING
