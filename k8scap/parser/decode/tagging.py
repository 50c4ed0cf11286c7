"""What stands between Ethernet and the network layer.

Tags (IEEE 802.1Q, 802.1ad, 802.1ah, 802.1AE, Cisco's own), labels (RFC 3032, 4448), lengths (IEEE 802.3).
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import AT, CAPTURED_END, DEPTH, REPORTED_END, TAGGED, VLAN
from k8scap.parser.decode.reading import advance, trim, u8, u16, u32, within

IEEE_802_3_LARGEST = 1500
_MOST_TAGS = 20
_OTHER_VERSION, _LONG_TAG, _ENCRYPTED, _CHECK_VALUE = 0x80, 0x20, 0x0C, 16
_GENERIC_CHANNEL, _OAM_ALERT = 13, 14
_LOCAL, _DENSE_VENDORS = 0x02, 0x0026


@part
def inter_switch_link(data, facts):
    """Cisco's tagging before 802.1Q: 26 bytes before a whole frame, where its type says Ethernet."""
    if u8(data, facts[AT] + 5) >> 4 != 0:
        return p.NOTHING
    return p.ETH if advance(facts, 26) else p.NOTHING


@part
def fabric_path(facts):
    """Cisco's MAC-in-MAC: type and tag behind the outer addresses, then a frame with its check sequence."""
    facts[REPORTED_END] -= 4
    facts[CAPTURED_END] = min(facts[CAPTURED_END], facts[REPORTED_END])
    return p.ETH if advance(facts, 4) else p.NOTHING


@part
def arista_timestamp(data, facts):
    """A timestamp of 6 or 8 bytes between the addresses and the Ethernet type."""
    if not within(facts, 4):
        return p.NOTHING
    subtype, version = u16(data, facts[AT]), u16(data, facts[AT] + 2)
    length = 2
    if subtype == 1:
        if version == 0x10 or version == 0x110:
            length = 12
        elif version == 0x20 or version == 0x120:
            length = 10
        else:
            return p.NOTHING
    return typed(data, facts, length)


@part
def typed(data, facts, length):
    """Pass over `length` bytes and the Ethernet type behind them."""
    if not within(facts, length + 2):
        return p.NOTHING
    kind = u16(data, facts[AT] + length)
    advance(facts, length + 2)
    return p.ethertype(kind)


@part
def macsec(data, facts):
    """IEEE 802.1AE: what is not encrypted can be read."""
    if not within(facts, 6):
        return p.NOTHING
    control = u8(data, facts[AT])
    if control & _ENCRYPTED:
        return p.NOTHING
    return typed(data, facts, 14 if control & _LONG_TAG else 6)


@part
def is_macsec(data, facts):
    """Of the only version, with something between tag and check value."""
    if not within(facts, 1):
        return False
    control = u8(data, facts[AT])
    tag = 14 if control & _LONG_TAG else 6
    captured = min(facts[CAPTURED_END], facts[REPORTED_END]) - facts[AT]
    return not control & _OTHER_VERSION and captured > tag + _CHECK_VALUE


@part
def ieee_802_3(data, facts, length):
    """A length, then LLC; 0xFFFF is Novell's IPX without it."""
    trim(facts, length)
    if within(facts, 2) and u16(data, facts[AT]) == 0xFFFF:
        return p.IPX
    return p.LLC


@part
def vlan(data, facts, of_provider, outermost):
    """A tag: its number counts where it is the frame's first, of the frame's own Ethernet header.

    Behind a provider's, a length is none: nothing is read.
    """
    if outermost and not facts[TAGGED]:
        facts[TAGGED] = 1
        if within(facts, 2):
            facts[VLAN] = u16(data, facts[AT]) & 0xFFF
    facts[DEPTH] += 1
    if facts[DEPTH] > _MOST_TAGS or not within(facts, 4):
        return p.NOTHING
    kind = u16(data, facts[AT] + 2)
    advance(facts, 4)
    if kind <= IEEE_802_3_LARGEST and not of_provider:
        return ieee_802_3(data, facts, kind)
    return p.ethertype(kind)


@part
def pbb(data, facts):
    """IEEE 802.1ah: a service tag of 4 bytes, the customer's addresses, and an Ethernet type."""
    return typed(data, facts, 16)


@part
def cisco_metadata(data, facts, outermost):
    """Version, length, options, tag, and an Ethernet type: behind them, in GRE before them."""
    if outermost:
        return typed(data, facts, 6)
    if not within(facts, 8):
        return p.NOTHING
    kind = u16(data, facts[AT])
    advance(facts, 8)
    return p.ethertype(kind)


@part
def mpls(data, facts):
    """The label stack; what follows is told by its first four bits (RFC 4928)."""
    while facts[REPORTED_END] > facts[AT]:
        if not within(facts, 4):
            return p.NOTHING
        entry = u32(data, facts[AT])
        advance(facts, 4)
        if entry & 0x100:
            label = entry >> 12
            if label == _OAM_ALERT or not within(facts, 1):
                return p.NOTHING
            if label == _GENERIC_CHANNEL:
                return p.PW_ACH
            break
    if not within(facts, 1):
        return p.NOTHING
    first = u8(data, facts[AT]) >> 4
    if first == 1:
        return p.PW_ACH
    if first == 4:
        return p.IP
    if first == 6:
        return p.IPV6
    return p.PW_ETH_HEURISTIC if first == 0 else p.NOTHING


@part
def associated_channel(data, facts):
    """RFC 4385, 5: a word that tells what runs beside the traffic, such as BFD."""
    if not within(facts, 4) or u8(data, facts[AT]) >> 4 != 1:
        return p.NOTHING
    kind = u16(data, facts[AT] + 2)
    advance(facts, 4)
    return p.look_up(p.CHANNEL_KEYS, p.CHANNEL_CODES, kind)


@part
def pseudowire_ethernet(data, facts):
    """Ethernet in MPLS, with a control word or without: whichever gives known vendors' addresses.

    Wireshark asks its list of manufacturers. We take 00:00:00 to 00:26:FF for known, where nearly all numbers
    are given away, and otherwise what is no local address, unless it begins with a control word of zeros.
    """
    if not within(facts, 14):
        return p.PW_ETH_CW if within(facts, 4) else p.NOTHING
    at = facts[AT]
    if u32(data, at) == 0:
        known = u16(data, at + 6) <= _DENSE_VENDORS
    else:
        known = not (u8(data, at) | u8(data, at + 6)) & _LOCAL
    return p.PW_ETH if known else p.PW_ETH_CW


@part
def control_word(facts):
    if not within(facts, 4):
        return p.NOTHING
    advance(facts, 4)
    return p.ETH
