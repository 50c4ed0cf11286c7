"""How fast a command's output comes out of a pod, beside `kubectl exec`, and whether all of it does.

    python benchmarks/exec_stream.py [--megabytes 200] [--runs 5] [--kubectl kubectl] [--pod POD -n NS]

Runs `dd if=/dev/zero` in a pod, through k8scap's own exec stream and through kubectl, in turns; prints MB/s,
the ratio and the growth of our memory. Without --pod it makes the test cluster (root, tests/cluster).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8scap.live.kube.api import Api

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

CHUNK = 1 << 18


def ours(
    api: Api, namespace: str, pod: str, container: str, argv: list[str], *, digest: Any = None
) -> tuple[float, int]:
    from k8scap.live.kube.pod_runner import PodRunner

    runner = PodRunner(api, namespace=namespace, pod=pod, container=container)
    started = time.perf_counter()
    process = runner.start(argv, send_signal=lambda _: None, on_end=lambda: None)
    total = 0
    while data := process.stdout.read1(CHUNK):
        total += len(data)
        if digest:
            digest.update(data)
    assert process.wait() == 0
    return time.perf_counter() - started, total


def kubectls(kubectl: str, options: list[str], argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [kubectl, *options, "--", *argv], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def measure(arguments: argparse.Namespace, namespace: str, pod: str, container: str) -> None:
    from k8scap.live.kube.api import Api

    api = Api.connect(context=arguments.context)
    dd = ["dd", "if=/dev/zero", "bs=1M", f"count={arguments.megabytes}"]
    size = arguments.megabytes << 20
    options = ["exec", "-n", namespace, pod, "-c", container]
    mine, theirs = [], []
    ours(api, namespace, pod, container, dd)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(arguments.runs):
        seconds, total = ours(api, namespace, pod, container, dd)
        assert total == size, (total, size)
        mine.append(size / seconds / 1e6)
        if arguments.kubectl:
            theirs.append(size / kubectls(arguments.kubectl, options, dd) / 1e6)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"k8scap   {_spread(mine)}; memory + {grown / 1024:.1f} MB")
    if theirs:
        print(f"kubectl  {_spread(theirs)}")
        ratio = statistics.median(mine) / statistics.median(theirs)
        print(f"ratio    {ratio:7.2f}  of {arguments.megabytes} MB, median of {arguments.runs}")
    random = ["openssl", "enc", "-aes-128-ctr", "-K", "0" * 32, "-iv", "0" * 32, "-in", "/usr/bin/python3"]
    if shutil.which("openssl") and not arguments.pod:
        digest = hashlib.sha256()
        ours(api, namespace, pod, container, random, digest=digest)
        there = subprocess.run(random, check=True, capture_output=True).stdout
        print(
            f"bytes    {len(there)} of noise, the same: {digest.digest() == hashlib.sha256(there).digest()}"
        )


def _spread(rates: list[float]) -> str:
    return f"{statistics.median(rates):7.0f} MB/s  ({min(rates):.0f} to {max(rates):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--kubectl", default=shutil.which("kubectl") or "")
    parser.add_argument("--context")
    parser.add_argument("--pod")
    parser.add_argument("-c", "--container", default="app")
    parser.add_argument("-n", "--namespace", default="shop")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        pod = arguments.pod
        if not pod:
            import cluster

            c = stack.enter_context(cluster.running())
            os.environ["KUBECONFIG"] = str(c.kubeconfig)
            pod = c.add_pod("web").name
        measure(arguments, arguments.namespace, pod, arguments.container)


if __name__ == "__main__":
    main()
