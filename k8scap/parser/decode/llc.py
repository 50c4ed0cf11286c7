"""IEEE 802.2 LLC and SNAP."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import AT, REPORTED_END
from k8scap.parser.decode.reading import advance, u8, u16, u24, within

_SNAP = 0xAA
_ENCAPSULATED_ETHERNET, _CISCO_90, _IEEE_802_1 = 0x000000, 0x0000F8, 0x0080C2
_CABLE_BPDU, _HP_2 = 0x00E02F, 0x00805F


@part
def llc(data, facts):
    if not within(facts, 3):
        return p.NOTHING
    at = facts[AT]
    dsap, ssap, control = u8(data, at), u8(data, at + 1), u8(data, at + 2)
    unnumbered = control & 3 == 3
    if not unnumbered and not within(facts, 4):
        return p.NOTHING
    informs = control & 1 == 0 or control & 0xEF == 0x03
    advance(facts, 3 if unnumbered else 4)
    if dsap == _SNAP and ssap == _SNAP:
        return _snap(data, facts, informs)
    if facts[REPORTED_END] <= facts[AT]:
        return p.NOTHING
    if informs:
        return p.look_up(p.DSAP_KEYS, p.DSAP_CODES, dsap)
    return p.NOTHING


@part
def _snap(data, facts, informs):
    if not within(facts, 5):
        return p.NOTHING
    organisation, number = u24(data, facts[AT]), u16(data, facts[AT] + 3)
    key = (organisation << 16) + number
    advance(facts, 5)
    if organisation == _IEEE_802_1:
        return _bridged(facts, number)
    if organisation == _CABLE_BPDU:
        return p.STP
    if organisation == _HP_2 or informs:
        if organisation == _ENCAPSULATED_ETHERNET or organisation == _CISCO_90:
            return p.ethertype(number)
        return p.look_up(p.SNAP_KEYS, p.SNAP_CODES, key)
    return p.NOTHING


@part
def _bridged(facts, number):
    """RFC 2684: whole frames of other networks, after padding."""
    if number == 1 or number == 7:
        return p.ETH if advance(facts, 2) else p.NOTHING
    if number == 3 or number == 9:
        return p.TOKEN_RING
    if number == 4 or number == 10:
        return p.FDDI
    return p.STP if number == 14 else p.NOTHING
