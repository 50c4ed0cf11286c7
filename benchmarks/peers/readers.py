"""One peer reads one file: prints how many packets it saw and the seconds it took, as JSON.

    python benchmarks/peers/readers.py PEER FILE

Each `with_…` imports what it needs and gives the work; only the work is timed. Where the work is a program of
its own (tcpdump, tshark, and the cold start of k8scap) its start is part of it. A peer that cannot be
imported or found is `missing`. Packets are counted where that costs nothing; None elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], int | None]

FEW_FIELDS = (
    "frame.number", "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport",
    "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "tcp.analysis.retransmission",
)  # fmt: skip


def _program(argv: list[str]) -> Work:
    """A program that writes what it finds to nowhere."""

    def work() -> None:
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    return work


def with_tcpdump(path: str) -> Work:
    return _program(["tcpdump", "-r", path, "-w", os.devnull])


def with_tshark_few(path: str) -> Work:
    return _program(["tshark", "-n", "-r", path, "-T", "fields", *(w for f in FEW_FIELDS for w in ("-e", f))])


def with_tshark_schema(path: str) -> Work:
    """The command of engine="pyshark", without what we do with its output."""
    from k8scap.parser.reference.chunk import FORMAT, PROTOCOLS
    from k8scap.parser.reference.tshark import command
    from k8scap.schema import CHECKSUM_PREFERENCES, PACKETS

    fields = dict.fromkeys([PROTOCOLS, *(field for column in PACKETS for field in column.fields)])
    output = ["-T", "fields", *FORMAT, *(word for field in fields for word in ("-e", field))]
    return _program(command(Path(path), output, preferences=CHECKSUM_PREFERENCES))


def with_columnar(path: str) -> Work:
    """Warm: the second load in one process; its table is still there when the clock is read."""
    import k8scap

    k8scap.load(path, engine="columnar").packets  # noqa: B018 - a property that reads
    kept = []

    def work() -> int:
        kept.append(k8scap.load(path, engine="columnar").packets)
        return len(kept[0])

    return work


def with_columnar_cold(path: str) -> Work:
    """A new process that imports and loads; what it compiled once lies in the cache."""
    code = "import sys, k8scap; k8scap.load(sys.argv[1], engine='columnar').packets"
    return _program([sys.executable, "-c", code, path])


def with_pyshark_engine(path: str) -> Work:
    import k8scap

    return lambda: len(k8scap.load(path, engine="pyshark").packets)


def with_fpcap(path: str) -> Work:
    import fpcap

    def work() -> int:
        reader, packets = fpcap.PacketReader(path), 0
        while not reader.is_exhausted():
            packets += reader.next_packet() is not None
        return packets

    return work


def with_nfstream(path: str) -> Work:
    """Without nDPI's guess at the application, which nobody else makes; meters as it decides itself."""
    import nfstream

    return lambda: sum(flow.bidirectional_packets for flow in nfstream.NFStreamer(path, n_dissections=0))


def with_dpkt(path: str) -> Work:
    import dpkt

    def work() -> int:
        packets = 0
        with Path(path).open("rb") as file:
            for _, frame in dpkt.pcap.Reader(file):
                packets += isinstance(dpkt.ethernet.Ethernet(frame).data.data, dpkt.tcp.TCP)
        return packets

    return work


def with_scapy(path: str) -> Work:
    from scapy.all import TCP, PcapReader

    def work() -> int:
        with PcapReader(path) as reader:
            return sum(TCP in packet for packet in reader)

    return work


def with_pcaptoparquet(path: str) -> Work:
    from pcaptoparquet.e2e_pcap import E2EPcap

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            E2EPcap(None, "Network", path).export(output=f"{folder}/packets.parquet", outformat="parquet")

    return work


def with_pyshark(path: str, *, use_json: bool = False) -> Work:
    import pyshark

    def work() -> int:
        capture = pyshark.FileCapture(path, use_json=use_json)
        packets = sum(packet.tcp.len is not None for packet in capture)
        capture.close()
        return packets

    return work


def with_pyshark_json(path: str) -> Work:
    return with_pyshark(path, use_json=True)


def main() -> None:
    reader, path = sys.argv[1:]
    try:
        work = globals()[f"with_{reader}"](path)
        begun = time.perf_counter()
        packets = work()
    except (ImportError, FileNotFoundError) as missing:
        print(json.dumps({"missing": str(missing)}))
        return
    print("\n" + json.dumps({"packets": packets, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
