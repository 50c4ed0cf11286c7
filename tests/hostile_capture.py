"""A capture in which everything that somebody else chose is markup, script or a table's end."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from k8scap.model import Counters, Manifest, NameEntry
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT, SERVER, RESOLVER, REFUSING = "198.18.0.2", "198.18.0.3", "198.18.0.53", "198.18.0.4"
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
LINK = "[![x](http://evil.test/x.png)](javascript:alert(1)) | ``` <svg onload=alert(1)> www.evil.test"
SECRET = "hunter2-was-typed-here"  # noqa: S105


def hostile(folder: Path) -> Path:
    """The pcap, a manifest beside it; the file's own name is markup too."""
    path = folder / "<svg onload=alert(1)>.pcap"
    packets = sorted(_packets(), key=lambda seen: seen[0])
    for at, packet in packets:
        packet.time = 1_700_000_000.0 + at
    wrpcap(str(path), [packet for _, packet in packets])
    count = len(packets)
    names = ((CLIENT, SCRIPT), (SERVER, IMAGE), (RESOLVER, LINK), (REFUSING, IMAGE))
    manifest = Manifest(
        name=path.stem,
        point=IMAGE,
        state="complete",
        target={"text": SCRIPT, "name": IMAGE, "node": LINK},
        interface=IMAGE,
        filter=LINK,
        notes=(SCRIPT, LINK),
        counters=Counters(captured=count, received=count, dropped=0, on_disk=count),
        names=tuple(NameEntry(address=a, name=n, kind="pod", namespace="shop") for a, n in names),
        events=({"reason": SCRIPT, "message": LINK},),
        dataplane={"cni": IMAGE},
    )
    write_manifest(path.with_suffix(".json"), manifest)
    return path


def _packets() -> Iterator[tuple[float, Packet]]:
    uri = f"/{SCRIPT.replace(' ', '')}?token={SECRET}"
    head = f"Host: {SCRIPT}\r\nAuthorization: Bearer {SECRET}\r\nCookie: s={SECRET}\r\n"
    body = f"password={SECRET}"
    asked = f"POST {uri} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    answer = f"HTTP/1.1 500 {IMAGE}\r\nContent-Length: {len(SECRET)}\r\n\r\n{SECRET}".encode()
    yield from _talk(40000, 8080, asked, answer)
    yield from _talk(40001, 443, client_hello(SCRIPT), b"\x15\x03\x03\x00\x02\x02\x28")
    yield from _talk(
        40002, 6379, f"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len(SECRET)}\r\n{SECRET}\r\n".encode(), b"+OK\r\n"
    )
    for n in range(4):
        yield n * 0.01, _segment(CLIENT, REFUSING, 41000 + n, 9000, "S")
        yield n * 0.01 + 0.001, _segment(REFUSING, CLIENT, 9000, 41000 + n, "RA", ack=1)
    for n, name in enumerate((SCRIPT, IMAGE, "api.test")):
        query = UDP(sport=5000 + n, dport=53) / DNS(id=n, qd=DNSQR(qname=name.encode()))
        yield (
            n * 2.0,
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=CLIENT, dst=RESOLVER) / query,
        )


def _talk(sport: int, port: int, asked: bytes, answer: bytes) -> Iterator[tuple[float, Packet]]:
    there, back = (CLIENT, SERVER, sport, port), (SERVER, CLIENT, port, sport)
    yield 0.0, _segment(*there, "S")
    yield 0.001, _segment(*back, "SA", ack=1)
    yield 0.0011, _segment(*there, "A", seq=1, ack=1)
    yield 0.0012, _segment(*there, "PA", seq=1, ack=1, data=asked)
    yield 0.3, _segment(*back, "PA", seq=1, ack=1 + len(asked), data=answer)


def _segment(
    src: str, dst: str, sport: int, dport: int, flags: str, *, seq: int = 0, ack: int = 0, data: bytes = b""
) -> Packet:
    tcp = TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=64240)
    packet = _frame() / IP(src=src, dst=dst) / tcp
    return packet / Raw(data) if data else packet


def _frame() -> Packet:
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def client_hello(name: str) -> bytes:
    """A TLS 1.2 ClientHello with that server name (RFC 5246, RFC 6066)."""
    host = name.encode()
    listed = struct.pack("!BH", 0, len(host)) + host
    extension = struct.pack("!HHH", 0, len(listed) + 2, len(listed)) + listed
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
    body += struct.pack("!H", len(extension)) + extension
    shake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake
