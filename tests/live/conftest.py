"""Two network namespaces joined by a veth, and a disk that is soon full."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import NetworkNamespace

_SEND = """
import itertools, socket, sys, time
address, port, count, size, pause = sys.argv[1], *map(float, sys.argv[2:])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for number in itertools.count() if count < 0 else range(int(count)):
        sender.sendto(number.to_bytes(8) + bytes(int(size) - 8), (address, int(port)))
        if pause:
            time.sleep(pause)
"""
_SINK = """
import socket
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("0.0.0.0", 4000))
print("ready", flush=True)
while True:
    sink.recv(65536)
"""


@dataclass
class Pair:
    """`here` is captured, `there` listens on UDP port 4000 and is silent: what is sent is all there is."""

    here: NetworkNamespace
    there: NetworkNamespace
    here_address: str
    there_address: str
    interface: str = "eth0"
    port: int = 4000

    @property
    def target(self) -> str:
        return f"netns/{self.here.name}"

    def send(self, count: int, *, size: int = 100, pause: float = 0.0) -> int:
        """Send datagrams to the other side; how many that were."""
        assert self._sender(count, size, pause).wait(60) == 0
        return count

    def keep_sending(self, *, size: int = 100, pause: float = 0.001) -> subprocess.Popen[Any]:
        """Datagrams without end, until the test is over or ends it."""
        return self._sender(-1, size, pause)

    def _sender(self, count: int, size: int, pause: float) -> subprocess.Popen[Any]:
        words = [self.there_address, str(self.port), str(count), str(size), str(pause)]
        return self.here.start(sys.executable, "-c", _SEND, *words)


@pytest.fixture
def pair(new_namespace: Callable[[], NetworkNamespace]) -> Pair:
    """A veth between two namespaces, 198.18.77.1 and .2; no IPv6, no ARP: only what the test sends."""
    here, there = new_namespace(), new_namespace()
    veth = ["ip", "-n", here.name, "link", "add", "eth0", "type", "veth"]
    subprocess.run([*veth, "peer", "name", "eth0", "netns", there.name], check=True)
    for namespace, own, other in ((here, 1, 2), (there, 2, 1)):
        namespace.run("ip", "link", "set", "eth0", "address", f"02:00:c6:12:4d:0{own}", "addrgenmode", "none")
        namespace.run("ip", "address", "add", f"198.18.77.{own}/24", "dev", "eth0")
        namespace.run("ip", "link", "set", "eth0", "up")
        known = [f"198.18.77.{other}", "lladdr", f"02:00:c6:12:4d:0{other}"]
        namespace.run("ip", "neigh", "replace", *known, "dev", "eth0")
    sink = there.start(sys.executable, "-c", _SINK, stdout=subprocess.PIPE)
    with sink.stdout:
        sink.stdout.readline()
    return Pair(here, there, "198.18.77.1", "198.18.77.2")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs of a size ("3m") and gives its folder."""
    with contextlib.ExitStack() as stack:
        numbers = itertools.count()

        def mount(size: str) -> Path:
            folder = tmp_path / f"disk-{next(numbers)}"
            folder.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
            stack.callback(subprocess.run, ["umount", str(folder)], check=True)
            return folder

        yield mount
