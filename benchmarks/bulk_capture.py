"""Make the benchmark's capture: 8 lossy bulk TCP flows between two namespaces, snaplen 200.

    sudo python benchmarks/bulk_capture.py OUT.pcap [--packets 1340000]

Needs root, iperf3, ethtool, iptables, tcpdump, iproute2 and Wireshark's capinfos. The namespaces are its own,
the addresses from 198.18.0.0/15; both are gone at the end, also when a signal ends it (but SIGKILL).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OFFLOADS = ("gso", "tso", "gro", "tx", "rx")
_PATIENCE = 600


def run(*argv: str) -> None:
    """Run a command; its errors are ours."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def ends_on_signals() -> Iterator[None]:
    """A signal that would end us at once raises instead, so that nothing is left running behind us."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def namespaces(loss: float) -> Iterator[tuple[str, str]]:
    """A sender's and a receiver's namespace, joined by a veth pair; either loses packets that reach it."""
    sender, receiver = (f"k8scap-bench-{os.getpid()}-{side}" for side in "ab")
    with ExitStack() as made:
        for name in (sender, receiver):
            run("ip", "netns", "add", name)
            made.callback(run, "ip", "netns", "del", name)
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
        _bring_up(sender, "va", "198.18.0.1/24", loss)
        _bring_up(receiver, "vb", "198.18.0.2/24", loss)
        yield sender, receiver


def _bring_up(name: str, link: str, address: str, loss: float) -> None:
    inside = ("ip", "netns", "exec", name)
    run("ip", "-n", name, "addr", "add", address, "dev", link)
    run("ip", "-n", name, "link", "set", link, "up")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run(*inside, "ethtool", "-K", link, *(word for offload in _OFFLOADS for word in (offload, "off")))
    run(
        *inside, "iptables", "-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random",
        "--probability", str(loss), "-j", "DROP",
    )  # fmt: skip


@contextmanager
def started(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A silent command in the background, which ends with the block."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def make(path: Path, packets: int, *, loss: float = 0.005) -> None:
    """Write the capture, under its name only when it is whole.

    Exits with a sentence where the traffic or tcpdump ends too early; CalledProcessError where the namespaces
    cannot be made.
    """
    unfinished = path.with_suffix(".part")
    try:
        with ends_on_signals(), namespaces(loss) as (sender, receiver):
            _record(unfinished, packets, sender, receiver)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _record(path: Path, packets: int, sender: str, receiver: str) -> None:
    inside = ("ip", "netns", "exec")
    with (
        started(*inside, receiver, "iperf3", "-s", "-1"),
        started(
            *inside, sender, "tcpdump", "-Z", "root", "-i", "va", "-s", "200", "-B", "65536",
            "-c", str(packets), "-w", str(path), "tcp",
        ) as capture,
    ):  # fmt: skip
        time.sleep(2)
        with started(
            *inside, sender, "iperf3", "-c", "198.18.0.2", "-P", "8", "-t", str(_PATIENCE)
        ) as traffic:
            while capture.poll() is None and traffic.poll() is None:
                time.sleep(0.1)
        if capture.poll() is None:
            sys.exit(
                f"iperf3 ended before there were {packets:,} packets. Next: fewer --packets, or "
                "loading.py --synthetic"
            )
    if _count(path) != packets:
        sys.exit(f"{path.name} did not come whole. Next: df -h {path.parent}")


def _count(path: Path) -> int | None:
    """Counted, because tcpdump ends with 0 on a full disk too."""
    done = subprocess.run(["capinfos", "-Mcr", str(path)], capture_output=True, text=True, check=False)
    return None if done.returncode else int(done.stdout.split()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--packets", type=int, default=1_340_000)
    arguments = parser.parse_args()
    make(arguments.path, arguments.packets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
