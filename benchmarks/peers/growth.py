"""How the columnar engine's time and memory grow with the number of packets.

    python benchmarks/peers/growth.py FILE…

is the process that is measured: it loads each file in turn and prints the last one's packets, seconds and its
own peak of memory. `rows` compares one that loads a small capture, then the large one, with one
that loads the small one only: what imports and kernels take stands in both.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
_SMALL = 1000
_KIB = 1 if sys.platform == "darwin" else 1024
"""What ru_maxrss counts in."""


def rows(folder: Path, runs: int) -> Iterator[tuple[int, float, float]]:
    """Packets, seconds, and bytes of memory a packet; medians of some runs."""
    small = _capture(folder, _SMALL)
    for packets in SIZES:
        path = _capture(folder, packets)
        taken = [(_measure(small), _measure(small, path)) for _ in range(runs)]
        path.unlink()
        assert all(large["packets"] == packets for _, large in taken)
        yield (
            packets,
            median(large["seconds"] for _, large in taken),
            median(large["peak"] - base["peak"] for base, large in taken) / packets,
        )


def _capture(folder: Path, packets: int) -> Path:
    """Made in a process of its own: on Linux a child's peak begins with its parent's."""
    path = folder / f"{packets}.pcap"
    maker = Path(__file__).with_name("synthetic.py")
    subprocess.run([sys.executable, str(maker), str(path), str(packets)], check=True)
    return path


def _measure(*files: Path) -> dict[str, float]:
    argv = [sys.executable, __file__, *map(str, files)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    import k8scap

    packets, seconds = 0, 0.0
    for path in sys.argv[1:]:
        begun = time.perf_counter()
        packets = len(k8scap.load(path, engine="columnar").packets)
        seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
    print(json.dumps({"packets": packets, "seconds": seconds, "peak": peak}))


def print_table(runs: int) -> None:
    print("| packets | s | packets/s | peak memory, bytes/packet |\n| ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for packets, seconds, memory in rows(Path(folder), runs):
            print(f"| {packets:,} | {seconds:.3f} | {packets / seconds:,.0f} | {memory:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
