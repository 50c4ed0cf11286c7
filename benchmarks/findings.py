"""How long `diagnose` takes once a capture is loaded, and which tables and rules take the time.

    python benchmarks/findings.py BULK.pcap [--runs 5] [--parts]

BULK.pcap is what benchmarks/bulk_capture.py makes: 1.34 million packets of lossy bulk TCP. Each run is a
new process, as a user's is: it loads the capture (not counted, as are the imports of `load`), then judges
it. Wall and processor's time, medians and ranges; `first` counts the imports that `diagnose` needs and the
compiled kernels that it reads, `again` is the same on a second `load` in that process.
`--parts`: one more process, the processor's time of each table (in the order in which they need one
another) and of each rule, the best of three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from collections.abc import Callable

REPLAYED = ("sightings", "seen_before", "coverage", "handshakes", "events", "kinds", "judged", "samples")
TABLES = (
    *("conversations", "round_trips", "retransmissions", "reorderings", "duplicates"),
    *("exchanges", "lookups", "requests", "hops", "quality"),
)


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    wall, processor = perf_counter(), process_time()
    work()
    return perf_counter() - wall, process_time() - processor


def one(path: str) -> dict[str, tuple[float, float]]:
    """Load and judge twice, here and now."""
    import k8scap

    times = {}
    for name in ("first", "again"):
        cap = k8scap.load(path)
        times[f"load {name}"] = timed(lambda cap=cap: cap.packets)
        times[name] = timed(lambda cap=cap: k8scap.diagnose(cap))
    return times


def parts(path: str) -> dict[str, float]:
    """Processor's seconds of each table and rule, each with what it needs made before."""
    import k8scap
    from k8scap.findings import RULES, Case

    best: dict[str, float] = {}

    def clock(name: str, work: Callable[[], Any]) -> None:
        best[name] = min(best.get(name, 1e9), timed(work)[1])

    for _ in range(3):
        cap = k8scap.load(path)
        _ = cap.packets
        for name in REPLAYED:
            clock(f"replay.{name}", lambda cap=cap, name=name: getattr(cap.replay, name))
        for name in TABLES:
            clock(name, lambda cap=cap, name=name: getattr(cap, name))
        tables = {name: getattr(cap, name) for name in (*TABLES, "packets", "replay", "manifests", "names")}
        case = Case(**tables).at(cap.points[0])
        for rule in RULES:
            clock(rule.__name__.replace("_", "-"), lambda rule=rule, case=case: rule(case))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.capture)))
        return
    argv = [sys.executable, __file__, arguments.capture, "--one"]
    runs = [
        json.loads(subprocess.run(argv, capture_output=True, check=True, text=True).stdout)
        for _ in range(arguments.runs)
    ]
    print("| | wall s | from … to | processor s | from … to |\n| --- | ---: | ---: | ---: | ---: |")
    for name in runs[0]:
        cells = []
        for which in (0, 1):
            values = [run[name][which] for run in runs]
            cells += [f"{median(values):.2f}", f"{min(values):.2f} … {max(values):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.parts:
        print("\n| part | processor ms |\n| --- | ---: |")
        for name, seconds in parts(arguments.capture).items():
            if seconds >= 0.005:
                print(f"| {name} | {1000 * seconds:.0f} |")


if __name__ == "__main__":
    main()
