"""Protocols by code: their names, what kind of layer each is, and which of them this decoder reads.

Which of a frame's headers count is decided as `parser.layers` decides it for the other engine.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode import numbers
from k8scap.parser.layers import CARRIED, LINK, TUNNELS, display

_READ = (
    "", "eth", "sll", "sll2", "null", "loop_null", "raw", "ppp_hdlc", "ppp", "chdlc", "llc",
    "vlan", "ieee8021ad", "ieee8021ah", "mpls", "pppoes", "cmd", "isl", "pwethheuristic", "ip", "ipv6",
    "ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts", "ah", "tcp", "udp", "udplite", "icmp",
    "icmpv6", "sctp",
    "gre", "erspan", "vxlan", "vxlan_gpe", "geneve", "gtp", "gtpprime", "teredo", "ayiya", "capwap.data",
    "lwapp", "pim", "nsh", "etherip", "lisp-data", "l2tp", "arp", "pwethcw", "pwethnocw", "pwach", "cfp",
    "avsp", "vntag", "etag", "macsec", "wlan", "wlan_bsfc",
)  # fmt: skip
"""Those whose header is read; the first ones, so that their codes are the constants below."""

(
    NOTHING, ETH, SLL, SLL2, NULL, LOOP_NULL, RAW, PPP_HDLC, PPP, CHDLC, LLC,
    VLAN, IEEE8021AD, IEEE8021AH, MPLS, PPPOES, CMD, ISL, PW_ETH_HEURISTIC, IP, IPV6, IPV6_HOPOPTS,
    IPV6_ROUTING, IPV6_FRAGMENT, IPV6_DSTOPTS, AH, TCP, UDP, UDPLITE, ICMP, ICMPV6, SCTP,
    GRE, ERSPAN, VXLAN, VXLAN_GPE, GENEVE, GTP, GTP_PRIME, TEREDO, AYIYA, CAPWAP_DATA, LWAPP, PIM,
    NSH, ETHERIP, LISP_DATA, L2TP, ARP, PW_ETH_CW, PW_ETH, PW_ACH, CFP, AVSP, VNTAG, ETAG, MACSEC,
    WLAN, WLAN_SWAPPED,
) = range(len(_READ))  # fmt: skip

_ALIASES = {"sll2": "sll", "loop_null": "null", "ppp_hdlc": "ppp", "wlan_bsfc": "wlan", "tte_pcf": "tte"}
"""Layers that Wireshark calls by one name."""
_NUMBERED = (
    numbers.ETHERTYPES, numbers.IP_PROTOCOLS, numbers.LLC_DSAPS, numbers.CISCO_PIDS, numbers.NORTEL_PIDS,
    numbers.IANA_PIDS, numbers.EXTREME_PIDS, numbers.FOUNDRY_PIDS, numbers.HPTEAM_PIDS, numbers.FORCE10_PIDS,
    numbers.WLCCP_PIDS, numbers.APPLE_PIDS, numbers.PPP_PROTOCOLS, numbers.GRE_PROTOCOLS, numbers.NULL_TYPES,
    numbers.SLL_TYPES, numbers.UDP_PORTS, numbers.CISCO_HDLC, numbers.CHANNEL_TYPES,
)  # fmt: skip
_EXTRA = ("ccsds", "slarp", "cdp", "fw1", "netlink", "tr", "fddi", "mip", "radiotap", "socks")

FILTER_NAMES: tuple[str, ...] = tuple(
    dict.fromkeys([*_READ, *_EXTRA, *(name for table in _NUMBERED for name in table.values())])
)
NAMES: tuple[str, ...] = tuple(display(_ALIASES.get(name, name)) for name in FILTER_NAMES)
"""As the packets table has them."""
_CODES = {name: code for code, name in enumerate(FILTER_NAMES)}


IPX, STP, NETLINK, RADIOTAP, TOKEN_RING, FDDI, PGM, SNMP = (
    _CODES[name] for name in ("ipx", "stp", "netlink", "radiotap", "tr", "fddi", "pgm", "snmp")
)
SIP, TFTP, HART_IP, MGCP, MEGACO, SAP, SOCKS = ANNOUNCING = tuple(
    _CODES[name] for name in ("sip", "tftp", "hart_ip", "mgcp", "megaco", "sap", "socks")
)
"""Protocols whose payloads speak of conversations to come."""


def _of(names: frozenset[str]) -> np.ndarray:
    return np.array([_ALIASES.get(name, name) in names for name in FILTER_NAMES])


IS_LINK = _of(LINK)
IS_CARRIED = _of(CARRIED)
IS_TUNNEL = _of(TUNNELS)
IS_EXTENSION = np.array([name.startswith("ipv6.") or name == "ah" for name in FILTER_NAMES])

BARE = {("ip", "ip"): "ipip", ("ip", "ipv6"): "6in4", ("ipv6", "ip"): "4in6", ("ipv6", "ipv6"): "6in6"}
TUNNEL_KINDS: tuple[str, ...] = (*FILTER_NAMES, "ipip", "6in4", "4in6", "6in6", "ethernet")
"""A tunnel's kind: its protocol's code, or one of those that have no header of their own."""
IPIP, SIX_IN_FOUR, FOUR_IN_SIX, SIX_IN_SIX, ETHERNET = range(len(FILTER_NAMES), len(TUNNEL_KINDS))


_PARTICULAR = frozenset({"wreth"})
"""Dissectors that take few of the frames that bear their number."""


def _sorted(table: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    keys = sorted(table)
    return np.array(keys, np.int64), np.array([_CODES[table[key]] for key in keys], np.int64)


ETHERTYPE_KEYS, ETHERTYPE_CODES = _sorted(
    {number: name for number, name in numbers.ETHERTYPES.items() if name not in _PARTICULAR} | {0x8903: "cfp"}
)
IP_KEYS, IP_CODES = _sorted(numbers.IP_PROTOCOLS)
DSAP_KEYS, DSAP_CODES = _sorted(numbers.LLC_DSAPS)
PPP_KEYS, PPP_CODES = _sorted({**numbers.PPP_PROTOCOLS})
GRE_KEYS, GRE_CODES = _sorted(
    {number: name for number, name in numbers.GRE_PROTOCOLS.items() if name != "ppp_hdlc"}  # in HDLC frames
    | {0x880B: "ppp_hdlc"}  # with or without address
)
NULL_KEYS, NULL_CODES = _sorted(numbers.NULL_TYPES)
CHDLC_KEYS, CHDLC_CODES = _sorted(numbers.CISCO_HDLC)
CHANNEL_KEYS, CHANNEL_CODES = _sorted(numbers.CHANNEL_TYPES)
SLL_KEYS, SLL_CODES = _sorted(numbers.SLL_TYPES)
UDP_KEYS, UDP_CODES = _sorted(numbers.UDP_PORTS)
_OUIS = {
    0x00000C: numbers.CISCO_PIDS, 0x000081: numbers.NORTEL_PIDS, 0x00005E: numbers.IANA_PIDS,
    0x00E02B: numbers.EXTREME_PIDS, 0x00E052: numbers.FOUNDRY_PIDS, 0x0001E8: numbers.FORCE10_PIDS,
    0x004096: numbers.WLCCP_PIDS, 0x080007: numbers.APPLE_PIDS, 0x00805F: numbers.HPTEAM_PIDS,
}  # fmt: skip
SNAP_KEYS, SNAP_CODES = _sorted(
    {(oui << 16) + pid: name for oui, table in _OUIS.items() for pid, name in table.items()}
)


@part
def look_up(keys, codes, wanted):
    """The code of a number, `NOTHING` where the table lacks it."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    if low < len(keys) and keys[low] == wanted:
        return codes[low]
    return NOTHING


@part
def ethertype(number):
    """What an Ethernet type announces; the common ones without a search."""
    if number == 0x0800:
        return IP
    if number == 0x86DD:
        return IPV6
    return look_up(ETHERTYPE_KEYS, ETHERTYPE_CODES, number)


@part
def ip_protocol(number):
    """What an IP protocol number announces."""
    if number == 6:
        return TCP
    if number == 17:
        return UDP
    return look_up(IP_KEYS, IP_CODES, number)
