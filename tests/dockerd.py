"""A Docker engine of the tests' own, for machines where none answers: started, used, gone without a trace.

It touches nothing of the node: no default bridge, no iptables rule, no ip_forward. Containers of one
network reach each other over its bridge, which is all that the tests need.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
from docker.errors import DockerException

STARTS_WITHIN_S = 40.0
STOPS_WITHIN_S = 20.0
RUN_FOLDER = Path("/run/docker")
CGROUPS = Path("/sys/fs/cgroup")


def connect(host: str | None = None) -> docker.DockerClient | None:
    """A client of the engine at `host` (None: where the environment points), or None where none answers."""
    try:
        client = docker.DockerClient(base_url=host, timeout=20) if host else docker.from_env(timeout=20)
        client.ping()
    except DockerException:
        return None
    return client


class Dockerd:
    """One dockerd, in folders of its own; `host` is what DOCKER_HOST must say."""

    def __init__(self) -> None:
        # A socket's path may have 107 characters: pytest's own temporary folders are too deep for that.
        self.folder = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/tmp"))
        self.host = f"unix://{self.folder}/docker.sock"
        self._was_there = _node_folders()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> docker.DockerClient:
        """Start it, with the vfs storage driver where overlay does not work; RuntimeError says why not."""
        for driver in ((), ("--storage-driver", "vfs")):
            client = self._try(*driver)
            if client is not None:
                return client
        last_words = (self.folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
        self.stop()
        raise RuntimeError(f"dockerd did not start: {last_words}")

    def stop(self) -> None:
        """End the daemon and its containerd, and take away what they left on the node."""
        self._end_daemon()
        self._end_containerd()
        for mount in _mounts_under(self.folder):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in sorted(_node_folders() - self._was_there, reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()

    def _try(self, *options: str) -> docker.DockerClient | None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*self._argv(), *options], stdout=log, stderr=log)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if client := connect(self.host):
                return client
            time.sleep(0.2)
        self._end_daemon()
        return None

    def _argv(self) -> list[str]:
        return [
            # When the test run is killed, its engine must not live on.
            *("setpriv", "--pdeathsig", "TERM", "--", "dockerd"),
            *("--host", self.host, "--pidfile", f"{self.folder}/pid"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false"),
            *("--ip-forward=false", "--ip-masq=false", "--userland-proxy=false"),
        ]

    def _end_daemon(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end_containerd(self) -> None:
        """A dockerd that had to be killed leaves its containerd behind: it bears our folder in its argv."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "exec/containerd/containerd.pid").read_text())
            if str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGTERM)


def _node_folders() -> set[Path]:
    """What a daemon makes outside its own folders: empty folders under /run and in the cgroup trees."""
    folders = [RUN_FOLDER, RUN_FOLDER / "plugins", CGROUPS / "docker", *CGROUPS.glob("*/docker")]
    return {path for path in folders if path.is_dir()}


def _mounts_under(folder: Path) -> list[str]:
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((place for place in places if place.startswith(f"{folder}/")), reverse=True)
