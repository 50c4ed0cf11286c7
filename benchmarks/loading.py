"""How fast a capture becomes data: the columnar engine beside its peers, on one file, in one run.

    pip install '.[bench]'
    sudo python benchmarks/loading.py [--file F] [--runs 3] [--peers tcpdump,columnar,…]
    python benchmarks/loading.py --growth

Without --file it makes its own (benchmarks/bulk_capture.py: root, iperf3): 1.34 million packets of 8 lossy
bulk flows, snaplen 200. Each peer runs in a process of its own and times its work without its imports; peers take
turns, the medians count. Slow peers get the first packets only. `--growth` loads synthetic captures of 10
thousand to 10 million packets and prints time and peak memory a packet.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIELDS = ("frame.number", "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport",
          "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len", "tcp.analysis.retransmission")  # fmt: skip
PEERS = {
    "tcpdump": ("tcpdump -r FILE -w /dev/null", 0),
    "columnar": ("k8scap, columnar: the whole packets table, with sequence analysis", 0),
    "fpcap": ("fpcap: iterating only", 0),
    "nfstream": ("NFStream: flows", 0),
    "dpkt": ("dpkt: Ethernet, IP, TCP", 200_000),
    "scapy": ("scapy: PcapReader", 20_000),
    "pcaptoparquet": ("pcaptoparquet", 20_000),
    "fields": (f"tshark -T fields, {len(FIELDS)} fields", 50_000),
    "same": ("tshark -T fields, the packets table's columns (engine=\"pyshark\")", 20_000),
    "json": ("pyshark, use_json", 3_000),
    "xml": ("pyshark", 1_000),
}  # fmt: skip
"""Peers, what they do, and how many packets they get (0: all)."""

# ruff: noqa: E501 - programs of one line each
WORK = {
    "tcpdump": "import subprocess; subprocess.run(['tcpdump', '-r', F, '-w', '/dev/null'], stderr=-3, check=True)",
    "columnar": "import k8scap; k8scap.load(F).packets\nbegin()\nk8scap.load(F).packets",
    "fpcap": "import fpcap\nbegin()\nr = fpcap.PacketReader(F)\nwhile not r.is_exhausted():\n    r.next_packet()",
    "nfstream": "import nfstream\nbegin()\nsum(1 for _ in nfstream.NFStreamer(F, n_dissections=0, n_meters=1))",
    "dpkt": (
        "import dpkt\nbegin()\nfor _, b in dpkt.pcap.Reader(open(F, 'rb')):\n"
        "    try:\n        dpkt.ethernet.Ethernet(b)\n    except dpkt.dpkt.Error:\n        pass"
    ),
    "scapy": "import scapy.all as s\nbegin()\nfor _ in s.PcapReader(F):\n    pass",
    "pcaptoparquet": (
        "import subprocess, sys, os\n"
        "subprocess.run([os.path.dirname(sys.executable) + '/pcaptoparquet', '-i', F, '-o', O],"
        " stdout=-3, stderr=-3, check=True)"
    ),
    "fields": "import subprocess; subprocess.run(['tshark', '-n', '-r', F, '-T', 'fields', *FIELDS], stdout=-3)",
    "same": "import k8scap\nbegin()\nk8scap.load(F, engine='pyshark').packets",
    "json": "import pyshark\nbegin()\nfor p in pyshark.FileCapture(F, use_json=True, include_raw=False):\n    p.tcp.len",
    "xml": "import pyshark\nbegin()\nfor p in pyshark.FileCapture(F):\n    p.tcp.len",
}  # fmt: skip


def seconds(peer: str, path: Path) -> float | None:
    """One peer's time on a file; None where it is not there."""
    fields = [word for field in FIELDS for word in ("-e", field)]
    with tempfile.TemporaryDirectory() as folder:
        code = (
            f"import time\nF, O, FIELDS = {str(path)!r}, {folder + '/out'!r}, {fields!r}\n"
            "T = [time.perf_counter()]\ndef begin():\n    T[0] = time.perf_counter()\n"
            f"{WORK[peer]}\nprint('took', time.perf_counter() - T[0])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    times = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("took ")]
    if not times:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        print(f"{peer}: left out ({last[:100]})", file=sys.stderr)
        return None
    return float(times[-1])


def count(path: Path) -> int:
    """Packets, as capinfos counts them."""
    done = subprocess.run(["capinfos", "-Mcr", str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def compare(path: Path, peers: list[str], runs: int) -> None:
    """Run all peers in turn and print the table."""
    total = count(path)
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    packets = dict.fromkeys(peers, total)
    with tempfile.TemporaryDirectory() as folder:
        cuts = {}
        for peer in peers:
            packets[peer] = min(PEERS[peer][1] or total, total)
            cuts[peer] = path if packets[peer] == total else Path(folder) / f"{packets[peer]}.pcap"
            if not cuts[peer].exists():
                subprocess.run(
                    ["tcpdump", "-r", str(path), "-c", str(packets[peer]), "-w", str(cuts[peer])],
                    stderr=subprocess.DEVNULL, check=True,
                )  # fmt: skip
        for _ in range(runs):
            for peer in peers:
                took = seconds(peer, cuts[peer]) if len(times[peer]) == _ else None
                times[peer] += [took] if took else []
    rate = {peer: packets[peer] / statistics.median(t) for peer, t in times.items() if t}
    print(f"\n{machine()}\n{path.stat().st_size / 1e6:.0f} MB, {total:,} packets; medians of {runs} runs\n")
    print("| peer | packets | packets/s | columnar is faster by |\n| --- | ---: | ---: | ---: |")
    for peer in sorted(rate, key=lambda name: -rate[name]):
        ratio = f"{rate['columnar'] / rate[peer]:,.2g} x" if "columnar" in rate else ""
        print(f"| {PEERS[peer][0]} | {packets[peer]:,} | {rate[peer]:,.0f} | {ratio} |")


def machine() -> str:
    """What the figures were taken on."""
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        names = [n for n in Path("/proc/cpuinfo").read_text().splitlines() if n.startswith("model name")]
        model = names[0].split(": ")[1] if names else model
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numba", "numpy", "pandas")
    )
    load = f"{os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} cores ({model}), load {load}, Python {platform.python_version()}, {versions}"


def synthetic(path: Path, packets: int) -> None:
    """Bulk flows from a formula: 8 senders, an acknowledgment for every second segment."""
    import numpy as np

    frame = bytes(12) + b"\x08\x00" + bytes([0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 6, 0, 0])
    frame += bytes([198, 18, 0, 1, 198, 18, 0, 2]) + bytes(20)
    record = np.frombuffer(struct.pack("<IIII", 0, 0, len(frame), 1514) + frame, np.uint8)
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 200, 1))
        for begin in range(0, packets, 100_000):
            n = np.arange(begin, min(begin + 100_000, packets))
            block = np.tile(record, (len(n), 1))
            flow, step, answer = n % 8, n // 24, n % 24 >= 16
            block[:, 0:4] = (1_700_000_000 + n // 100_000).astype("<u4")[:, None].view(np.uint8)
            block[:, 4:8] = (n % 100_000 * 10).astype("<u4")[:, None].view(np.uint8)
            block[answer, 16 + 29], block[answer, 16 + 33] = 2, 1
            port = (40_000 + flow).astype(">u2")[:, None].view(np.uint8)
            server = np.full(len(n), 5201, ">u2")[:, None].view(np.uint8)
            block[:, 50:52] = np.where(answer[:, None], server, port)
            block[:, 52:54] = np.where(answer[:, None], port, server)
            first = (step * 2 + (n % 24 >= 8) * ~answer) * 1460 + 1
            block[:, 54:58] = np.where(answer, 1, first).astype(">u4")[:, None].view(np.uint8)
            block[:, 58:62] = np.where(answer, first + 2920, 1).astype(">u4")[:, None].view(np.uint8)
            block[:, 62], block[:, 63], block[:, 64] = 0x50, 0x10, 0xFF
            block[answer, 16 + 16 : 16 + 18] = (0, 40)
            out.write(block.tobytes())


def growth() -> None:
    """Time and peak memory of loading, by how many packets there are."""
    code = (
        "import resource, sys, time, k8scap\n"
        "k8scap.load(sys.argv[1]).packets\n"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t = time.perf_counter(); table = k8scap.load(sys.argv[2]).packets; t = time.perf_counter() - t\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base\n"
        "print(len(table), t, grown * 1024 / len(table))"
    )
    print(
        f"\n{machine()}\n\n| packets | s | packets/s | peak memory, bytes/packet |\n| ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.pcap"
        synthetic(small, 1000)
        for packets in (10_000, 100_000, 1_000_000, 10_000_000):
            path = Path(folder) / f"{packets}.pcap"
            synthetic(path, packets)
            done = subprocess.run(
                [sys.executable, "-c", code, str(small), str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            rows, took, memory = (float(word) for word in done.stdout.split())
            print(f"| {rows:,.0f} | {took:.3f} | {rows / took:,.0f} | {memory:.0f} |", flush=True)
            path.unlink()


def opening(path: Path) -> None:
    """A small capture in a fresh process, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.pcap"
        subprocess.run(
            ["tcpdump", "-r", str(path), "-c", "1000", "-w", str(small)],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        code = "import sys, k8scap; k8scap.load(sys.argv[1]).packets"
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code, str(small)], check=True)
            times.append(time.perf_counter() - begun)
    print(f"\n1,000 packets in a fresh process, imports included: {statistics.median(times):.2f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--packets", type=int, default=1_340_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--growth", action="store_true")
    arguments = parser.parse_args()
    if arguments.growth:
        growth()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file
        if path is None:
            from bulk_capture import make

            path = Path(folder) / "bulk.pcap"
            make(path, arguments.packets)
        compare(path, arguments.peers.split(","), arguments.runs)
        opening(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
