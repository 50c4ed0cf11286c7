"""Link layers: Ethernet, Linux cooked, null, raw, PPP (and over Ethernet), Cisco HDLC.

Each step reads one header at `AT`, moves `AT` behind it, and gives the code of what follows, `NOTHING` where
nobody can know. How odd headers are taken was seen with tshark 4.0 (IEEE 802.3, 802.1Q, RFC 1661, 2516,
3032; LINKTYPE_LINUX_SLL and _SLL2).
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import ABSENT, AT, CAPTURED_END, DIRECTION, DST_MAC, IFINDEX, SRC_MAC
from k8scap.parser.decode.reading import advance, trim, u8, u16, u32, u48, within
from k8scap.parser.decode.tagging import IEEE_802_3_LARGEST, ieee_802_3, inter_switch_link

_ETHERNET_II_SMALLEST = 1536
_LINUX_TYPES = 1536
_HOST, _BROADCAST, _MULTICAST, _OUTGOING = 0, 1, 2, 4
_IN, _OUT = 0, 1
_NETLINK, _IPGRE, _RADIOTAP = 824, 778, 803
_FABRIC_PATH = 0x8903
_CISCO_ISL = 0x01000C0000, 0x0C000C0000
IP_RAW_PADDING = 10
_CISCO_UNICAST, _CISCO_MULTICAST = 0x0F, 0x8F


@part
def ethernet(data, facts, outermost):
    if not within(facts, 14):
        return p.NOTHING
    at = facts[AT]
    kind = u16(data, at + 12)
    if kind <= IEEE_802_3_LARGEST:
        group = u48(data, at) >> 8
        if group == _CISCO_ISL[0] or group == _CISCO_ISL[1]:
            return inter_switch_link(data, facts)
    if kind == _FABRIC_PATH:
        advance(facts, 12)
        return p.CFP
    if outermost and facts[DST_MAC] == ABSENT:  # a cooked header tells a source only
        facts[DST_MAC] = u48(data, at)
        facts[SRC_MAC] = u48(data, at + 6)
    advance(facts, 14)
    if IEEE_802_3_LARGEST < kind < _ETHERNET_II_SMALLEST:
        return p.NOTHING
    if 0 < kind <= IEEE_802_3_LARGEST:
        return ieee_802_3(data, facts, kind)
    return p.ethertype(kind)


@part
def pppoe_session(data, facts):
    if not within(facts, 8):
        return p.NOTHING
    length = u16(data, facts[AT] + 4)
    advance(facts, 6)
    trim(facts, length)
    return p.PPP


@part
def ppp_hdlc(data, facts):
    if not within(facts, 1):
        return p.NOTHING
    first = u8(data, facts[AT])
    if first == _CISCO_UNICAST or first == _CISCO_MULTICAST:
        return p.CHDLC
    if first == 0xFF and not advance(facts, 2):
        return p.NOTHING
    return ppp(data, facts)


@part
def ppp(data, facts):
    """A protocol number of one byte (odd) or two."""
    if not within(facts, 1):
        return p.NOTHING
    number, length = u8(data, facts[AT]), 1
    if not number & 1:
        if not within(facts, 2):
            return p.NOTHING
        number, length = u16(data, facts[AT]), 2
    advance(facts, length)
    return p.look_up(p.PPP_KEYS, p.PPP_CODES, number)


@part
def cisco_hdlc(data, facts):
    """Address, control, then an Ethernet type, or one of Cisco's own; a byte behind may be padding."""
    if not within(facts, 5):
        return p.NOTHING
    kind = u16(data, facts[AT] + 2)
    advance(facts, 4)
    return p.look_up(p.CHDLC_KEYS, p.CHDLC_CODES, kind)


@part
def linux_cooked(data, facts, outermost):
    """LINKTYPE_LINUX_SLL: 16 bytes, the protocol last."""
    if not within(facts, 4):
        return p.NOTHING
    at = facts[AT]
    hardware = u16(data, at + 2)
    if hardware == _NETLINK:
        return p.NETLINK
    facts[DIRECTION] = _direction(u16(data, at))
    if not within(facts, 6):
        return p.NOTHING
    _cooked_address(data, facts, u16(data, at + 4), at + 6, outermost)
    return _cooked_payload(facts, 16, u16(data, at + 14), hardware) if within(facts, 16) else p.NOTHING


