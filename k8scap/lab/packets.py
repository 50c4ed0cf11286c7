"""IPv4 packets as bytes: read for the log, and those with which a link answers: ICMP errors, resets."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

ROUTER = IPv4Address("198.19.255.254")  # who signs the link's own ICMP errors
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
_FLAG_LETTERS = "FSRPAUEC"  # in the order of their bits, RFC 9293 and RFC 3168
_ICMP, _TCP_NUMBER, _UDP_NUMBER = 1, 6, 17
_ECHO_REQUEST = 8
_VXLAN, _INSIDE = (4789).to_bytes(2), 50  # its port; outer IP, UDP, VXLAN and Ethernet headers
_IPV4_FRAME = b"\x08\x00\x45"  # EtherType, and the first byte of a header without options
_CHECKSUM_AT = {_TCP_NUMBER: 36, _UDP_NUMBER: 26}  # after an IPv4 header without options
_RST, _ACK = 0x04, 0x10
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
    return _unreachable(data, code=4, mtu=mtu, teller=ROUTER.packed)


def rejection(data: bytes, code: int) -> bytes:
    """The ICMP error with which a firewall's REJECT refuses a packet; b"" where none may be sent.

    Port unreachable (3) comes from the address that was asked, as if it had no such port; prohibited (10,
    13) from a router on the way. Of ICMP only an echo request is answered (RFC 1122, 3.2.2).
    """
    if data[9] == _ICMP and data[20] != _ECHO_REQUEST:
        return b""
    return _unreachable(data, code=code, mtu=0, teller=data[16:20] if code == 3 else ROUTER.packed)


def reset_back(data: bytes) -> bytes:
    """The reset that answers a segment, as if from whom it was sent to (RFC 9293, 3.10.7.1).

    b"" where there is none: the packet is no TCP segment, or is a reset itself.
    """
    if data[9] != _TCP_NUMBER or data[33] & _RST:
        return b""
    seq, ack = struct.unpack_from("!II", data, 24)
    payload = len(data) - 20 - (data[32] >> 4) * 4
    end = (seq + payload + (data[33] & 1) + (data[33] >> 1 & 1)) % 2**32
    numbers = (ack, 0, _RST) if data[33] & _ACK else (0, end, _RST | _ACK)
    return _segment(data[16:20] + data[12:16], data[22:24] + data[20:22], *numbers)


def reset_on(data: bytes) -> bytes:
    """A reset in place of a segment, to whom it was sent: in its window, as if its sender had aborted.

    b"" where the packet is no TCP segment, or is a reset itself.
    """
    if data[9] != _TCP_NUMBER or data[33] & _RST:
        return b""
    seq, ack = struct.unpack_from("!II", data, 24)
    return _segment(data[12:20], data[20:24], seq, ack, _RST | data[33] & _ACK)


def inner(data: bytes) -> bytes:
    """The IPv4 packet that a VXLAN packet carries (RFC 7348), and any other packet as it is."""
    is_vxlan = data[9] == _UDP_NUMBER and data[22:24] == _VXLAN and len(data) >= _INSIDE + 20
    if is_vxlan and data[_INSIDE - 2 : _INSIDE + 1] == _IPV4_FRAME:
        return data[_INSIDE:]
    return data


def damaged(data: bytes) -> bytes:
    """A TCP or UDP packet with a checksum that is wrong, inside of a tunnel the inner one's."""
    carried = inner(data)
    at = _CHECKSUM_AT.get(carried[9])
    if at is None:
        return data
    at += len(data) - len(carried)
    wrong = int.from_bytes(data[at : at + 2]) ^ 0x5555
    return data[:at] + wrong.to_bytes(2) + data[at + 2 :]


def readdressed(data: bytes, *, source: bytes = b"", destination: bytes = b"") -> bytes:
    """A whole IPv4 packet with other addresses (4 bytes each), and checksums that fit them (RFC 1624)."""
    new = (source or data[12:16]) + (destination or data[16:20])
    old = data[12:20]
    changed = bytearray(data)
    changed[12:20] = new
    places = [10] if (at := _CHECKSUM_AT.get(data[9])) is None else [10, at]
    for place in places:
        there = int.from_bytes(data[place : place + 2])
        if there or place != _CHECKSUM_AT[_UDP_NUMBER]:  # 0: this datagram has none (RFC 768)
            changed[place : place + 2] = _amended(there, old, new).to_bytes(2)
    return bytes(changed)


def _amended(there: int, old: bytes, new: bytes) -> int:
    """A checksum after some of what it covers was replaced."""
    removed = b"".join((~word & 0xFFFF).to_bytes(2) for (word,) in struct.iter_unpack("!H", old))
    return checksum((~there & 0xFFFF).to_bytes(2) + removed + new)


def _unreachable(data: bytes, *, code: int, mtu: int, teller: bytes) -> bytes:
    quoted = data[:28]  # its IP header and 64 bits more
    icmp = struct.pack("!BBHHH", 3, code, 0, 0, mtu) + quoted
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    return _header(_ICMP, len(icmp), teller + data[12:16]) + icmp


def _segment(addresses: bytes, ports: bytes, seq: int, ack: int, flags: int) -> bytes:
    """A TCP segment of nothing but its header."""
    tcp = ports + struct.pack("!IIBBHHH", seq, ack, 5 << 4, flags, 0, 0, 0)
    summed = checksum(addresses + struct.pack("!HH", _TCP_NUMBER, len(tcp)) + tcp)
    return _header(_TCP_NUMBER, len(tcp), addresses) + tcp[:16] + struct.pack("!H", summed) + tcp[18:]


def _header(protocol: int, length: int, addresses: bytes) -> bytes:
    """An IPv4 header of a packet with `length` bytes after it; `addresses` are source and destination."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, protocol, 0) + addresses
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
