"""Packets, and what is true of each by construction."""

from __future__ import annotations

from typing import Any

from addresses import A6, B6, C6, D6, MAC_A, MAC_B, A, B, C, D
from scapy.all import (
    ARP,
    GRE,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Ether,
    ICMPerror,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPerror,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    Packet,
    PadN,
    Raw,
    SCTPChunkInit,
)  # fmt: skip
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.vxlan import VXLAN

TUNNEL = {"outer_src": A, "outer_dst": B, "src": C, "dst": D}
TUNNEL6 = {"outer_src": A6, "outer_dst": B6, "src": C6, "dst": D6}


def tunnels() -> list[tuple[Packet, dict[str, Any]]]:
    outer, inner = IP(src=A, dst=B, ttl=200, id=1), IP(src=C, dst=D, ttl=60, id=7)
    outer6, inner6 = IPv6(src=A6, dst=B6, hlim=200), IPv6(src=C6, dst=D6, hlim=60)
    frame, carried = Ether(src=MAC_A, dst=MAC_B), Ether(src="02:00:00:00:00:aa", dst="02:00:00:00:00:bb")
    tcp, udp = TCP(sport=1234, dport=80, flags="S", seq=9), UDP(sport=1234, dport=9999) / Raw(b"abc")
    as_tcp = {"protocol": "TCP", "src_port": 1234, "dst_port": 80, "ttl": 60, "ip_id": 7, "payload_length": 0}
    as_udp = {"protocol": "UDP", "src_port": 1234, "dst_port": 9999, "payload_length": 3, "ttl": 60}
    vxlan, geneve = UDP(sport=5, dport=4789) / VXLAN(vni=42), UDP(sport=5, dport=6081) / GENEVE(vni=7)
    arp = ARP(hwsrc=MAC_A, psrc=C, hwdst=MAC_B, pdst=D)
    none = {"src": None, "dst": None, "src_port": None, "ttl": None, "stream": None}
    macs = {"src_mac": MAC_A, "dst_mac": MAC_B}
    return [
        (frame / outer / vxlan / carried / inner / tcp, TUNNEL | as_tcp | macs | {"tunnel": "vxlan:42"}),
        (frame / outer / vxlan / carried / arp, TUNNEL | none | {"tunnel": "vxlan:42", "protocol": "ARP"}),
        (frame / outer / geneve / carried / inner / udp, TUNNEL | as_udp | {"tunnel": "geneve:7"}),
        (frame / outer / GRE() / inner / tcp, TUNNEL | as_tcp | {"tunnel": "gre"}),
        (frame / outer / GRE(proto=0x6558) / carried / inner / tcp, TUNNEL | as_tcp | {"tunnel": "gre"}),
        (frame / outer / inner / tcp, TUNNEL | as_tcp | {"tunnel": "ipip"}),
        (frame / outer / inner6 / udp, TUNNEL6 | as_udp | {"outer_src": A, "outer_dst": B, "tunnel": "6in4"}),
        (
            frame / outer6 / inner / udp,
            TUNNEL | as_udp | {"outer_src": A6, "outer_dst": B6, "tunnel": "4in6"},
        ),
        (frame / outer6 / inner6 / udp, TUNNEL6 | as_udp | {"tunnel": "6in6", "ip_id": None}),
        (
            frame / outer / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=4660) / inner / tcp,
            TUNNEL | as_tcp | {"tunnel": "gtp:4660"},
        ),
        (
            frame / outer / vxlan / carried / IP(src="198.18.9.1", dst="198.18.9.2") / GRE() / inner / tcp,
            TUNNEL | as_tcp | {"tunnel": "vxlan:42/gre"},
        ),
        (
            frame / Dot1Q(vlan=5) / outer / vxlan / carried / Dot1Q(vlan=9) / inner / tcp,
            TUNNEL | as_tcp | {"vlan": 5},
        ),
        (
            frame / outer / UDP(sport=5, dport=4789, chksum=1) / VXLAN(vni=42) / carried / inner / tcp,
            TUNNEL | as_tcp | {"tunnel": "vxlan:42", "transport_checksum_ok": True},
        ),
        (
            frame / outer / vxlan / carried / inner / ICMP(type=8),
            TUNNEL | {"protocol": "ICMP", "icmp_type": 8, "icmp_code": 0, "src_port": None},
        ),
    ]


