"""Fifty pods captured at once from one process: how long until all listen, memory, and whether one starves.

    python benchmarks/many_pods.py [--pods 50] [--seconds 10] [--via node-pod]

Makes the test cluster (root, tests/cluster) with that many pods of one Deployment, each of which is sent the
same number of datagrams by one sender, and captures them all; prints the seconds from the call to the last
tcpdump that listens, our largest memory, and the fewest and most packets of a pod.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SENDER = """
import socket, sys, time
rate, addresses = float(sys.argv[1]), sys.argv[2:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 600
while time.monotonic() < end:
    began = time.monotonic()
    for address in addresses:
        s.sendto(b"k8scap" * 100, (address, 4000))
    time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
"""


def capture(arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    """In a process of its own, as a user's would be: what it took."""
    code = f"""
import json, resource, sys, time
import k8scap
t = time.monotonic()
live = k8scap.watch("deploy/web", all_pods=True, via={arguments.via!r}, seconds={arguments.seconds},
                    output={folder!r}, name="many", filter="udp port 4000", exact_filter=True)
started = time.monotonic() - t
live.wait()
stopped = time.monotonic() - t - started - {arguments.seconds}
print(json.dumps({{
    "started": started, "stopped": stopped,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "packets": [m.counters.on_disk for m in live.manifests], "states": [m.state for m in live.manifests],
    "dropped": sum(m.counters.dropped or 0 for m in live.manifests), "notes": list(live.notes),
}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, timeout=300
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    import cluster

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--via", default="node-pod")
    parser.add_argument("--rate", type=float, default=50, help="datagrams a second and pod")
    arguments = parser.parse_args()
    with cluster.running(nodes=[f"node-{n}" for n in range(5)]) as c, tempfile.TemporaryDirectory() as folder:
        os.environ["KUBECONFIG"] = str(c.kubeconfig)
        c.add_namespace("k8scap")
        pods = c.add_deployment("web", arguments.pods)
        sender = c.add_pod("sender")
        sender.start(sys.executable, "-c", SENDER, str(arguments.rate), *[pod.ip for pod in pods])
        time.sleep(1)
        told = capture(arguments, folder)
        left = [p["metadata"]["name"] for p in c.all("pods") if p["metadata"]["name"].startswith("k8scap-")]
    packets, complete = told["packets"], told["states"].count("complete")
    print(f"pods       {len(packets)} by {arguments.via}, {complete} complete; {told['notes']}")
    print(f"started    all listen {told['started']:.2f} s after the call")
    print(f"closed     {told['stopped']:.2f} s after the limit")
    print(f"memory     {told['memory']:.0f} MB at the most")
    print(f"packets    {min(packets)} to {max(packets)} a pod, dropped {told['dropped']}")
    print(f"left       {left or 'no helper pod'}")


if __name__ == "__main__":
    main()
