"""How long `import k8scap` and `k8scap --help` take, against a Python that does nothing.

    .venv/bin/python benchmarks/startup.py [RUNS]

Each run is a new process; the commands take turns, so that a machine that slows down slows all of them.
Prints, per command, medians in milliseconds: the wall clock's, the processor's (user and system; the one to
look at where others use the machine too), and of both what it takes more than bare Python.
"""

from __future__ import annotations

import os
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


def wall_and_cpu(argv: list[str]) -> tuple[float, float]:
    """Milliseconds that one run took, and those that a processor worked on it."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def measure(runs: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor milliseconds of each command; the first round only warms the disk's cache."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, argv in COMMANDS.items():
            taken = wall_and_cpu(argv)
            if turn:
                samples[name].append(taken)
    return {name: (median(w for w, _ in rows), median(c for _, c in rows)) for name, rows in samples.items()}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    medians = measure(runs)
    bare_wall, bare_cpu = medians[BARE]
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {runs} runs, milliseconds")
    print(f"{'command':<28}{'wall':>8}{'more':>8}{'cpu':>8}{'more':>8}")
    for name, (wall, cpu) in medians.items():
        print(f"{name:<28}{wall:>8.0f}{wall - bare_wall:>8.0f}{cpu:>8.0f}{cpu - bare_cpu:>8.0f}")


if __name__ == "__main__":
    main()
