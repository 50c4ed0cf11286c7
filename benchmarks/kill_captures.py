"""Captures that are killed at random moments: what is left of them, in the cluster and on the disk.

    python benchmarks/kill_captures.py [--captures 200] [--at-once 8] [--seed 1]

Makes the test cluster (root, tests/cluster) and starts that many captures by random ways, each killed by a
random signal (SIGKILL, SIGINT, SIGTERM) at a random moment from its start to past its end. Then waits for the
deadlines, looks for processes in the pods, lets one more capture run, and looks for helper pods. Every file
is opened with capinfos.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

if TYPE_CHECKING:
    from cluster import Cluster, PodHandle

SECONDS = 3
K8SCAP = str(Path(sys.executable).with_name("k8scap"))
WAYS = ("node-pod", "node-pod", "exec", "ephemeral")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for address in sys.argv[1:]:
        s.sendto(b"k8scap" * 100, (address, 4000))
    time.sleep(0.005)
"""


def one(number: int, pods: list[PodHandle], folder: Path, chance: random.Random) -> str:
    pod, via, how = chance.choice(pods).name, chance.choice(WAYS), chance.choice(SIGNALS)
    after = chance.uniform(0.1, 9)
    argv = [
        K8SCAP,
        "capture",
        pod,
        "--via",
        via,
        "--seconds",
        str(SECONDS),
        "--quiet",
    ]
    with (folder / f"{number}.log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, "-o", str(folder), "--name", f"c{number}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(how)
            process.wait(60)
            return f"{via} {how.name}"
    return f"{via} ended before"


def unreadable(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.pcap"))
    bad = []
    for file in files:
        done = subprocess.run(["capinfos", "-c", str(file)], check=False, capture_output=True, text=True)
        if done.returncode or "cut short" in done.stderr:
            bad.append(f"{file.name}: {done.stderr.strip()}")
    print(f"files      {len(files)}, of which capinfos complains about {len(bad)} {bad[:3]}")
    running = [m.name for m in folder.glob("*.json") if '"state": "running"' in m.read_text()]
    print(f"manifests  {len(list(folder.glob('*.json')))}, still saying running: {running}")
    return bad


def left_in(c: Cluster, pods: list[PodHandle]) -> tuple[list[int], list[str]]:
    """Processes in the pods and helpers, without the idle tcpdump of ephemeral containers; helper pods."""
    helpers = [p for p in c.all("pods") if p["metadata"]["name"].startswith("k8scap-")]
    execs = [pid for pod in pods for pid in pod.execs]
    execs += [pid for p in helpers for pid in c.control("processes", uid=p["metadata"]["uid"])]
    return [pid for pid in execs if not _is_idle(pid)], [p["metadata"]["name"] for p in helpers]


def _is_idle(pid: int) -> bool:
    try:
        return b"/dev/null\0--\0less 1" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def main() -> None:
    import cluster

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311
    with cluster.running() as c, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["KUBECONFIG"] = str(c.kubeconfig)
        os.environ["PYTHONPATH"] = str(ROOT)
        c.add_namespace("k8scap")
        pods = c.add_deployment("web", 6)
        c.add_pod("sender").start(sys.executable, "-c", _SENDER, *[pod.ip for pod in pods])
        seeds = [random.Random(chance.random()) for _ in range(arguments.captures)]  # noqa: S311
        with ThreadPoolExecutor(arguments.at_once) as pool:
            ends = list(pool.map(lambda n: one(n, pods, folder, seeds[n]), range(arguments.captures)))
        print("captures  ", len(ends), dict(Counter(ends)))
        deadline = SECONDS + 1 + 30 + 90 + 10
        print(f"at once    {left_in(c, pods)}")
        time.sleep(deadline)
        processes, helpers = left_in(c, pods)
        print(f"deadline   processes left {processes}; Pod objects left {len(helpers)}")
        target = pods[0].name
        argv = [
            K8SCAP,
            "capture",
            target,
            "--via",
            "node-pod",
            "--seconds",
            "1",
            "--quiet",
        ]
        subprocess.run([*argv, "-o", str(folder / "last")], check=True, capture_output=True)
        print(f"next run   {left_in(c, pods)} left")
        unreadable(folder)


if __name__ == "__main__":
    main()
