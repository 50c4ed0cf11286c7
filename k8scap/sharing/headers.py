"""How far a frame's headers reach: what lies behind them is what applications said.

Only what is understood is kept: a frame is cut where the first unknown thing begins. RFC 791, 8200 (IP),
9293 (TCP), 768 (UDP), 792, 4443 (ICMP), 4861 (neighbours), 2784, 2890 (GRE), 7348 (VXLAN), 8926 (Geneve).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import ip_address

_VLANS = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6, _ARP, _MPLS, _BRIDGING = 0x0800, 0x86DD, 0x0806, 0x8847, 0x6558
_INNER = (_IPV4, _IPV6, _BRIDGING)
_RAW = (12, 14, 101, 228, 229)
_NULL = (0, 108)
_ERRORS = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}
_EXTENSIONS = (0, 43, 60)
_NEIGHBOURS = {134: 16, 135: 24, 136: 24, 137: 40}
_VXLAN, _GENEVE, _DNS = (4789, 8472), 6081, 53
_DEEPEST = 4


@dataclass
class Headers:
    """Where they end, and the (address, port) pair of the packet that an ICMP error quotes, where it does."""

    end: int
    quoted: frozenset[tuple[str, int]] | None = None


class HeaderWalk:
    """Walks a frame from its link layer up. With `dns`, DNS messages count as headers as a whole."""

    def __init__(self, *, dns: bool = False) -> None:
        self._dns = dns

    def keep(self, frame: memoryview, link_type: int) -> int:
        """How many of a frame's captured bytes are headers."""
        return self.headers(frame, link_type).end

    def headers(self, frame: memoryview, link_type: int) -> Headers:
        """Never behind the frame's end, however much it claims; a header that is cut off is left out."""
        found = Headers(0)
        with contextlib.suppress(IndexError):
            self._link(frame, link_type, found)
        found.end = min(found.end, len(frame))
        return found

    def _link(self, frame: memoryview, link_type: int, found: Headers) -> None:
        if link_type == 1:
            self._ethernet(frame, 0, found, 0)
        elif link_type == 113:
            self._network(frame, 16, _u16(frame, 14), found, 0)
        elif link_type == 276:
            self._network(frame, 20, _u16(frame, 0), found, 0)
        elif link_type in _RAW:
            self._by_version(frame, 0, found, 0)
        elif link_type in _NULL:
            self._by_version(frame, 4, found, 0)

    def _ethernet(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        kind, at = _u16(frame, at + 12), at + 14
        while kind in _VLANS:
            kind, at = _u16(frame, at + 2), at + 4
        self._network(frame, at, kind, found, depth)

    def _network(self, frame: memoryview, at: int, kind: int, found: Headers, depth: int) -> None:
        found.end = at
        if depth > _DEEPEST:
            return
        if kind == _IPV4:
            self._ipv4(frame, at, found, depth)
        elif kind == _IPV6:
            self._ipv6(frame, at, found, depth)
        elif kind == _BRIDGING:
            self._ethernet(frame, at, found, depth + 1)
        elif kind == _ARP:
            found.end = at + 28
        elif kind == _MPLS:
            while not frame[at + 2] & 1:
                at += 4
            self._by_version(frame, at + 4, found, depth)

    def _by_version(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        found.end = at
        kind = {4: _IPV4, 6: _IPV6}.get(frame[at] >> 4, 0)
        self._network(frame, at, kind, found, depth)

    def _ipv4(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        size = 4 * (frame[at] & 15)
        if frame[at] >> 4 != 4 or size < 20:
            return
        found.end = at + size
        if not _u16(frame, at + 6) & 0x1FFF:
            self._transport(frame, at + size, frame[at + 9], found, depth)

    def _ipv6(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        if frame[at] >> 4 != 6:
            return
        following, at = frame[at + 6], at + 40
        found.end = at
        while following in _EXTENSIONS or following == 44:
            if following == 44 and _u16(frame, at + 2) & 0xFFF8:
                found.end = at + 8
                return
            size = 8 if following == 44 else 8 * (frame[at + 1] + 1)
            following, at = frame[at], at + size
            found.end = at
        self._transport(frame, at, following, found, depth)

    def _transport(self, frame: memoryview, at: int, protocol: int, found: Headers, depth: int) -> None:
        found.end = at
        if protocol == 6:
            found.end = at + max(20, 4 * (frame[at + 12] >> 4))
            if self._dns and _DNS in (_u16(frame, at), _u16(frame, at + 2)):
                found.end = len(frame)
        elif protocol == 17:
            self._udp(frame, at, found, depth)
        elif protocol in _ERRORS:
            self._icmp(frame, at, protocol, found)
        elif protocol == 132:
            found.end = at + 12
        elif protocol == 47:
            self._gre(frame, at, found, depth)
        elif protocol in (4, 41):
            self._network(frame, at, _IPV4 if protocol == 4 else _IPV6, found, depth + 1)

    def _udp(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        ports, at = (_u16(frame, at), _u16(frame, at + 2)), at + 8
        found.end = at
        if ports[1] in _VXLAN and bytes(frame[at : at + 4]) == b"\x08\0\0\0" and not frame[at + 7]:
            self._ethernet(frame, at + 8, found, depth + 1)
        elif ports[1] == _GENEVE and frame[at] >> 6 == 0 and _u16(frame, at + 2) in _INNER:
            inner = at + 8 + 4 * (frame[at] & 63)
            self._network(frame, inner, _u16(frame, at + 2), found, depth)
        elif _DNS in ports:
            found.end = len(frame) if self._dns else at + (12 if _is_dns_header(frame, at) else 0)

    def _gre(self, frame: memoryview, at: int, found: Headers, depth: int) -> None:
        flags = frame[at]
        if flags & 0x40 or frame[at + 1] & 7:  # source routes, or PPTP
            found.end = at + 4
            return
        size = 4 + 4 * sum(bool(flags & bit) for bit in (0x80, 0x20, 0x10))
        self._network(frame, at + size, _u16(frame, at + 2), found, depth + 1)

    def _icmp(self, frame: memoryview, at: int, protocol: int, found: Headers) -> None:
        kind = frame[at]
        found.end = at + (_NEIGHBOURS.get(kind, 8) if protocol == 58 else 8)
        if kind in _ERRORS[protocol]:
            self._quote(frame, at + 8, found)

    def _quote(self, frame: memoryview, at: int, found: Headers) -> None:
        """The quoted IP header and the eight bytes behind it: ports, and TCP's sequence number."""
        version, first = frame[at] >> 4, frame[at]
        size, addresses = (4 * (first & 15), at + 12) if version == 4 else (40, at + 8)
        width = {4: 4, 6: 16}.get(version)
        if width is None or size < 20:
            return
        inner = at + size
        protocol = frame[at + 9] if version == 4 else frame[at + 6]
        found.end = inner + (8 if protocol in (6, 17, 132, 1, 58) else 0)
        ends = [
            str(ip_address(bytes(frame[addresses + i * width : addresses + (i + 1) * width]))) for i in (0, 1)
        ]
        ports = [_u16(frame, inner), _u16(frame, inner + 2)]
        found.quoted = frozenset(zip(ends, ports, strict=True))


def _u16(frame: memoryview, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def _is_dns_header(frame: memoryview, at: int) -> bool:
    """Identification, flags and counts tell no name; no text could pass for them."""
    if len(frame) < at + 12:
        return False
    questions, answers = _u16(frame, at + 4), _u16(frame, at + 6)
    authorities, additional = _u16(frame, at + 8), _u16(frame, at + 10)
    return questions <= 1 and not frame[at + 3] & 0x40 and max(answers, authorities, additional) < 256
