"""How long `import k8scap` and `k8scap --help` take, against a Python that does nothing.

    .venv/bin/python benchmarks/startup.py [RUNS]

Each run is a new process; the commands take turns, so that a machine that slows down slows all of them.
Prints, per command, the median in milliseconds, what it takes more than bare Python, and the ratio of both.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

BARE = "python -c pass"
COMMANDS = {
    BARE: [sys.executable, "-c", "pass"],
    "python -c 'import k8scap'": [sys.executable, "-c", "import k8scap"],
    "k8scap --help": [str(Path(sys.executable).with_name("k8scap")), "--help"],
}


def seconds(argv: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(runs: int) -> dict[str, float]:
    """Median wall seconds of each command; the first round only warms the disk's cache."""
    samples: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, argv in COMMANDS.items():
            taken = seconds(argv)
            if turn:
                samples[name].append(taken)
    return {name: median(values) for name, values in samples.items()}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    medians = measure(runs)
    bare = medians[BARE]
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {runs} runs")
    print(f"{'command':<28}{'median ms':>10}{'more ms':>10}{'ratio':>8}")
    for name, value in medians.items():
        print(f"{name:<28}{value * 1e3:>10.0f}{(value - bare) * 1e3:>10.0f}{value / bare:>8.2f}")


if __name__ == "__main__":
    main()
