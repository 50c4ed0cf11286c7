"""Names that a capture tells itself: hellos, answers and name blocks written byte by byte."""

import socket
import struct
import subprocess

import pytest
from scapy.all import DNS, DNSQR, DNSRR, IP, TCP, UDP, Ether, Raw, wrpcap

from k8scap import load

CLIENT, RESOLVER, SERVER, OTHER = "198.18.0.1", "198.18.0.53", "198.18.0.9", "198.18.0.10"
START = 1_700_000_000


def hello(name, padding=0):
    """A TLS 1.2 ClientHello (RFC 5246, 7.4.1.2) with a server name (RFC 6066, 3), and padding (RFC 7685)."""
    host = name.encode()
    server = struct.pack("!HBH", len(host) + 3, 0, len(host)) + host
    extensions = struct.pack("!HH", 21, padding) + bytes(padding) if padding else b""
    extensions += struct.pack("!HH", 0, len(server)) + server
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\xc0\x2f" + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    return b"\x16\x03\x01" + struct.pack("!HB", len(body) + 4, 1) + len(body).to_bytes(3, "big") + body


def answer(name, *records, to=CLIENT, **fields):
    sections = {"an": list(records), "qd": DNSQR(qname=name, qtype="A"), **fields}
    return IP(src=RESOLVER, dst=to) / UDP(sport=53, dport=5000) / DNS(id=7, qr=1, **sections)


def to(address, payload=b"x", seq=1, port=443, sport=40000):
    return (
        IP(src=CLIENT, dst=address) / TCP(sport=sport, dport=port, flags="PA", seq=seq, ack=1) / Raw(payload)
    )


def written(path, packets):
    frames = [Ether() / packet for packet in packets]
    for i, frame in enumerate(frames):
        frame.time = START + i
    wrpcap(str(path), frames)
    return path


def named(path, **options):
    cap = load(path, names="capture", **options)
    table = cap.named(cap.packets)
    return [table["dst_name"].get(number) for number in table.index]


def test_an_answer_names_its_addresses_by_what_was_asked_for_aliases_and_all(tmp_path):
    alias = DNSRR(rrname="redis.example.com", type="CNAME", rdata="shard-1.example.net")
    address = DNSRR(rrname="shard-1.example.net", rdata=SERVER)
    glue = DNSRR(rrname="ns1.example.net", rdata=OTHER)
    packets = [answer("redis.example.com", alias, address, ar=[glue]), to(SERVER), to(OTHER, sport=40001)]
    path = written(tmp_path / "dns.pcap", packets)
    assert named(path) == [CLIENT, "redis.example.com (dns)", OTHER]


def test_an_address_bears_the_name_that_was_last_answered_before(tmp_path):
    first, second = (answer(name, DNSRR(rrname=name, rdata=SERVER)) for name in ("a.example", "b.example"))
    path = written(tmp_path / "dns.pcap", [to(SERVER), first, to(SERVER), second, to(SERVER)])
    assert named(path)[::2] == ["a.example (dns)", "a.example (dns)", "b.example (dns)"]


def test_servers_bear_the_name_that_tls_clients_ask_for_on_any_port(tmp_path):
    path = written(
        tmp_path / "tls.pcap", [to(SERVER, hello("shop.example")), to(OTHER, hello("b"), port=9443)]
    )
    told = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "tls.handshake.extensions_server_name"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert told == ["shop.example", "b"]
    assert named(path) == ["shop.example (tls)", "b (tls)"]


def test_a_client_hello_may_take_several_segments(tmp_path):
    whole = hello("shop.example", padding=2000)
    halves = [to(SERVER, whole[:1400]), to(SERVER, whole[1400:], seq=1401)]
    assert named(written(tmp_path / "tls.pcap", halves))[1] == "shop.example (tls)"


def test_dns_comes_before_tls_and_both_behind_what_anybody_told(tmp_path):
    packets = [
        answer("asked.example", DNSRR(rrname="asked.example", rdata=SERVER)),
        to(SERVER, hello("sni.example")),
        to(OTHER, hello("sni.example"), sport=40001),
    ]
    path = written(tmp_path / "both.pcap", packets)
    assert named(path)[1:] == ["asked.example (dns)", "sni.example (tls)"]
    cap = load(path, names=["capture", {SERVER: "redis"}])
    assert cap.names.of(SERVER) == "redis"


def test_nothing_is_learnt_unless_asked_for(tmp_path):
    path = written(tmp_path / "tls.pcap", [to(SERVER, hello("shop.example"))])
    assert load(path).names.of(SERVER) == SERVER


def test_a_selection_knows_names_from_frames_outside_it(tmp_path):
    packets = [answer("a.example", DNSRR(rrname="a.example", rdata=SERVER)), to(SERVER)]
    path = written(tmp_path / "dns.pcap", packets)
    assert named(path, where="tcp") == ["a.example (dns)"]
    assert load(path, names="capture").select("tcp").names.of(SERVER) == "a.example (dns)"


def test_without_tshark_nothing_is_learnt_and_it_is_said(tmp_path, monkeypatch):
    path = written(tmp_path / "tls.pcap", [to(SERVER, hello("shop.example"))])
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("pyshark.tshark.tshark.get_process_path", _missing)
    cap = load(path, names="capture")
    assert list(cap.conversations["dst_name"]) == [SERVER]
    assert any("could not be learnt" in note for note in cap.quality.notes)


def _missing(*_args, **_options):
    from pyshark.tshark.tshark import TSharkNotFoundException

    raise TSharkNotFoundException


def test_what_stands_in_answers_is_data(tmp_path):
    evil = "<b>$(id)\x1b[2J.example"
    path = written(tmp_path / "dns.pcap", [answer(evil, DNSRR(rrname=evil, rdata=SERVER)), to(SERVER)])
    shown = named(path)[1]
    assert shown.endswith(" (dns)")
    assert shown.isprintable()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_pcapngs_name_blocks_name(order, tmp_path):
    def block(kind, body):
        size = struct.pack(f"{order}I", 12 + len(body))
        return struct.pack(f"{order}I", kind) + size + body + size

    def record(kind, value):
        return struct.pack(f"{order}HH", kind, len(value)) + value + bytes(-len(value) % 4)

    names = record(1, socket.inet_aton(SERVER) + b"redis\0cache\0")
    names += record(2, socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"six\0") + bytes(4)
    frame = bytes(Ether() / to(SERVER))
    packet = struct.pack(f"{order}IIIII", 0, 0, 0, len(frame), len(frame)) + frame + bytes(-len(frame) % 4)
    path = tmp_path / "named.pcapng"
    path.write_bytes(
        block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack(f"{order}HHI", 1, 0, 0)) + block(4, names) + block(6, packet)
    )  # fmt: skip
    cap = load(path, names="capture")
    assert [cap.names.of(a) for a in (SERVER, "2001:db8::1")] == ["redis (pcapng)", "six (pcapng)"]
    assert list(cap.conversations["dst_name"]) == ["redis (pcapng)"]
