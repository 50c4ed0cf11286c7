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

from addresses import MAC_A, MAC_B, START, A, B
from built_packets import cooked, cooked_with_index, headers, quoted, tunnels
from connections import tcp_verdicts
from scapy.all import IP, UDP, Ether, Packet, wrpcap

FOLDER = Path(__file__).parent / "captures"
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
