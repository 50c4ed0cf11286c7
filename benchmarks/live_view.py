"""A live capture in a notebook's kernel under load: what it costs, and whether anything is lost.

    sudo python benchmarks/live_view.py [--rate 50000] [--seconds 60] [--tcp]

Two namespaces of its own, joined by a veth: iperf3 sends small UDP datagrams at a steady rate (with `--tcp`,
small segments over four connections, of which the link loses one in 200), and a few TCP connections ask and
answer beside them. `k8scap.watch` runs in a real kernel (ipykernel), its panel shown to a
client that takes every message. Processor times and memory are the kernel's, from /proc, tcpdump's and its
helpers' apart; dropped is tcpdump's count; what came by, the veth's own counter knows.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk_capture import ends_on_signals, namespaces, started

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_PAYLOAD = 158
"""Bytes: frames of 200."""
_TALK = """
import socket, sys, threading, time
here, other, asks = sys.argv[1:]
def serve(connection):
    while connection.recv(4096):
        connection.sendall(bytes(1000))
if asks == "no":
    listener = socket.create_server((here, 8080))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
def ask():
    with socket.create_connection((other, 8080)) as server:
        while True:
            server.sendall(bytes(100))
            server.recv(4096)
            time.sleep(0.01)
for _ in range(7):
    threading.Thread(target=ask, daemon=True).start()
ask()
"""
_WATCH = """
import k8scap
live = k8scap.watch({target!r}, interface="va", output={folder!r}, name="load", seconds=None, size=None)
"""
_TABLE = """
import time
begun = time.monotonic()
table = live.packets
print(__import__("json").dumps([len(table), time.monotonic() - begun]))
"""
_STOP = """
cap = live.stop()
counters = cap.manifest.counters
print(__import__("json").dumps([counters.captured, counters.dropped, counters.on_disk, cap.manifest.state]))
"""


class Kernel:
    """A real one, and a client that takes what it sends."""

    def __init__(self) -> None:
        from jupyter_client.manager import start_new_kernel

        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self._manager, self._client = start_new_kernel(kernel_name="python3", env=env)
        self.views: list[dict[str, Any]] = []
        self._said: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return int(self._manager.provisioner.pid)

    def run(self, code: str, *, patience: float = 120) -> str:
        """What the cell prints; exits where it fails."""
        self._said = []
        asked = self._client.execute(code)
        answer = self._client.get_shell_msg(timeout=patience)
        while answer["parent_header"].get("msg_id") != asked:
            answer = self._client.get_shell_msg(timeout=patience)
        if answer["content"]["status"] != "ok":
            sys.exit("\n".join(answer["content"]["traceback"]))
        time.sleep(0.3)
        return "".join(self._said)

    def close(self) -> None:
        self._manager.shutdown_kernel(now=True)

    def _listen(self) -> None:
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                self._said.append(content["text"])
            elif message["msg_type"] == "comm_msg" and "view" in content["data"].get("state", {}):
                self.views.append(content["data"]["state"]["view"])


def processor_seconds(pid: int) -> float:
    """Of the process alone, its children not counted."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def children(pid: int) -> dict[int, str]:
    """PIDs and names of all that a process started, and what those did."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found[child] = Path(f"/proc/{child}/comm").read_text().strip()
                waiting.append(child)
    return found


def came_by(namespace: str) -> int:
    """Packets that the captured interface has sent and received."""
    argv = ["ip", "-n", namespace, "-s", "-j", "link", "show", "va"]
    told = json.loads(subprocess.check_output(argv))[0]["stats64"]
    return int(told["rx"]["packets"]) + int(told["tx"]["packets"])


def measure(rate: int, seconds: int, *, tcp: bool) -> Iterator[tuple[str, str]]:
    """What is to be told, in lines of name and value."""
    with (
        ends_on_signals(),
        namespaces(loss=0.005 if tcp else 0) as (here, there),
        tempfile.TemporaryDirectory() as folder,
    ):
        inside = ("ip", "netns", "exec")
        kernel = Kernel()
        try:
            kernel.run(_WATCH.format(target=f"netns/{here}", folder=folder))
            before = came_by(here)
            with (
                started(*inside, there, "iperf3", "-s", "-1"),
                started(*inside, there, sys.executable, "-c", _TALK, "198.18.0.2", "198.18.0.1", "no"),
            ):
                time.sleep(4)  # kernels are loaded, and the servers listen
                yield from _under_load(kernel, here, rate, seconds, tcp=tcp)
                yield "the veth's packets", f"{came_by(here) - before:,}"
        finally:
            kernel.close()


def _under_load(
    kernel: Kernel, here: str, rate: int, seconds: int, *, tcp: bool
) -> Iterator[tuple[str, str]]:
    inside = ("ip", "netns", "exec", here)
    bits = rate * _PAYLOAD * 8
    kind = ("-P", "4", "-M", str(_PAYLOAD), "-b", str(bits // 4)) if tcp else ("-u", "-b", str(bits))
    sender = ("iperf3", "-c", "198.18.0.2", *kind, "-l", str(_PAYLOAD), "-t", str(seconds + 5))
    with started(*inside, *sender), started(*inside, sys.executable, "-c", _TALK, "", "198.18.0.2", "yes"):
        time.sleep(2)
        yield "load of the machine before", f"{os.getloadavg()[0]:.2f}"
        first, begun = processor_seconds(kernel.pid), time.monotonic()
        others = {pid: (name, processor_seconds(pid)) for pid, name in children(kernel.pid).items()}
        packets, memory, shares = came_by(here), [memory_mb(kernel.pid)], []
        last = (first, begun)
        while time.monotonic() - begun < seconds:
            time.sleep(1)
            now = (processor_seconds(kernel.pid), time.monotonic())
            shares.append((now[0] - last[0]) / (now[1] - last[1]))
            last = now
            memory.append(memory_mb(kernel.pid))
        wall = time.monotonic() - begun
        yield "packets/s (the veth's counter)", f"{(came_by(here) - packets) / wall:,.0f}"
        yield "packets/s, as the panel said last", kernel.views[-1]["packet_rate"]
        yield "the kernel's processor time, cores", f"{(processor_seconds(kernel.pid) - first) / wall:.2f}"
        yield "in its busiest second", f"{max(shares):.2f}"
        for pid, (name, used) in others.items():
            yield f"{name}, cores", f"{(processor_seconds(pid) - used) / wall:.2f}"
        steps = memory[:: max(1, len(memory) // 6)]
        yield "the kernel's memory over time, MB", " ".join(f"{mb:,.0f}" for mb in steps)
        yield "panel's updates", f"{len(kernel.views):,}"
        yield (
            "talks and findings shown",
            f"{len(kernel.views[-1]['talks'])}, {len(kernel.views[-1]['findings'])}",
        )
    time.sleep(1)
    rows, took = json.loads(kernel.run(_TABLE))
    yield "live.packets: rows, s", f"{rows:,}, {took:.2f}"
    captured, dropped, on_disk, state = json.loads(kernel.run(_STOP))
    yield "captured, dropped, on disk", f"{captured:,}, {dropped:,}, {on_disk:,} ({state})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=50_000, help="datagrams a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--tcp", action="store_true", help="TCP, with losses, in the place of UDP")
    arguments = parser.parse_args()
    print("| | |\n| --- | ---: |")
    for name, value in measure(arguments.rate, arguments.seconds, tcp=arguments.tcp):
        print(f"| {name} | {value} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
