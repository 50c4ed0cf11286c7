"""Names from the capture itself, held against what was put on the wire and what tshark reads there."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapWriter

from k8scap import load
from k8scap.model import Manifest, NameEntry
from k8scap.recording import write_manifest

CLIENT, RESOLVER, SERVER, OTHER = "198.18.0.1", "198.18.0.53", "198.18.0.2", "198.18.0.3"
SIX = "2001:2::80"
START = 1_700_000_000


def write(path, packets):
    """(second, packet) pairs, as a pcap."""
    with PcapWriter(str(path), linktype=1, sync=True) as writer:
        for second, packet in packets:
            frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
            frame.time = START + second
            writer.write(frame)
    return path


def answer(name, *records, qtype="A", extra=(), rcode=0, **ports):
    """A DNS response; records are (name, type, data)."""

    def made(items):
        return [DNSRR(rrname=n, type=t, ttl=5, rdata=data) for n, t, data in items]

    message = DNS(
        id=7, qr=1, rcode=rcode, qd=[DNSQR(qname=name, qtype=qtype)], an=made(records), ar=made(extra)
    )
    return IP(src=RESOLVER, dst=CLIENT) / UDP(**{"sport": 53, "dport": 4000, **ports}) / message


def hello(name):
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def connection(second, payloads, *, port, server=SERVER, dport=8443):
    """A TCP connection whose client sends these payloads."""
    there = IP(src=CLIENT, dst=server)
    back = IP(src=server, dst=CLIENT) / TCP(sport=dport, dport=port, flags="SA", seq=500, ack=101)
    yield second, there / TCP(sport=port, dport=dport, flags="S", seq=100)
    yield second + 0.01, back
    at = 101
    for n, payload in enumerate(payloads):
        segment = TCP(sport=port, dport=dport, flags="PA", seq=at, ack=501)
        yield second + 0.02 + n / 100, there / segment / Raw(payload)
        at += len(payload)


def learnt(path, **options):
    return [(e.source, e.address, e.name) for e in load(path, names="capture", **options).names.entries]


def test_a_dns_answer_names_addresses_by_the_name_that_was_asked_for(tmp_path):
    chain = [
        ("www.example.com", "CNAME", "cdn.example.net"),
        ("cdn.example.net", "CNAME", "edge.example.org"),
        ("edge.example.org", "A", SERVER),
        ("edge.example.org", "A", OTHER),
    ]
    six = [("WWW.example.com", "AAAA", SIX)]
    packets = [(0, answer("www.example.com", *chain)), (1, answer("WWW.example.com", *six, qtype="AAAA"))]
    packets.append((2, IPv6(src="2001:2::1", dst=SIX) / UDP(sport=1, dport=9)))
    cap = load(write(tmp_path / "dns.pcap", packets), names="capture")
    known = {e.address: (e.name, e.source, e.kind) for e in cap.names.entries}
    assert known == dict.fromkeys([SERVER, OTHER, SIX], ("www.example.com", "dns", "external"))
    assert cap.conversations.set_index("dst")["dst_name"][SIX] == "www.example.com (dns)"


@pytest.mark.parametrize(
    "packet",
    [
        answer("a.example.com", ("a.example.com", "A", SERVER), rcode=3),
        answer("a.example.com", ("a.example.com", "A", SERVER), sport=5000),  # no resolver's port
        answer("a.example.com", ("x", "CNAME", "y"), extra=[("ns.example.com", "A", SERVER)]),
        answer("a.example.com", ("a.example.com", "NS", "ns.b"), extra=[("ns.b", "A", SERVER)], qtype="NS"),
        answer("a.example.com", ("a.example.com", "A", SERVER)).payload.payload,
    ],
    ids=["no-such-name", "other-port", "additional", "nameserver", "torn"],
)
def test_what_is_no_answer_names_nobody(tmp_path, packet):
    if not isinstance(packet, IP):
        packet = IP(src=RESOLVER, dst=CLIENT) / UDP(sport=53, dport=4000) / Raw(bytes(packet)[:20])
    assert learnt(write(tmp_path / "x.pcap", [(0, packet)])) == []


def test_a_name_holds_from_its_answer_on(tmp_path):
    packets = [
        (second, answer(name, (name, "A", SERVER)))
        for second, name in ((0, "first.example.com"), (1, "first.example.com"), (10, "second.example.com"))
    ]
    for second, port in ((5, 4001), (15, 4002)):
        packets += connection(second, [b"x"], port=port)
    cap = load(write(tmp_path / "x.pcap", packets), names="capture")
    assert len(cap.names.entries) == 2
    tcp = cap.conversations[cap.conversations["protocol"] == "TCP"]
    assert tcp["dst_name"].tolist() == ["first.example.com (dns)", "second.example.com (dns)"]


def test_dns_over_tcp_is_read_too(tmp_path):
    name = "tcp.example.com"
    message = bytes(answer(name, (name, "A", SERVER)).getlayer(DNS))
    stream = struct.pack(">H", len(message)) + message
    back = {"src": RESOLVER, "dst": CLIENT}
    packets = [*connection(0, [b"\0\1x"], port=4000, server=RESOLVER, dport=53)]
    for n, piece in enumerate((stream[:20], stream[20:])):
        segment = TCP(sport=53, dport=4000, flags="PA", seq=501 + 20 * n, ack=104)
        packets.append((1 + n, IP(**back) / segment / Raw(piece)))
    assert learnt(write(tmp_path / "x.pcap", packets)) == [("dns", SERVER, name)]


def test_a_tls_client_names_its_server_on_any_port(tmp_path):
    first, second = hello("Shop.example.com"), hello("big.example.com")
    packets = [*connection(0, [first], port=4000)]
    packets += connection(1, [second[:200], second[200:]], port=4001, server=OTHER, dport=443)
    packets += connection(2, [b"GET / HTTP/1.1\r\nHost: plain.example.com\r\n\r\n"], port=4002)
    path = write(tmp_path / "tls.pcap", packets)
    assert learnt(path) == [("tls", SERVER, "shop.example.com"), ("tls", OTHER, "big.example.com")]
    fields = ["-T", "fields", "-e", "ip.dst", "-e", "tls.handshake.extensions_server_name"]
    argv = ["tshark", "-n", "-r", str(path), "-Y", "tls.handshake.extensions_server_name", *fields]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert {("tls", *line.lower().split("\t")) for line in said.splitlines()} == {*learnt(path)}


def test_only_the_frames_that_matter_reach_tshark(tmp_path, monkeypatch):
    """A download of thousands of segments goes by; the hello does not."""
    packets = [*connection(0, [hello("a.example.com"), *[b"\x17\x03\x03" + bytes(900)] * 500], port=4000)]
    path = write(tmp_path / "x.pcap", packets)
    from k8scap.parser.records import extract

    asked, write_frames = [], extract.write_frames

    def counted(path, files, numbers):
        asked.append(len(numbers))
        return write_frames(path, files, numbers)

    monkeypatch.setattr(extract, "write_frames", counted)
    assert learnt(path) == [("tls", SERVER, "a.example.com")]
    assert asked == [3]


def test_a_pcapng_brings_names_along(tmp_path):
    path = write(tmp_path / "x.pcap", [*connection(0, [b"x"], port=4000)])
    ng = tmp_path / "x.pcapng"
    subprocess.run(["editcap", "-F", "pcapng", str(path), str(ng)], check=True)
    for order in ("<", ">"):
        records = struct.pack(f"{order}HH", 1, 10) + socket.inet_aton(SERVER) + b"redis\0" + bytes(2)
        six = socket.inet_pton(socket.AF_INET6, SIX) + b"six\0more\0"
        records += struct.pack(f"{order}HH", 2, len(six)) + six + bytes(-len(six) % 4)
        body = records + bytes(4)
        block = struct.pack("<II", 4, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))
        data = ng.read_bytes()
        length = struct.unpack_from("<I", data, 4)[0]
        named = tmp_path / f"named{order == '>'}.pcapng"
        named.write_bytes(data[:length] + block + data[length:])
        if order == "<":
            assert learnt(named) == [("pcapng", SERVER, "redis"), ("pcapng", SIX, "six")]
            assert load(named, names="capture").conversations["dst_name"].tolist() == ["redis (pcapng)"]
        else:  # lengths of another byte order: torn, and no harm done
            assert learnt(named) == []


def test_what_was_told_wins_and_both_may_be_asked_for(tmp_path):
    path = write(tmp_path / "x.pcap", [(0, answer("a.example.com", ("a.example.com", "A", SERVER)))])
    names = load(path, names=["capture", {OTHER: "mine", SERVER: "told"}]).names
    assert (names.of(SERVER), names.of(OTHER)) == ("told", "mine")
    entry = NameEntry(address=SERVER, name="redis", kind="service", namespace="shop")
    write_manifest(tmp_path / "x.json", Manifest(name="x", point="x", names=(entry,)))
    assert load(path, names="capture").names.of(SERVER) == "shop/svc/redis"


def test_names_are_learnt_from_the_whole_capture_whatever_is_selected(tmp_path):
    packets = [(0, answer("a.example.com", ("a.example.com", "A", SERVER)))]
    packets += connection(5, [b"x"], port=4000)
    path = write(tmp_path / "x.pcap", packets)
    for cap in (load(path, names="capture", where="tcp"), load(path, names="capture").select("tcp")):
        assert cap.conversations["dst_name"].tolist() == ["a.example.com (dns)"]


def test_without_tshark_the_capture_opens_and_says_so(tmp_path, monkeypatch):
    packets = [*connection(0, [hello("a.example.com")], port=4000)]
    path = write(tmp_path / "x.pcap", packets)
    monkeypatch.setenv("PATH", str(tmp_path))
    cap = load(path, names="capture")
    assert cap.conversations["dst_name"].tolist() == [SERVER]
    assert any("Names could not be learnt" in note for note in cap.quality.notes)


def test_loading_asks_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "x.pcap", [(0, answer("a.example.com", ("a.example.com", "A", SERVER)))])
    monkeypatch.setattr("k8scap.parser.learnt_names.read_packets", pytest.fail)
    assert load(path, names="capture").points == ("x",)
    assert load(path).names.entries == ()


def test_a_format_that_only_tshark_reads_names_too(tmp_path):
    path = write(tmp_path / "x.pcap", [(0, answer("a.example.com", ("a.example.com", "A", SERVER)))])
    other = tmp_path / "x.snoop"
    subprocess.run(["editcap", "-F", "snoop", str(path), str(other)], check=True)
    assert learnt(Path(other)) == [("dns", SERVER, "a.example.com")]


def test_rotated_files_are_one_capture_to_learn_from(tmp_path):
    whole = bytes(hello("a.example.com"))
    packets = [*connection(0, [whole[:100], whole[100:]], port=4000)]
    write(tmp_path / "x.0001.pcap", packets[:3])
    write(tmp_path / "x.0002.pcap", packets[3:])
    cap = load(tmp_path / "x.0001.pcap", tmp_path / "x.0002.pcap", names="capture")
    assert [e.name for e in cap.names.entries] == ["a.example.com"]
