"""IPv4 packets as bytes: read for the log, and the ICMP error that a too small MTU calls for."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

ROUTER = IPv4Address("198.19.255.254")  # who signs the link's own ICMP errors
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
_FLAG_LETTERS = "FSRPAUEC"  # in the order of their bits, RFC 9293 and RFC 3168
_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBH")
_UDP = struct.Struct("!HHHH")


def describe(data: bytes, length: int) -> dict[str, Any]:
    """The headers of one packet as the log tells them; `data` may be cut off, `length` is the whole.

    Sequence and acknowledgment numbers are the raw ones of the wire.
    """
    if length < 20 or data[0] != 0x45:
        return {"protocol": f"ip version {data[0] >> 4}", "length": length}
    _, _, total, identity, _, ttl, protocol, _, src, dst = _IP.unpack_from(data)
    row: dict[str, Any] = {
        "protocol": PROTOCOLS.get(protocol, str(protocol)),
        "src": str(IPv4Address(src)),
        "dst": str(IPv4Address(dst)),
        "length": total,
        "ip_id": identity,
        "ttl": ttl,
    }
    if protocol == 6:
        row |= _describe_tcp(data, total)
    elif protocol == 17:
        src_port, dst_port, size, _ = _UDP.unpack_from(data, 20)
        row |= {"src_port": src_port, "dst_port": dst_port, "payload_length": size - 8}
    elif protocol == 1:
        row |= {"icmp_type": data[20], "icmp_code": data[21]}
    return row


def _describe_tcp(data: bytes, total: int) -> dict[str, Any]:
    src_port, dst_port, seq, ack, offset, flags, window = _TCP.unpack_from(data, 20)
    return {
        "src_port": src_port,
        "dst_port": dst_port,
        "seq_raw": seq,
        "ack_raw": ack,
        "flags": "".join(letter for bit, letter in enumerate(_FLAG_LETTERS) if flags >> bit & 1),
        "window_raw": window,
        "payload_length": total - 20 - (offset >> 4) * 4,
    }


def too_big(data: bytes, mtu: int) -> bytes:
    """The ICMP error "fragmentation needed" about a packet, to its sender (RFC 792, RFC 1191)."""
    quoted = data[:28]  # its IP header and 64 bits more
    icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    header = _IP.pack(0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0, ROUTER.packed, data[12:16])
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + icmp


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