@part
def linux_cooked_2(data, facts, outermost):
    """LINKTYPE_LINUX_SLL2: 20 bytes, the protocol first, with the interface's index."""
    if not within(facts, 12):
        return p.NOTHING
    at = facts[AT]
    hardware = u16(data, at + 8)
    if hardware == _NETLINK:
        return p.NOTHING
    facts[IFINDEX] = u32(data, at + 4)
    facts[DIRECTION] = _direction(u8(data, at + 10))
    _cooked_address(data, facts, u8(data, at + 11), at + 12, outermost)
    return _cooked_payload(facts, 20, u16(data, at), hardware) if within(facts, 20) else p.NOTHING


@part
def _direction(kind):
    if kind == _HOST or kind == _BROADCAST or kind == _MULTICAST:
        return _IN
    return _OUT if kind == _OUTGOING else -1


@part
def _cooked_address(data, facts, length, at, outermost):
    if length == 6 and outermost and at + 6 <= facts[CAPTURED_END]:
        facts[SRC_MAC] = u48(data, at)


@part
def _cooked_payload(facts, header, kind, hardware):
    advance(facts, header)
    if kind <= _LINUX_TYPES:
        if hardware == _RADIOTAP:
            return p.RADIOTAP
        return p.look_up(p.SLL_KEYS, p.SLL_CODES, kind)
    if hardware == _IPGRE:
        return p.look_up(p.GRE_KEYS, p.GRE_CODES, kind)
    return p.ethertype(kind)


@part
def null(data, facts):
    """An address family in the byte order of the capturing host: BSD's, or an Ethernet type."""
    if not within(facts, 2):
        return p.NOTHING
    if u16(data, facts[AT]) == 0xFF03:
        return p.PPP_HDLC
    if not within(facts, 4):
        return p.NOTHING
    family = _family(u32(data, facts[AT]))
    advance(facts, 4)
    if family > IEEE_802_3_LARGEST:
        return p.ethertype(family & 0xFFFF)
    return p.look_up(p.NULL_KEYS, p.NULL_CODES, family)


@part
def _family(big_endian):
    """As a little-endian host reads it; a value too large for one is of the other byte order."""
    value = _swapped(big_endian)
    if value & 0xFFFF0000:
        if value & 0xFF000000 == 0 and value & 0x00FF0000 < 0x00060000:
            return value >> 16
        return big_endian
    if value & 0xFF == 0 and value & 0xFF00 < 0x0600:
        return ((value & 0xFF) << 8) | (value >> 8)
    return value


@part
def _swapped(value):
    return ((value & 0xFF) << 24) | ((value & 0xFF00) << 8) | ((value >> 8) & 0xFF00) | ((value >> 24) & 0xFF)


@part
def loop_null(data, facts):
    """LINKTYPE_LOOP: the family in network byte order."""
    if not within(facts, 4):
        return p.NOTHING
    family = u32(data, facts[AT])
    advance(facts, 4)
    return p.look_up(p.NULL_KEYS, p.NULL_CODES, family)


@part
def raw(data, facts):
    """LINKTYPE_RAW: IP of either version; what old Linux PPP drivers left before it is passed over."""
    at = facts[AT]
    if within(facts, 2) and u16(data, at) == 0xFF03:
        return p.PPP_HDLC
    if not within(facts, 8):
        return p.NOTHING
    for skipped in (6, 1):
        if u16(data, at + skipped) == 0xFF03:
            advance(facts, skipped)
            return p.PPP_HDLC
    if within(facts, 10) and u64_and_16(data, at) == 0:
        advance(facts, IP_RAW_PADDING)
        return p.IP
    version = u8(data, at) >> 4
    if version == 4:
        return p.IP
    return p.IPV6 if version == 6 else p.NOTHING


@part
def u64_and_16(data, at):
    """Zero where the next ten bytes are."""
    return u48(data, at) | u32(data, at + 6)
