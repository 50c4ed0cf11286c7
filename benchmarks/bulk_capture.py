"""Make the benchmark's capture: 8 lossy bulk TCP flows between two namespaces, snaplen 200.

    sudo python benchmarks/bulk_capture.py OUT.pcap [--packets 1340000]

Needs root, iperf3, ethtool, iptables, tcpdump and iproute2. The namespaces are its own, the addresses from
198.18.0.0/15; both are gone at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFLOADS = ("gso", "tso", "gro", "tx", "rx")


def run(*argv: str) -> None:
    """Run a command; its errors are ours."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def namespaces(loss: float) -> Iterator[tuple[str, str]]:
    """A sender's and a receiver's namespace, joined by a veth pair; the receiver loses packets."""
    sender, receiver = (f"k8scap-bench-{os.getpid()}-{side}" for side in "ab")
    for name in (sender, receiver):
        run("ip", "netns", "add", name)
    try:
        run(
            "ip",
            "link",
            "add",
            "va",
            "netns",
            sender,
            "type",
            "veth",
            "peer",
            "name",
            "vb",
            "netns",
            receiver,
        )
        for name, link, address in (
            (sender, "va", "198.18.0.1/24"),
            (receiver, "vb", "198.18.0.2/24"),
        ):
            inside = ("ip", "netns", "exec", name)
            run("ip", "-n", name, "addr", "add", address, "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
            run(*inside, "ethtool", "-K", link, *(word for offload in _OFFLOADS for word in (offload, "off")))
            run(
                *inside, "iptables", "-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random",
                "--probability", str(loss), "-j", "DROP",
            )  # fmt: skip
        yield sender, receiver
    finally:
        for name in (sender, receiver):
            run("ip", "netns", "del", name)


def make(path: Path, packets: int, *, loss: float = 0.005) -> None:
    """Write the capture; raises CalledProcessError where a tool fails."""
    unfinished = path.with_suffix(".part")
    with namespaces(loss) as (sender, receiver):
        server = subprocess.Popen(
            ["ip", "netns", "exec", receiver, "iperf3", "-s", "-1"], stdout=subprocess.DEVNULL
        )
        capture = subprocess.Popen(
            ["ip", "netns", "exec", sender, "tcpdump", "-Z", "root", "-i", "va", "-s", "200", "-B", "65536",
             "-c", str(packets), "-w", str(unfinished), "tcp"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(2)
        client = subprocess.Popen(
            ["ip", "netns", "exec", sender, "iperf3", "-c", "198.18.0.2", "-P", "8", "-t", "600"],
            stdout=subprocess.DEVNULL,
        )
        try:
            capture.wait(timeout=600)
        finally:
            for process in (client, server, capture):
                process.terminate()
                process.wait()
    unfinished.rename(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--packets", type=int, default=1_340_000)
    arguments = parser.parse_args()
    make(arguments.path, arguments.packets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
