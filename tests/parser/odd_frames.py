"""A capture of frames that hold more headers than the packets table does, and of ordinary ones."""

from scapy.all import (
    ARP,
    DNS,
    DNSQR,
    ICMP,
    IP,
    LLC,
    STP,
    TCP,
    UDP,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRedirectedHdr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrRouting,
    Raw,
    wrpcap,
)  # fmt: skip
from scapy.layers.vxlan import VXLAN

CLIENT, SERVER, ROUTER = "198.18.0.1", "198.18.0.2", "10.9.9.9"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
BEGIN = 1_700_000_000


def write(path):
    """All of them, half a second apart; gives the path."""
    packets = [*connection(), *errors(), *tagged(), *neighbours(), *carried(), *fragments(), *plain()]
    for i, packet in enumerate(packets):
        packet.time = BEGIN + i / 2
    wrpcap(str(path), packets)
    return path


def _frame(packet):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet


def _segment(flags, seq, ack=0, length=0, *, window=8192, back=False):
    source, destination = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    sport, dport = (80, 40001) if back else (40001, 80)
    packet = IP(src=source, dst=destination, id=seq % 60000, flags="DF") / TCP(
        sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=window
    )
    return packet / Raw(b"x" * length) if length else packet


def connection():
    """A handshake, data, the same again, a zero window, a reset, the same ports with a new SYN."""
    return [
        _frame(p)
        for p in (
            _segment("S", 1000),
            _segment("SA", 5000, 1001, back=True),
            _segment("A", 1001, 5001),
            _segment("PA", 1001, 5001, 500),
            _segment("PA", 1001, 5001, 500),
            _segment("A", 5001, 1501, back=True, window=0),
            _segment("PA", 2501, 5001, 100),
            _segment("RA", 5001, 2601, back=True),
            _segment("S", 90000),
        )
    ]


def _error(quoted, length, *, kind=3, code=1):
    return _frame(
        IP(src=ROUTER, dst=CLIENT, ttl=3) / ICMP(type=kind, code=code) / Raw(bytes(quoted)[:length])
    )


def errors():
    """ICMP errors that quote segments, datagrams, a tunnel, an echo; some with a SYN of reused ports."""
    datagram = (
        IP(src=CLIENT, dst="198.18.0.53") / UDP(sport=5353, dport=53) / DNS(qd=DNSQR(qname="a.example"))
    )
    tunnel = IP(src="10.0.0.8", dst="10.0.0.9") / UDP(dport=4789) / VXLAN(vni=3) / _frame(_segment("S", 7))
    echo = IP(src=CLIENT, dst="198.18.0.77", ttl=1) / ICMP() / Raw(b"ping")
    return [
        _error(_segment("PA", 1001, 5001, 500), 28),
        _error(_segment("PA", 1001, 5001, 500), 140),
        _error(_segment("S", 700000), 60),
        _error(_segment("A", 1501, 5001, window=0), 200),
        _error(datagram, 28, code=3),
        _error(datagram, 200, kind=11, code=0),
        _error(tunnel, 200, code=4),
        _error(echo, 60, kind=11, code=0),
        _error(echo, 10, kind=5),
        _frame(IP(src=CLIENT, dst=SERVER) / ICMP() / Raw(bytes(_segment("S", 1)))),
        _frame(_ipv6(ICMPv6DestUnreach(code=4)) / _ipv6(UDP(sport=4000, dport=53) / Raw(b"abc"))),
        _frame(
            _ipv6(ICMPv6PacketTooBig(mtu=1400))
            / _ipv6(TCP(sport=40001, dport=80, flags="A") / Raw(b"x" * 30))
        ),
    ]


def _ipv6(payload):
    return IPv6(src=CLIENT6, dst=SERVER6) / payload


def tagged():
    """VLAN tags: one, two, an outer one of a provider."""
    web, dns = _segment("S", 40), IP(src=CLIENT, dst=SERVER) / UDP(sport=1, dport=53)
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return [
        frame / Dot1Q(vlan=5) / web,
        frame / Dot1Q(vlan=9) / Dot1Q(vlan=5) / web,
        frame / Dot1AD(vlan=5) / Dot1Q(vlan=9) / dns,
        frame / Dot1Q(vlan=6) / ARP(psrc=CLIENT, pdst=SERVER),
    ]


