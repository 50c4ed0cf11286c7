"""How fast a capture becomes data: the columnar engine beside its peers, on one file, in one run.

    pip install '.[bench]'
    sudo python benchmarks/loading.py [--packets N] [--file F] [--runs K] [--peers a,b] [--folder DIR]
    python benchmarks/loading.py --synthetic
    python benchmarks/loading.py --growth

Without --file it makes its own (benchmarks/bulk_capture.py: root, iperf3), and keeps it in --folder: 1.34
million packets of 8 lossy bulk flows, snaplen 200. Without root, and with --synthetic, a formula makes one.
Each peer runs in a process of its own and times its work without its imports; peers take turns, the medians
count. Slow peers get the first packets only, a peer that is not installed is left out. `--growth` loads
synthetic captures of 10 thousand to 10 million packets.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_READERS = Path(__file__).parent / "peers" / "readers.py"
_MAKES_TRAFFIC = ("ip", "iperf3", "ethtool", "iptables", "tcpdump")
_PATIENCE = 600


@dataclass(frozen=True)
class Peer:
    """What it does, and how many packets it gets (0: all)."""

    says: str
    packets: int = 0


PEERS = {
    "tcpdump": Peer("`tcpdump -r FILE -w /dev/null`"),
    "columnar": Peer("**k8scap, columnar**: the packets table, sequence analysis and all; warm"),
    "columnar_cold": Peer("k8scap, columnar, in a new process: start and imports counted"),
    "fpcap": Peer("fpcap: iterating only"),
    "nfstream": Peer("NFStream: flows"),
    "dpkt": Peer("dpkt: Ethernet, IP, TCP"),
    "tshark_few": Peer("`tshark -T fields`, 13 fields", 200_000),
    "tshark_schema": Peer("`tshark -T fields`, all fields of the packets table", 200_000),
    "pyshark_engine": Peer('k8scap, `engine="pyshark"`: the packets table from these', 200_000),
    "pcaptoparquet": Peer("pcaptoparquet", 100_000),
    "scapy": Peer("scapy: PcapReader", 50_000),
    "pyshark_json": Peer("pyshark, `use_json`", 5_000),
    "pyshark": Peer("pyshark", 3_000),
}


def seconds(name: str, path: Path, packets: int) -> float | str:
    """One peer's time on a file of so many packets, or why there is none."""
    argv = [sys.executable, str(_READERS), name, str(path)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return f"not done after {_PATIENCE} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it failed without a word"])[-1][:150]
    answer = json.loads(done.stdout.splitlines()[-1])
    if "missing" in answer:
        return f"not installed ({answer['missing']})"
    if answer["packets"] not in {None, packets}:
        return f"saw {answer['packets']:,} of {packets:,} packets"
    return float(answer["seconds"])


