"""IEEE 802.11 frames, as access points send them to their controllers: data frames hold LLC."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import AT
from k8scap.parser.decode.reading import advance, u8, within

_DATA = 2
_WITHOUT_DATA, _QOS = 4, 8
_TO_AND_FROM, _PROTECTED, _ORDER, _AGGREGATED = 0x03, 0x40, 0x80, 0x80


@part
def ieee_802_11(data, facts, swapped):
    """A data frame's header, neither encrypted nor aggregated; `swapped`: its first two bytes are."""
    if not within(facts, 2):
        return p.NOTHING
    first, flags = u8(data, facts[AT]), u8(data, facts[AT] + 1)
    if swapped:
        first, flags = flags, first
    kind, subtype = first >> 2 & 3, first >> 4
    if kind != _DATA or subtype & _WITHOUT_DATA or flags & _PROTECTED:
        return p.NOTHING
    length = 30 if flags & _TO_AND_FROM == _TO_AND_FROM else 24
    if subtype & _QOS:
        if not within(facts, length + 2) or u8(data, facts[AT] + length) & _AGGREGATED:
            return p.NOTHING
        length += 6 if flags & _ORDER else 2
    return p.LLC if advance(facts, length) else p.NOTHING