def quoted() -> list[tuple[Packet, dict[str, Any]]]:
    """Errors that quote what they are about: none of it may fill a column."""
    frame, back = Ether(src=MAC_A, dst=MAC_B), IP(src=B, dst=A, ttl=50, id=3)
    quote = IPerror(src=A, dst=D, ttl=1, id=777)
    tcp = TCP(sport=1234, dport=80, flags="S", seq=5, options=[("MSS", 1400), ("WScale", 3)])
    nothing = {
        "src_port": None, "dst_port": None, "stream": None, "tcp_flags": None, "seq": None, "mss": None,
        "window_scale": None, "payload_length": None, "tunnel": None, "outer_src": None, "outer_dst": None,
        "window": None, "retransmission": False,
    }  # fmt: skip
    own = nothing | {"protocol": "ICMP", "src": B, "dst": A, "ttl": 50, "ip_id": 3}
    unreachable = own | {"icmp_type": 3, "icmp_code": 3, "icmp_mtu": None}
    too_big = own | {"icmp_type": 3, "icmp_code": 4, "icmp_mtu": 1400}
    back6 = IPv6(src=B6, dst=A6, hlim=50)
    too_big6 = nothing | {
        "protocol": "ICMPv6", "src": B6, "dst": A6, "ttl": 50,
        "icmp_type": 2, "icmp_code": 0, "icmp_mtu": 1280,
    }  # fmt: skip
    tunnelled = unreachable | {"tunnel": "ipip", "outer_src": C, "outer_dst": D}
    return [
        (frame / back / ICMP(type=3, code=3) / quote / tcp, unreachable),
        (frame / back / ICMP(type=3, code=3) / quote / UDP(sport=53, dport=53), unreachable),
        (frame / back / ICMP(type=3, code=4, nexthopmtu=1400) / quote / tcp, too_big),
        (frame / back / ICMP(type=3, code=4, nexthopmtu=1400) / quote / ICMPerror(type=8), too_big),
        (
            frame / back / ICMP(type=11) / quote / tcp,
            own | {"icmp_type": 11, "icmp_code": 0, "icmp_mtu": None},
        ),
        (frame / back6 / ICMPv6PacketTooBig(mtu=1280) / IPv6(src=A6, dst=D6, hlim=9) / tcp, too_big6),
        (frame / IP(src=C, dst=D) / back / ICMP(type=3, code=3) / quote / tcp, tunnelled),
    ]