def neighbours():
    """Neighbour discovery: ordinary, and with the option that quotes a packet where it has no business."""
    quote = ICMPv6NDOptRedirectedHdr(pkt=bytes(_ipv6(TCP(sport=40001, dport=80, flags="S"))))
    solicitation = ICMPv6ND_NS(tgt=SERVER6)
    return [
        _frame(IPv6(src=CLIENT6, dst="ff02::1:ff00:2") / solicitation / ICMPv6NDOptSrcLLAddr()),
        _frame(IPv6(src=CLIENT6, dst="ff02::1:ff00:2") / solicitation / quote),
        _frame(IPv6(src=SERVER6, dst=CLIENT6) / ICMPv6ND_NA(tgt=SERVER6) / ICMPv6NDOptDstLLAddr()),
        _frame(IPv6(src="fe80::1", dst="ff02::2") / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr()),
        _frame(IPv6(src="fe80::1", dst="ff02::2") / ICMPv6ND_RS() / quote),
        _frame(
            IPv6(src="fe80::9", dst="ff02::1") / ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="2001:db8::")
        ),
        _frame(IPv6(src="fe80::9", dst=CLIENT6) / ICMPv6ND_Redirect(tgt="fe80::8", dst=SERVER6) / quote),
        _frame(_ipv6(ICMPv6EchoRequest(data=b"ping"))),
    ]


def carried():
    """Tunnels, one in the other too, and what looks like one by its port only."""
    inner = _frame(IP(src="10.1.0.1", dst="10.1.0.2", ttl=4) / TCP(sport=40001, dport=443, flags="S"))
    outer = IP(src=CLIENT, dst=SERVER)
    return [
        _frame(outer / UDP(sport=7, dport=4789) / VXLAN(vni=42) / inner),
        _frame(
            outer / UDP(sport=7, dport=4789) / VXLAN(vni=42) / _frame(ARP(psrc="10.1.0.1", pdst="10.1.0.2"))
        ),
        _frame(outer / IP(src="10.1.0.1", dst="10.1.0.2") / UDP(sport=53, dport=40001) / Raw(b"abc")),
        _frame(outer / _ipv6(TCP(sport=40001, dport=443))),
        _frame(IPv6(src=CLIENT6, dst=SERVER6) / outer / outer / ICMP()),
        _frame(outer / UDP(sport=40001, dport=4789) / Raw(b"no")),
        _frame(outer / UDP(sport=40001, dport=6343) / Raw(b"no sample")),
        _frame(outer / TCP(sport=6633, dport=40001, flags="PA") / Raw(b"no flow")),
    ]


def fragments():
    """First and later ones; a source route."""
    data = Raw(b"y" * 64)
    return [
        _frame(IP(src=CLIENT, dst=SERVER, flags="MF", id=77) / UDP(sport=40001, dport=9999, len=1500) / data),
        _frame(IP(src=CLIENT, dst=SERVER, frag=185, id=77, proto=17) / data),
        _frame(
            _ipv6(IPv6ExtHdrFragment(offset=0, m=1, id=3) / UDP(sport=40001, dport=9999, len=1500) / data)
        ),
        _frame(_ipv6(IPv6ExtHdrFragment(offset=9, id=3, nh=17) / data)),
        _frame(
            _ipv6(IPv6ExtHdrRouting(addresses=["2001:db8::7", "2001:db8::8"], segleft=2))
            / UDP(sport=40001, dport=9999)
        ),
    ]


def plain():
    """ARP, STP, an unknown Ethernet type, a frame of few bytes, cut-off headers."""
    segment = _frame(_segment("PA", 3000, 5001, 20))
    echo = _frame(IP(src=CLIENT, dst=SERVER) / ICMP() / Raw(b"ping"))
    datagram = _frame(_ipv6(UDP(sport=5353, dport=5353) / Raw(b"abcd")))
    echo6 = _frame(_ipv6(ICMPv6EchoRequest(data=b"ping")))
    cuts = (
        (segment, (6, 10, 14, 20, 28, 34, 36, 38, 46, 50, 54)),
        (echo, (34, 35, 36, 37, 38, 40)),
        (datagram, (20, 54, 56, 58, 60)),
        (echo6, (54, 55, 56, 58)),
        (_frame(ARP(psrc=CLIENT, pdst=SERVER)), (14, 18, 22, 28, 38, 41)),
    )
    return [
        _frame(ARP(psrc=CLIENT, pdst=SERVER)),
        Dot3(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00") / LLC() / STP(),
        Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(b"local"),
        *(Raw(bytes(packet)[:length]) for packet, lengths in cuts for length in lengths),
    ]
