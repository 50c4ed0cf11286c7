"""A capture of bulk TCP from a formula: any number of packets, no root.

    python benchmarks/peers/synthetic.py OUT.pcap PACKETS

8 flows in turn, segments of 1,448 bytes, snaplen 200. After the handshake each flow goes in cycles of 48
packets: two segments and an ACK, 16 times. In one cycle of four the first segment is lost on its way:
duplicate ACKs follow, then the segment again in the place of an ACK, then ACKs of everything.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np

FLOWS, CYCLE, SEGMENT, SNAPLEN = 8, 48, 1448, 200
_SEGMENTS_A_CYCLE = 32
_REPEATED = 26
"""The slot of a lossy cycle in which the first segment comes again."""
_HANDSHAKE = 3
_AT_ONCE = 100_000
_HEADERS = 66
_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1)
_RECORD = np.dtype(
    [
        ("seconds", "<u4"), ("micros", "<u4"), ("captured", "<u4"), ("length", "<u4"),
        ("macs", "u1", 12), ("ethertype", ">u2"),
        ("version", "u1"), ("tos", "u1"), ("total", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
        ("ttl", "u1"), ("protocol", "u1"), ("ip_checksum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
        ("src_port", ">u2"), ("dst_port", ">u2"), ("seq", ">u4"), ("ack", ">u4"),
        ("offset", "u1"), ("flags", "u1"), ("window", ">u2"), ("checksum", ">u2"), ("urgent", ">u2"),
        ("options", ">u4", 3), ("payload", "u1", SNAPLEN - _HEADERS),
    ]
)  # fmt: skip
_CLIENT, _SERVER = 0xC6120001, 0xC6120002
_SYN_OPTIONS = (0x020405B4, 0x01030307, 0x01010101)


def write(path: Path, packets: int) -> None:
    """Write the capture, a block at a time: memory does not grow with it."""
    with path.open("wb") as out:
        out.write(_FILE_HEADER)
        for begin in range(0, packets, _AT_ONCE):
            out.write(_block(np.arange(begin, min(begin + _AT_ONCE, packets))))


def _block(number: np.ndarray) -> bytes:
    records = np.zeros(len(number), _RECORD)
    _frame(records, number)
    from_server, seq, ack = _segments(records, number)
    flow = number % FLOWS
    ends = (np.full(len(number), _CLIENT), np.full(len(number), _SERVER))
    ports = (40_000 + flow, np.full(len(number), 5201))
    for name, (client, server) in (("src", ends), ("src_port", ports)):
        records[name] = np.where(from_server, server, client)
        records[name.replace("src", "dst")] = np.where(from_server, client, server)
    records["seq"], records["ack"] = seq % 2**32, ack % 2**32
    return _bytes(records)


def _frame(records: np.ndarray, number: np.ndarray) -> None:
    """What all packets have: 2 µs between them, headers with timestamps."""
    micros = number * 2
    records["seconds"], records["micros"] = 1_700_000_000 + micros // 1_000_000, micros % 1_000_000
    for name, value in {
        "ethertype": 0x0800, "version": 0x45, "fragment": 0x4000, "ttl": 64, "protocol": 6,
        "offset": 0x80, "flags": 0x10, "window": 50_000,
    }.items():  # fmt: skip
        records[name] = value
    records["options"][:, 0] = 0x0101080A
    records["options"][:, 1] = records["options"][:, 2] = 1 + micros // 1000


def _segments(records: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the server sends, seq and ack; lengths and flags go into the records."""
    step = number // FLOWS - _HANDSHAKE
    cycle, slot = step // CYCLE, step % CYCLE
    lossy = ((cycle * FLOWS + number % FLOWS) * 2_654_435_761 >> 9) % 4 == 0
    repeated = lossy & (slot == _REPEATED)
    answers = (slot % 3 == 2) & ~repeated
    sent = cycle * _SEGMENTS_A_CYCLE + np.where(repeated, 0, slot // 3 * 2 + slot % 3)
    seen = cycle * _SEGMENTS_A_CYCLE + np.where(lossy & (slot < _REPEATED), 0, slot // 3 * 2 + 2)
    seq, ack = np.where(answers, 1, 1 + sent * SEGMENT), np.where(answers, 1 + seen * SEGMENT, 1)
    payload = np.where(answers, 0, SEGMENT)

    opening = step < 0
    syn, syn_ack = step == -_HANDSHAKE, step == 1 - _HANDSHAKE
    records["flags"][syn], records["flags"][syn_ack] = 0x02, 0x12
    records["options"][syn | syn_ack] = _SYN_OPTIONS
    payload[opening] = 0
    seq[opening], ack[opening] = (~(syn | syn_ack))[opening], (~syn)[opening]
    _lengths(records, payload)
    return np.where(opening, syn_ack, answers), seq, ack


def _lengths(records: np.ndarray, payload: np.ndarray) -> None:
    records["length"] = _HEADERS + payload
    records["captured"] = np.minimum(_HEADERS + payload, SNAPLEN)
    records["total"] = _HEADERS - 14 + payload
    words = 0x4500 + records["total"].astype(np.int64) + 0x4000 + 0x4006
    words += sum(half for end in (_CLIENT, _SERVER) for half in divmod(end, 1 << 16))
    records["ip_checksum"] = 0xFFFF - (words % 0x10000 + words // 0x10000)


def _bytes(records: np.ndarray) -> bytes:
    """The records, each without the room behind its captured bytes."""
    rows = records.view(np.uint8).reshape(len(records), _RECORD.itemsize)
    kept = np.arange(_RECORD.itemsize) < (16 + records["captured"])[:, None]
    return bytes(rows[kept])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
