"""Make the small captures of this folder again, and what stands beside each of them.

    python tests/data/make_captures.py

`NAME.expected.json` says what is true by construction: the packets were built with these values.
`NAME.tshark.csv` is what tshark 4.0 answers when it is asked for each field by itself; it stands as the
golden table for what only Wireshark can decide (its TCP verdicts). k8scap has no part in either.
"""

from __future__ import annotations

import csv
import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

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
    wrpcap,
)  # fmt: skip
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.vxlan import VXLAN

FOLDER = Path(__file__).parent / "captures"
START = 1_700_000_000
A, B, C, D = "198.18.0.1", "198.18.0.2", "198.18.1.1", "198.18.1.2"
A6, B6, C6, D6 = "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "2001:db8:1::2"
MAC_A, MAC_B = "02:00:00:00:00:01", "02:00:00:00:00:02"
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1000, 0)), ("NOP", None), ("WScale", 7)]

VERDICTS = (
    "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment",
    "ack_lost_segment", "duplicate_ack", "keep_alive", "keep_alive_ack", "zero_window", "zero_window_probe",
    "zero_window_probe_ack", "window_full", "window_update", "reused_ports",
)  # fmt: skip
GOLDEN = {
    "number": "frame.number",
    "time": "frame.time_epoch",
    "length": "frame.len",
    "captured_length": "frame.cap_len",
    "src": "ip.src",
    "dst": "ip.dst",
    "src_mac": "eth.src",
    "dst_mac": "eth.dst",
    "src_port": "tcp.srcport",
    "dst_port": "tcp.dstport",
    "stream": "tcp.stream",
    "ttl": "ip.ttl",
    "ip_id": "ip.id",
    "ip_df": "ip.flags.df",
    "ecn": "ip.dsfield.ecn",
    "tcp_flags": "tcp.flags",
    "seq": "tcp.seq",
    "ack": "tcp.ack",
    "seq_raw": "tcp.seq_raw",
    "ack_raw": "tcp.ack_raw",
    "window": "tcp.window_size",
    "payload_length": "tcp.len",
    "mss": "tcp.options.mss_val",
    "window_scale": "tcp.options.wscale.shift",
    "tsval": "tcp.options.timestamp.tsval",
    "tsecr": "tcp.options.timestamp.tsecr",
    "sack_left": "tcp.options.sack_le",
    "sack_right": "tcp.options.sack_re",
    **{verdict: f"tcp.analysis.{verdict}" for verdict in VERDICTS},
    "ack_rtt": "tcp.analysis.ack_rtt",
    "initial_rtt": "tcp.analysis.initial_rtt",
    "rto": "tcp.analysis.rto",
    "bytes_in_flight": "tcp.analysis.bytes_in_flight",
}


class Connection:
    """Builds the segments of one connection, each at its own time."""

    def __init__(self, frames: list[Packet], port: int, start: float) -> None:
        self.frames = frames
        self.port = port
        self.start = start

    def client(self, at: float, flags: str, seq: int, ack: int, **more: Any) -> None:
        self._add(at, A, B, self.port, 80, flags, 1000 + seq, 5000 + ack if "A" in flags else 0, **more)

    def server(self, at: float, flags: str, seq: int, ack: int, **more: Any) -> None:
        self._add(at, B, A, 80, self.port, flags, 5000 + seq, 1000 + ack, **more)

    def handshake(self, *, options: Any = (), window: int = 64000, seconds: float = 0.020) -> None:
        self.client(0, "S", 0, 0, options=options, window=window)
        self.server(seconds / 2, "SA", 0, 1, options=options, window=window)
        self.client(seconds, "A", 1, 1, window=window)

    def _add(  # noqa: PLR0917
        self, at: float, src: str, dst: str, sport: int, dport: int, flags: str, seq: int, ack: int,
        *, data: int = 0, window: int = 500, options: Any = (),
    ) -> None:  # fmt: skip
        macs = (MAC_A, MAC_B) if src == A else (MAC_B, MAC_A)
        ip = IP(src=src, dst=dst, id=100 + len(self.frames), flags="DF", ttl=63 if src == B else 64, tos=2)
        tcp = TCP(
            sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=window, options=list(options)
        )
        frame = Ether(src=macs[0], dst=macs[1]) / ip / tcp / Raw(b"x" * data)
        frame.time = START + self.start + at
        self.frames.append(frame)


