"""Where a frame's headers end, against frames built with scapy: what stands behind them is planted."""

import pytest
from scapy.all import (
    ARP,
    DNS,
    DNSQR,
    GRE,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    CookedLinux,
    Dot1Q,
    Ether,
    ICMPv6DestUnreach,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    Raw,
    SCTPChunkData,
)  # fmt: skip
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.vxlan import VXLAN

from k8scap.sharing.headers import HeaderWalk

SECRET = b"password=hunter2"
V4, V6 = IP(src="198.18.0.1", dst="198.18.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
SEGMENT = TCP(sport=40000, dport=80, options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)])
QUOTED = IP(src="198.18.0.2", dst="198.18.0.1") / TCP(sport=80, dport=40000)
INNER = Ether() / V4 / SEGMENT

HEADERS = {
    "tcp": (1, Ether() / V4 / SEGMENT),
    "udp": (1, Ether() / V4 / UDP(sport=4000, dport=4001)),
    "sctp": (1, Ether() / V4 / SCTP(sport=1, dport=2)),
    "vlans": (1, Ether() / Dot1Q(vlan=5) / Dot1Q(vlan=6) / V4 / SEGMENT),
    "mpls": (1, Ether() / MPLS(label=5, s=0) / MPLS(label=6, s=1) / V4 / SEGMENT),
    "ipv6 with options": (1, Ether() / V6 / IPv6ExtHdrDestOpt() / SEGMENT),
    "ipv6, its first fragment": (1, Ether() / V6 / IPv6ExtHdrFragment(m=1, offset=0) / SEGMENT),
    "ipv6, a later fragment": (1, Ether() / V6 / IPv6ExtHdrFragment(offset=3, nh=6)),
    "a later fragment": (1, Ether() / IP(src="198.18.0.1", dst="198.18.0.2", frag=3, proto=6)),
    "cooked": (113, CookedLinux(proto=0x800) / V4 / SEGMENT),
    "raw": (101, V4 / SEGMENT),
    "vxlan": (1, Ether() / V4 / UDP(dport=4789) / VXLAN(vni=5, flags=8) / INNER),
    "vxlan on Linux's port": (1, Ether() / V4 / UDP(dport=8472) / VXLAN(vni=5, flags=8) / INNER),
    "geneve": (1, Ether() / V4 / UDP(dport=6081) / GENEVE(proto=0x6558) / INNER),
    "gre": (1, Ether() / V4 / GRE(key_present=1, key=3) / V4 / SEGMENT),
    "ip in ip": (1, Ether() / V4 / V4 / UDP(sport=1, dport=2)),
    "echo": (1, Ether() / V4 / ICMP(type=8)),
    "unreachable": (1, Ether() / V4 / ICMP(type=3, code=4)),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_a_frame_is_cut_behind_its_last_header(name):
    link_type, headers = HEADERS[name]
    whole = bytes(headers / Raw(SECRET))
    if name == "unreachable":  # what it quotes is an IP header, and eight bytes of the one above
        whole = bytes(headers / QUOTED / Raw(SECRET))
        expected = len(bytes(headers)) + 20 + 8
    else:
        expected = len(whole) - len(SECRET)
    assert HeaderWalk().keep(memoryview(whole), link_type) == expected


@pytest.mark.parametrize("name", HEADERS)
def test_a_frame_that_is_itself_cut_off_anywhere_is_no_trouble(name):
    link_type, headers = HEADERS[name]
    whole = bytes(headers / Raw(SECRET))
    ends = [HeaderWalk().keep(memoryview(whole[:size]), link_type) for size in range(len(whole))]
    assert all(end <= size for size, end in enumerate(ends))


def test_what_nobody_knows_is_cut_from_there_on():
    unknown = bytes(Ether(type=0x88CC) / Raw(SECRET))
    assert HeaderWalk().keep(memoryview(unknown), 1) == 14
    assert HeaderWalk().keep(memoryview(unknown), 147) == 0
    strange = bytes(Ether() / IP(proto=253) / Raw(SECRET))
    assert HeaderWalk().keep(memoryview(strange), 1) == 34


@pytest.mark.parametrize("port", [53, 4789, 6081, 8472])
@pytest.mark.parametrize("text", [SECRET, b"\x08" + SECRET, b"hunter2", b"\x08\0\0hunter2", b"\0\0"])
def test_a_tunnels_port_makes_no_tunnel(port, text):
    frame = bytes(Ether() / V4 / UDP(sport=5000, dport=port) / Raw(text))
    assert HeaderWalk().keep(memoryview(frame), 1) == 14 + 20 + 8


def test_arp_has_no_payload():
    assert HeaderWalk().keep(memoryview(bytes(Ether() / ARP())), 1) == 14 + 28


def test_of_dns_only_numbers_stay_unless_it_is_wanted():
    query = bytes(Ether() / V4 / UDP(dport=53) / DNS(qd=DNSQR(qname="hunter2.example")))
    assert HeaderWalk().keep(memoryview(query), 1) == 14 + 20 + 8 + 12
    assert HeaderWalk(dns=True).keep(memoryview(query), 1) == len(query)
    disguised = bytes(Ether() / V4 / UDP(dport=53) / Raw(SECRET))
    assert HeaderWalk().keep(memoryview(disguised), 1) == 14 + 20 + 8


def test_an_error_says_whose_packet_it_quotes():
    ends = {("198.18.0.2", 80), ("198.18.0.1", 40000)}
    told = HeaderWalk().headers(memoryview(bytes(Ether() / V4 / ICMP(type=3) / QUOTED)), 1)
    assert told.quoted == ends
    error = Ether() / V6 / ICMPv6DestUnreach() / V6 / UDP(sport=5, dport=6) / Raw(SECRET)
    told = HeaderWalk().headers(memoryview(bytes(error)), 1)
    assert told.quoted == {("2001:db8::1", 5), ("2001:db8::2", 6)}
    assert SECRET not in bytes(error)[: told.end]


def test_chunks_of_sctp_are_payload():
    whole = bytes(Ether() / V4 / SCTP(sport=1, dport=2) / SCTPChunkData(data=SECRET))
    assert SECRET not in whole[: HeaderWalk().keep(memoryview(whole), 1)]
