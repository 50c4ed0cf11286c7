"""Datagrams are told apart by their first bytes, wherever these stand in the frame."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from k8scap.parser.payload_heads import HEAD, payload_heads

ETHERNET, RAW_IP = 1, 101
PORTS = (1234, 53)


def heads(path, frames, link_type, length, *, snaplen=65_535):
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, link_type))
        for frame in map(bytes, frames):
            kept = frame[:snaplen]
            file.write(struct.pack("<IIII", 0, 0, len(kept), len(frame)) + kept)
    return payload_heads(
        [path],
        number=np.arange(1, len(frames) + 1),
        ports=np.array([PORTS] * len(frames)),
        payload_length=np.array([length] * len(frames)),
    )


def datagram(payload):
    return UDP(sport=PORTS[0], dport=PORTS[1]) / Raw(payload)


@pytest.mark.parametrize("payload", [b"abc", bytes(range(200))])
def test_one_payload_has_one_hash_behind_any_headers_padding_and_check_sequence(tmp_path, payload):
    ether, ip = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"),
        IP(src="198.18.0.1", dst="198.18.0.2"),
    )
    padded = bytes(ether / ip / datagram(payload)).ljust(60, b"\0") + b"\xde\xad\xbe\xef"
    ethernet = [ether / ip / datagram(payload), padded, ether / Dot1Q(vlan=5) / ip / datagram(payload)]
    raw = [ip / datagram(payload), IPv6(src="fd00::1", dst="fd00::2") / datagram(payload)]
    found = [
        *heads(tmp_path / "e.pcap", ethernet, ETHERNET, len(payload)),
        *heads(tmp_path / "r.pcap", raw, RAW_IP, len(payload)),
    ]
    assert len(set(found)) == 1
    assert found[0] != 0


def test_other_payloads_have_other_hashes(tmp_path):
    frames = [IP() / datagram(bytes([n, 7])) for n in range(100)]
    assert len(set(heads(tmp_path / "x.pcap", frames, RAW_IP, 2))) == 100


def test_bytes_that_were_not_captured_give_none(tmp_path):
    frames = [IP() / datagram(bytes(range(100)))]
    assert heads(tmp_path / "x.pcap", frames, RAW_IP, 100, snaplen=28 + HEAD - 1).tolist() == [0]
    assert heads(tmp_path / "y.pcap", frames, RAW_IP, 100, snaplen=28 + HEAD).tolist() != [0]
    assert heads(tmp_path / "z.pcap", frames, RAW_IP, 100, snaplen=10).tolist() == [0]


def test_a_datagram_that_is_not_where_it_should_be_gives_none(tmp_path):
    assert heads(tmp_path / "x.pcap", [IP() / datagram(b"abc"), b"", b"\x45"], RAW_IP, 50).tolist() == [0] * 3