def tcp_verdicts() -> list[Packet]:
    """Every verdict of Wireshark's sequence analysis, at least once."""
    frames: list[Packet] = []
    sack = [("NOP", None), ("NOP", None), ("SAck", (7001, 8001))]
    loss = Connection(frames, 40000, 0)
    loss.handshake(options=SYN_OPTIONS)
    loss.client(0.021, "PA", 1, 1, data=100)
    loss.server(0.031, "A", 1, 101)
    loss.server(0.040, "A", 1, 101, data=1000)
    loss.server(0.041, "A", 2001, 101, data=1000)  # a hole before it
    loss.client(0.050, "A", 101, 1001, options=sack)
    for i in range(3):
        loss.client(0.051 + i / 1000, "A", 101, 1001, options=sack)
    loss.server(0.060, "A", 1001, 101, data=1000)  # fast
    loss.client(0.070, "A", 101, 3001)
    loss.server(0.200, "A", 3001, 101, data=500)
    loss.server(0.500, "A", 3001, 101, data=500)  # after a time-out
    loss.client(0.510, "A", 101, 3501)
    loss.server(0.700, "A", 3001, 101, data=500)  # it was there already
    loss.server(0.800, "A", 4001, 101, data=500)
    loss.server(0.801, "A", 3501, 101, data=500)  # overtaken
    loss.client(0.810, "A", 101, 9001)  # acknowledges what was not captured
    slow = Connection(frames, 40001, 1)
    slow.handshake(window=1000)
    slow.server(0.030, "A", 1, 1, data=1000)
    slow.client(0.040, "A", 1, 1001, window=0)
    slow.server(0.300, "A", 1001, 1, data=1)
    slow.client(0.310, "A", 1, 1001, window=0)
    slow.client(0.400, "A", 1, 1001, window=1000)
    idle = Connection(frames, 40002, 2)
    idle.handshake()
    idle.client(0.030, "PA", 1, 1, data=10)
    idle.server(0.040, "A", 1, 11)
    idle.client(9.000, "A", 10, 1, window=64000)
    idle.server(9.010, "A", 1, 11)
    again = Connection(frames, 40002, 20)
    again.client(0, "S", 700_000, 0)
    wrapping = Connection(frames, 40003, 21)
    wrapping.client(0, "A", 2**32 - 1000 - 50, 1, data=100)
    wrapping.client(0.010, "A", 50 - 1000, 1, data=100)
    return frames


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


def pcapng_with_interfaces() -> tuple[bytes, list[dict[str, Any]]]:
    """Two named interfaces, one of them counting nanoseconds, and directions: written byte by byte."""
    frame = bytes(Ether(src=MAC_A, dst=MAC_B) / IP(src=A, dst=B) / UDP(sport=7000, dport=7001))
    second = START * 10**9
    blocks = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(1, struct.pack("<HHI", 1, 0, 0) + _option(2, b"eth0")),
        _block(1, struct.pack("<HHI", 1, 0, 0) + _option(2, b"veth1") + _option(9, b"\x09")),
        _enhanced(0, second // 1000 + 1, frame, flags=1),
        _enhanced(1, second + 1, frame, flags=2),
        _enhanced(1, second + 999_999_999, frame, flags=0),
    ]
    expected = [
        {"interface": "eth0", "direction": "in", "time": second + 1000},
        {"interface": "veth1", "direction": "out", "time": second + 1},
        {"interface": "veth1", "direction": None, "time": second + 999_999_999},
    ]
    return b"".join(blocks), expected


def nanoseconds() -> tuple[bytes, list[dict[str, Any]]]:
    """A pcap that counts nanoseconds: a double would round every one of these times."""
    frame = bytes(Ether(src=MAC_A, dst=MAC_B) / IP(src=A, dst=B) / UDP(sport=7000, dport=7001))
    times = [(START, 1), (START, 123_456_789), (START + 1, 999_999_999), (2**32 - 1, 7)]
    records = (struct.pack("<IIII", s, ns, len(frame), len(frame)) + frame for s, ns in times)
    header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    return header + b"".join(records), [{"time": s * 10**9 + ns} for s, ns in times]


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def _enhanced(interface: int, time: int, frame: bytes, *, flags: int) -> bytes:
    head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
    return _block(6, head + frame + b"\0" * (-len(frame) % 4) + _option(2, struct.pack("<I", flags)))


def write_built(name: str, built: list[tuple[Packet, dict[str, Any]]]) -> None:
    for i, (packet, _) in enumerate(built):
        packet.time = START + i / 1000
    wrpcap(str(FOLDER / f"{name}.pcap"), [packet for packet, _ in built])
    write_expected(name, [expected for _, expected in built])


def write_expected(name: str, expected: list[dict[str, Any]]) -> None:
    (FOLDER / f"{name}.expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def write_golden(name: str) -> None:
    answers = [_ask(FOLDER / f"{name}.pcap", field) for field in GOLDEN.values()]
    with (FOLDER / f"{name}.tshark.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([GOLDEN, *zip(*answers, strict=True)])


def _ask(path: Path, field: str) -> list[str]:
    with tempfile.TemporaryDirectory() as configuration:
        argv = [
            "tshark",
            "-n",
            "-r",
            str(path),
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            field,
            "-E",
            "occurrence=f",
        ]
        off = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
        env = {**os.environ, "WIRESHARK_CONFIG_DIR": configuration}
        done = subprocess.run([*argv, *off], capture_output=True, text=True, check=True, env=env)
    return [line.split("\t")[1] for line in done.stdout.splitlines()]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wrpcap(str(FOLDER / "verdicts.pcap"), tcp_verdicts())
    write_golden("verdicts")
    for build in (tunnels, quoted, headers, cooked, cooked_with_index):
        write_built(build.__name__, build())
    for suffix, build in (("pcapng", pcapng_with_interfaces), ("pcap", nanoseconds)):
        data, expected = build()
        (FOLDER / f"{build.__name__}.{suffix}").write_bytes(data)
        write_expected(build.__name__, expected)


if __name__ == "__main__":
    main()
