"""IEEE 802.11 frames, as access points send them to their controllers: data frames hold LLC."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import AT
from k8scap.parser.decode.reading import advance, trim, u8, u16, within

_DATA = 2
_WITHOUT_DATA, _QOS = 4, 8
_TO_AND_FROM, _PROTECTED, _ORDER, _AGGREGATED = 0x03, 0x40, 0x80, 0x80


@part
def ieee_802_11(data, facts, swapped):
    """A data frame's header, not encrypted; `swapped`: its first two bytes are.

    Of several units in one frame the first counts.
    """
    if not within(facts, 2):
        return p.NOTHING
    first, flags = u8(data, facts[AT]), u8(data, facts[AT] + 1)
    if swapped:
        first, flags = flags, first
    kind, subtype = first >> 2 & 3, first >> 4
    if kind != _DATA or subtype & _WITHOUT_DATA or flags & _PROTECTED:
        return p.NOTHING
    length = 30 if flags & _TO_AND_FROM == _TO_AND_FROM else 24
    aggregated = False
    if subtype & _QOS:
        if not within(facts, length + 2):
            return p.NOTHING
        aggregated = u8(data, facts[AT] + length) & _AGGREGATED != 0
        length += 6 if flags & _ORDER else 2
    if not advance(facts, length):
        return p.NOTHING
    return _first_unit(data, facts) if aggregated else p.LLC


@part
def _first_unit(data, facts):
    """Two addresses and a length before each unit (IEEE 802.11, 9.3.2.2)."""
    if not within(facts, 14):
        return p.NOTHING
    length = u16(data, facts[AT] + 12)
    advance(facts, 14)
    trim(facts, length)
    return p.LLC