def headers() -> list[tuple[Packet, dict[str, Any]]]:
    """Tags, extension headers, fragments, and what is no IP."""
    frame, ip, six = Ether(src=MAC_A, dst=MAC_B), IP(src=A, dst=B), IPv6(src=A6, dst=B6, hlim=9, tc=3)
    udp = UDP(sport=7000, dport=7001) / Raw(b"12345678")
    ports = {"protocol": "UDP", "src_port": 7000, "dst_port": 7001, "payload_length": 8}
    six_is = {"src": A6, "dst": B6, "ttl": 9, "ecn": 3, "ip_id": None, "ip_df": None, "ip_checksum_ok": None}
    no_ports = {"src_port": None, "dst_port": None, "stream": None, "payload_length": None}
    hop, options = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")]), IPv6ExtHdrDestOpt()
    echo = {"protocol": "ICMPv6", "icmp_type": 128, "icmp_code": 0, "icmp_mtu": None} | no_ports
    bad_tcp = TCP(sport=7000, dport=80, flags="R", chksum=1)
    return [
        (frame / ip / udp, ports | {"vlan": None, "fragment_offset": 0, "ip_checksum_ok": True}),
        (frame / Dot1Q(vlan=5) / ip / udp, ports | {"vlan": 5, "src_mac": MAC_A}),
        (frame / Dot1Q(vlan=5) / Dot1Q(vlan=7) / ip / udp, ports | {"vlan": 5}),
        (frame / Dot1AD(vlan=6) / Dot1Q(vlan=7) / ip / udp, ports | {"vlan": 6}),
        (frame / Dot1AD(vlan=6) / Dot1AD(vlan=7) / ip / udp, ports | {"vlan": 6}),
        (frame / six / hop / options / udp, ports | six_is | {"fragment_offset": None}),
        (frame / six / hop / ICMPv6EchoRequest(), echo | six_is),
        (frame / six / IPv6ExtHdrFragment(m=1, id=1, nh=17) / udp, six_is | {"fragment_offset": 0}),
        (
            frame / six / IPv6ExtHdrFragment(offset=185, id=1, nh=17) / Raw(b"x" * 40),
            six_is | no_ports | {"protocol": "IPv6", "fragment_offset": 1480},
        ),
        (frame / IP(src=A, dst=B, flags="MF", id=9) / udp, ports | {"fragment_offset": 0, "ip_id": 9}),
        (
            frame / IP(src=A, dst=B, frag=185, id=9, proto=17) / Raw(b"x" * 40),
            no_ports | {"protocol": "IPv4", "src": A, "dst": B, "fragment_offset": 1480, "ip_id": 9},
        ),
        (
            frame / ARP(psrc=A, pdst=B),
            no_ports | {"protocol": "ARP", "src": None, "dst": None, "src_mac": MAC_A},
        ),
        (
            frame / ip / SCTP(sport=7000, dport=7001) / SCTPChunkInit(),
            {"protocol": "SCTP", "src_port": 7000, "dst_port": 7001, "payload_length": None, "stream": None}
            | {"transport_checksum_ok": True},
        ),
        (
            frame / IP(src=A, dst=B, chksum=1) / udp,
            ports | {"ip_checksum_ok": False, "transport_checksum_ok": True},
        ),
        (frame / ip / bad_tcp, {"protocol": "TCP", "ip_checksum_ok": True, "transport_checksum_ok": False}),
        (
            frame / ip / UDP(sport=7000, dport=7001, chksum=0) / Raw(b"12345678"),
            ports | {"transport_checksum_ok": None},
        ),
        (frame / ip / ICMP(type=8), {"protocol": "ICMP", "transport_checksum_ok": True, "icmp_type": 8}),
    ]


def cooked() -> list[tuple[Packet, dict[str, Any]]]:
    ip = IP(src=A, dst=B) / UDP(sport=7000, dport=7001)
    mac = bytes.fromhex("020000000001") + b"\0\0"
    return [
        (
            CookedLinux(pkttype=kind, lladdrlen=6, src=mac, proto=0x800) / ip,
            {"direction": direction, "src": A, "protocol": "UDP", "src_mac": MAC_A, "dst_mac": None},
        )
        for kind, direction in ((0, "in"), (4, "out"), (1, "in"), (3, None))
    ]


def cooked_with_index() -> list[tuple[Packet, dict[str, Any]]]:
    """The test's manifest names index 2; index 9 is nobody's."""
    ip = IP(src=A, dst=B) / UDP(sport=7000, dport=7001)
    mac = bytes.fromhex("020000000001") + b"\0\0"
    return [
        (
            CookedLinuxV2(proto=0x800, ifindex=index, pkttype=kind, lladdrlen=6, src=mac) / ip,
            {"direction": direction, "interface": interface, "src": A, "src_mac": MAC_A},
        )
        for index, kind, direction, interface in (
            (2, 0, "in", "eth0"),
            (2, 4, "out", "eth0"),
            (9, 0, "in", None),
        )
    ]
