"""Which rows may stand for frames with headers that the table does not hold.

The table has a frame's innermost packet. Wireshark finds fields in every header: in those of tunnels around
it, in what an ICMP error quotes, in what a protocol above carries. For such rows tshark must be asked. It is
said of each row that nothing is hidden in it, not that something is: what is not known here counts as unsure.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.where.carriers import TCP_CARRIERS, UDP_CARRIERS, UDP_TOGETHER

if TYPE_CHECKING:
    from k8scap.parser.where.rows import Rows

COLUMNS = (
    "protocol", "tunnel", "src", "src_port", "dst_port", "icmp_type", "icmp_code", "length",
    "captured_length", "src_mac", "dst_mac",
)  # fmt: skip
TAG_COLUMNS = ("vlan",)

_PLAIN = frozenset({"IGMP", "STP", "LLDP", "EAPOL", "VRRP", "OSPF", "CDP", "PTP", "ESP"})
"""Protocols that carry nothing, or nothing that can be read."""
_BARE_NETWORK = ("IPv4", "IPv6")
"""What follows is unknown, cut off or a later fragment: bytes to Wireshark too."""
_ICMP_PLAIN = (0, 8, 9, 10, 13, 14, 15, 16, 17, 18)
_ICMPV6_PLAIN = (128, 129, 130, 131, 132, 143)
_LONGER_QUOTES = {133: 64, 135: 80, 136: 80}
"""Neighbour discovery's messages may hold the option that quotes a packet (RFC 4861, 4.6.3): none does that
is shorter than IPv6's header, its own fixed part and an option of 16 bytes."""
_ETHERNET, _COOKED = 14, 16
_STATELESS = frozenset({"vxlan", "geneve", "gre", "ipip", "6in4", "4in6", "6in6", "ethernet"})
"""Tunnels that need nothing from frames before to be told."""


class Unseen:
    """The unsure rows of a table, by the layer that a field belongs to; None where there are none."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def of(self, layer: str) -> np.ndarray | None:
        """`header`: any header's fields. `tag`: VLAN tags, of which the table has the outermost only.

        `analysis`: TCP's verdicts, never passed on quoted headers. `frame`: never unsure.
        """
        if layer == "frame":
            return None
        if layer == "tag":
            return self._tags
        return self._analysis if layer == "analysis" else self._headers

    @property
    def entangled(self) -> np.ndarray:
        """Rows that tshark needs those before them for: reassembled, or of a tunnel set up earlier."""
        names = (
            {part.partition(":")[0] for part in word.split("/")} <= _STATELESS
            for word in self._rows.words("tunnel")
        )
        odd = self._rows.spread("tunnel", [not stateless for stateless in names])
        odd |= self._rows.is_protocol("SCTP")
        odd |= self._carried("TCP", TCP_CARRIERS) | self._carried("UDP", UDP_TOGETHER)
        return odd

    @cached_property
    def _headers(self) -> np.ndarray | None:
        unsure = self._beyond_errors | self._errors
        return unsure if unsure.any() else None

    @cached_property
    def _analysis(self) -> np.ndarray | None:
        return self._beyond_errors if self._beyond_errors.any() else None

    @cached_property
    def _tags(self) -> np.ndarray | None:
        _, tagged = self._rows.numbers("vlan")
        unsure = tagged if self._headers is None else tagged | self._headers
        return unsure if unsure.any() else None

    @cached_property
    def _beyond_errors(self) -> np.ndarray:
        """All that may hide headers, but ICMP's and ICMPv6's messages."""
        rows = self._rows
        known = rows.is_protocol(*_BARE_NETWORK)
        for owner in ("TCP", "UDP", "ICMP", "ICMPv6"):
            known |= rows.owned(owner)
        known &= rows.present("src")
        known &= ~(self._carried("TCP", TCP_CARRIERS) | self._carried("UDP", UDP_CARRIERS))
        known |= rows.is_protocol(*_PLAIN) | rows.owned("ARP")
        unsure: np.ndarray = ~known | rows.present("tunnel")
        return unsure

    def _carried(self, protocol: str, carriers: frozenset[int]) -> np.ndarray:
        ports = np.zeros(1 << 16, bool)
        ports[list(carriers)] = True
        source, destination = (self._rows.numbers(name)[0] for name in ("src_port", "dst_port"))
        carried: np.ndarray = self._rows.is_protocol(protocol) & (ports[source] | ports[destination])
        return carried

    @cached_property
    def _errors(self) -> np.ndarray:
        """ICMP's and ICMPv6's messages that may quote a packet."""
        old, new = self._rows.is_protocol("ICMP"), self._rows.is_protocol("ICMPv6")
        if not (old.any() or new.any()):
            return old
        types, there = self._rows.numbers("icmp_type")
        plain = (old & np.isin(types, _ICMP_PLAIN)) | (new & np.isin(types, _ICMPV6_PLAIN))
        if new.any():
            plain |= new & self._short(types)
        unsure: np.ndarray = (old | new) & ~(plain & there)
        return unsure

    def _short(self, types: np.ndarray) -> np.ndarray:
        """Neighbour discovery's messages that are too short to quote anything."""
        rows = self._rows
        cooked = np.where(rows.codes("src_mac") >= 0, _COOKED, 0)
        link = np.where(rows.codes("dst_mac") >= 0, _ETHERNET, cooked)
        packet = rows.numbers("length")[0] - link
        short = np.zeros(len(rows), bool)
        for kind, length in _LONGER_QUOTES.items():
            short |= (types == kind) & (packet < length)
        return short