def compare(path: Path, names: list[str], runs: int) -> None:
    """Run the peers in turn and print the table."""
    total = _count(path)
    packets = {name: min(PEERS[name].packets or total, total) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        files = {size: _first_packets(path, size, total, Path(folder)) for size in packets.values()}
        for _ in range(runs):
            for name in list(times):
                taken = seconds(name, files[packets[name]], packets[name])
                if isinstance(taken, str):
                    print(f"{name}: left out: {taken}", file=sys.stderr)
                    del times[name]
                else:
                    times[name].append(taken)
                    print(f"{name}: {packets[name] / taken:,.0f} packets/s", file=sys.stderr, flush=True)
    size = path.stat().st_size / 1e6
    print(f"{size:.0f} MB, {total:,} packets; medians of {runs} runs, slowest to fastest\n")
    _print_table({name: _rates(packets[name], some) for name, some in times.items()}, packets)


def _rates(packets: int, times: list[float]) -> list[float]:
    return sorted(packets / taken for taken in times)


def _print_table(rates: dict[str, list[float]], packets: dict[str, int]) -> None:
    """Rates are packets a second, slowest first."""
    middle = {name: median(some) for name, some in rates.items()}
    print("| peer | packets | packets/s | from … to | time, tcpdump's = 1 | columnar is faster by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in sorted(middle, key=lambda name: -middle[name]):
        slower = _ratio(middle.get("tcpdump"), middle[name])
        faster = _ratio(middle.get("columnar"), middle[name])
        span = f"{rates[name][0]:,.0f} … {rates[name][-1]:,.0f}"
        print(
            f"| {PEERS[name].says} | {packets[name]:,} | {middle[name]:,.0f} | {span} | {slower} | {faster} |"
        )


def _ratio(rate: float | None, other: float) -> str:
    if rate is None:
        return ""
    return f"{rate / other:,.0f}" if rate / other >= 20 else f"{rate / other:.2g}"


def _count(path: Path) -> int:
    """Packets, as capinfos counts them."""
    done = subprocess.run(["capinfos", "-Mcr", str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def _first_packets(path: Path, size: int, total: int, folder: Path) -> Path:
    cut = folder / f"{size}.pcap"
    if size == total:
        return path
    argv = ["tcpdump", "-r", str(path), "-c", str(size), "-w", str(cut)]
    subprocess.run(argv, stderr=subprocess.DEVNULL, check=True)
    return cut


def opening(path: Path, runs: int) -> float:
    """Seconds until the first 1,000 packets are a table, in a new process, imports included; the median."""
    with tempfile.TemporaryDirectory() as folder:
        small = _first_packets(path, 1000, 0, Path(folder))
        taken = [seconds("columnar_cold", small, 1000) for _ in range(runs)]
    return median(some for some in taken if isinstance(some, float))


def machine() -> str:
    """What the figures were taken on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), model)
    names = ("numba", "numpy", "pandas", "pyshark", "scapy", "dpkt", "nfstream", "fpcap", "pcaptoparquet")
    tools = [_first_line(tool) for tool in ("tshark", "tcpdump")]
    versions = ", ".join([*(f"{name} {_version(name)}" for name in names), *filter(None, tools)])
    load = f"load {os.getloadavg()[0]:.1f} before the first run"
    return f"{os.cpu_count()} cores ({model}), {load}; Python {platform.python_version()}, {versions}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _first_line(tool: str) -> str:
    if shutil.which(tool) is None:
        return f"{tool} missing"
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split("\n")[0].replace("TShark (Wireshark)", "tshark").split()
    return " ".join(words[:3] if "version" in words else words[:2])


def capture(folder: Path, packets: int, *, synthetic: bool) -> Path:
    """The benchmark's capture, from this folder where it lies there already."""
    if not synthetic and os.geteuid() != 0:
        print("not root: a synthetic capture instead of iperf3's", file=sys.stderr)
        synthetic = True
    missing = [] if synthetic else [tool for tool in _MAKES_TRAFFIC if shutil.which(tool) is None]
    if missing:
        sys.exit(
            f"Not installed: {', '.join(missing)}. Next: apt-get install iproute2 {' '.join(missing[-4:])}"
        )
    path = folder / f"{'synthetic' if synthetic else 'bulk'}-{packets}.pcap"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    if synthetic:
        from peers.synthetic import write

        unfinished = path.with_suffix(".part")
        write(unfinished, packets)
        unfinished.rename(path)
    else:
        from bulk_capture import make

        make(path, packets)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--file", type=Path, help="an own capture")
    parser.add_argument("--folder", type=Path, help="where the made capture is kept (a temporary one)")
    parser.add_argument("--packets", type=int, default=1_340_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {','.join(PEERS)}")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--growth", action="store_true")
    arguments = parser.parse_args()
    names = arguments.peers.split(",")
    if unknown := [name for name in names if name not in PEERS]:
        parser.error(f"no such peer: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    print(machine(), flush=True)
    if arguments.growth:
        from peers.growth import print_table

        print_table(arguments.runs)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        path = arguments.file or capture(folder, arguments.packets, synthetic=arguments.synthetic)
        compare(path, names, arguments.runs)
        if "columnar_cold" in names:
            print(f"\n1,000 packets in a new process: {opening(path, arguments.runs):.2f} s")


if __name__ == "__main__":
    main()
