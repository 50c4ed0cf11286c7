"""Which of a frame's headers count: read from `frame.protocols`, worked out once per distinct stack.

A frame may hold several IP or TCP headers: those of tunnels, and those that ICMP errors, sFlow samples
or OpenFlow messages quote. The walk starts at the outermost layer and goes on through tunnels only:
what any other protocol carries inside is quoted, and never fills a column.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_NETWORK = frozenset({"ip", "ipv6"})
TAGS = frozenset({"vlan", "ieee8021ad"})
LINK = TAGS | {
    "cfp", "chdlc", "cmd", "eth", "ethertype", "fr", "ieee8021ah", "juniper", "llc", "macsec", "mpls",
    "nflog", "nsh", "null", "ppi", "ppp", "pppoes", "prism", "pwethheuristic", "radiotap", "raw", "sll",
    "wlan", "wlan_radio",
}  # fmt: skip
CARRIED = LINK | {"arp"}
TUNNELS = frozenset(
    {
        "ayiya", "capwap.data", "erspan", "etherip", "geneve", "gre", "gtp", "gtpprime", "l2tp", "lisp-data",
        "lwapp", "mpls", "nsh", "pim", "stt", "teredo", "vxlan", "vxlan_gpe", "vxlan-gpe",
    }
)  # fmt: skip
_BARE = {("ip", "ip"): "ipip", ("ip", "ipv6"): "6in4", ("ipv6", "ip"): "4in6", ("ipv6", "ipv6"): "6in6"}
_UNKNOWN = frozenset({"data", "_ws.malformed", "_ws.short", "_ws.unreassembled"})
_SILENT = _UNKNOWN | {"ethertype", "user_dlt", "wlan_radio"}
_NAMES = {
    "ah": "AH", "icmpv6": "ICMPv6", "udplite": "UDPLite", "ip": "IPv4", "ipv6": "IPv6", "eth": "Ethernet",
    "wlan": "802.11", "sll": "Linux cooked",
}  # fmt: skip


@dataclass
class Packet:
    """One packet of the frame: the frame itself, or what a tunnel carries.

    `found` maps the layers that count to which of the frame's layers of that name they are; `named` says
    that `protocol` is more than a link layer's.
    """

    protocol: str = ""
    named: bool = False
    network: str = ""
    transport: str = ""
    found: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, nth: int) -> None:
        self.found.setdefault(name, nth)


@dataclass
class Stack:
    """What counts in the frames of one stack of layers.

    `outer` is the frame's own packet, `inner` the innermost: the same one where there is no tunnel.
    `tunnels` are (name, which of the layers of that name) from the outside in. `repeated` are the layers
    that the frame has more than one of, quoted ones included.
    """

    outer: Packet
    inner: Packet
    tunnels: tuple[tuple[str, int], ...]
    repeated: frozenset[str]


def read_stack(protocols: str) -> Stack:
    """`eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:tcp` → what counts in it."""
    names = protocols.split(":") if protocols else []
    walk = _Walk()
    for name, nth in _numbered(names):
        if not walk.enter(name, nth):
            break
    repeated = frozenset(name for name, count in Counter(names).items() if count > 1)
    return Stack(walk.packets[0], walk.packets[-1], tuple(walk.tunnels), repeated)


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        counted = "udp" if name == "udplite" else name  # its fields are UDP's
        numbered.append((name, seen[counted]))
        seen[counted] += 1
    return numbered


class _Walk:
    """From the outside in: `open` are tunnel headers that have not shown yet whether a packet follows."""

    def __init__(self) -> None:
        self.packets = [Packet()]
        self.tunnels: list[tuple[str, int]] = []
        self.open: list[tuple[str, int]] = []

    def enter(self, name: str, nth: int) -> bool:
        """Take one layer; False where what follows does not count."""
        packet = self.packets[-1]
        if name in _NETWORK:
            return self._enter_network(name, nth)
        if name in TUNNELS and packet.network and packet.transport in ("", "udp", "gre"):
            self._open_tunnel(name, nth)
            return True
        if name == "eth" and packet.network and not packet.transport:
            self.open = [("ethernet", nth)]
        if self.open:
            return self._enter_carried(name, nth)
        if not packet.network:
            return self._enter_link(name, nth)
        if name.startswith("ipv6.") or name == "ah":
            packet.note(name, nth)
            return True
        return self._enter_transport(name, nth)

    def _enter_network(self, name: str, nth: int) -> bool:
        packet = self.packets[-1]
        if packet.network and not self.open:
            if packet.transport:
                return False
            self.open = [(_BARE[packet.network, name], 0)]
        packet = self._inside()
        packet.network = name
        packet.protocol = _NAMES[name]
        packet.note(name, nth)
        return True

    def _open_tunnel(self, name: str, nth: int) -> None:
        packet = self.packets[-1]
        if not packet.transport:
            packet.transport = name
            packet.protocol = name.upper()
        self.open.append((name, nth))

    def _enter_carried(self, name: str, nth: int) -> bool:
        if name not in CARRIED:
            return False
        self._inside()
        return self._enter_link(name, nth)

    def _inside(self) -> Packet:
        """The packet that a network or link header belongs to: a new one where a tunnel is open."""
        if self.open:
            self.tunnels += self.open
            self.open = []
            self.packets.append(Packet())
        return self.packets[-1]

    def _enter_link(self, name: str, nth: int) -> bool:
        packet = self.packets[-1]
        packet.note(name, nth)
        if name not in _SILENT and not packet.named:
            packet.protocol = display(name)
            packet.named = name not in LINK
        return True

    def _enter_transport(self, name: str, nth: int) -> bool:
        packet = self.packets[-1]
        if packet.transport or name in _UNKNOWN:
            return False
        packet.transport = "udp" if name == "udplite" else name
        packet.protocol = display(name)
        packet.note(packet.transport, nth)
        return packet.transport == "udp"


def display(name: str) -> str:
    """The packets table's name of a protocol: `tcp` → `TCP`."""
    return _NAMES.get(name, name.upper())
