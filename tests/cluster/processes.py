"""Pods as processes: network namespaces on one fabric, PID namespaces, cgroups, capabilities."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_CAPABILITIES = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
)
NETNS = Path("/run/netns")
BUSYBOX = Path("/bin/busybox")
SETPRIV, NSENTER, UNSHARE = (shutil.which(tool) or tool for tool in ("setpriv", "nsenter", "unshare"))
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ip(*commands: str) -> None:
    subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True, capture_output=True
    )


class Fabric:
    """The network of all pods and nodes: a bridge in a namespace of its own, with a gateway's address."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.name = f"{run}-fabric"
        self._hosts = ipaddress.ip_network("198.18.0.0/16").hosts()
        self.gateway = str(next(self._hosts))
        ip(f"netns add {self.name}")
        inside = ["nsenter", f"--net={NETNS / self.name}", "--", "ip", "-batch", "-"]
        made = (
            f"link set lo up\nlink add br0 type bridge\naddr add {self.gateway}/16 dev br0\nlink set br0 up\n"
        )
        subprocess.run(inside, input=made, text=True, check=True, capture_output=True)

    def add(self, name: str) -> str:
        """A namespace with lo and eth0; gives its address. The name is a netns's."""
        address = str(next(self._hosts))
        port = f"p{secrets.token_hex(5)}"
        ip(
            f"netns add {name}",
            f"link add {port} netns {self.name} type veth peer name eth0 netns {name}",
        )
        subprocess.run(["ip", "-n", self.name, "link", "set", port, "master", "br0", "up"], check=True)
        inside = (
            f"link set lo up\naddr add {address}/16 dev eth0\nlink set eth0 up\n"
            f"route add default via {self.gateway}\n"
        )
        subprocess.run(
            ["nsenter", f"--net={NETNS / name}", "--", "ip", "-batch", "-"],
            input=inside, text=True, check=True, capture_output=True,
        )  # fmt: skip
        return address


class Cgroups:
    """The folders of a container, in each hierarchy there is."""

    def __init__(self, run: str) -> None:
        self.run = run
        top = Path("/sys/fs/cgroup")
        self.second = (top / "cgroup.controllers").exists()
        self._tops = (
            [top]
            if self.second
            else [top / name for name in ("pids", "memory", "cpu") if (top / name).is_dir()]
        )

    def path(self, uid: str, container: str) -> str:
        if self.second:
            pod = uid.replace("-", "_")
            slices = f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{pod}.slice"
            return f"{slices}/cri-containerd-{container}.scope"
        return f"kubepods/besteffort/pod{uid}/{container}"

    def enter(self, uid: str, container: str, pid: int) -> None:
        for top in self._tops:
            folder = top / self.path(uid, container)
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(ProcessLookupError, OSError):
                (folder / "cgroup.procs").write_text(str(pid))

    def pids(self, uid: str, container: str) -> list[int]:
        try:
            text = (self._tops[0] / self.path(uid, container) / "cgroup.procs").read_text()
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    def remove(self, uid: str, container: str) -> None:
        for pid in self.pids(uid, container):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 2
        while self.pids(uid, container) and time.monotonic() < deadline:
            time.sleep(0.005)
        for top in self._tops:
            with contextlib.suppress(OSError):
                (top / self.path(uid, container)).rmdir()
                (top / self.path(uid, container)).parent.rmdir()


@dataclass
class Images:
    """What commands an image holds: all of this machine's, or those named."""

    folder: Path
    known: dict[str, list[str] | None] = field(default_factory=dict)
    of_busybox: set[str] = field(default_factory=set)

    def path(self, image: str) -> str:
        tools = self.known.get(image)
        if tools is None:
            return _SYSTEM_PATH
        where = self.folder / secrets.token_hex(4)
        where.mkdir(parents=True)
        for tool in tools:
            there = [
                Path(folder) / tool for folder in _SYSTEM_PATH.split(":") if (Path(folder) / tool).exists()
            ]
            is_applet = image in self.of_busybox and tool != "tcpdump"
            if is_applet or there:
                (where / tool).symlink_to(BUSYBOX if is_applet else there[0])
        self.known[image] = tools
        return str(where)


def find(command: str, path: str) -> bool:
    if "/" in command:
        return os.access(command, os.X_OK)
    return any(os.access(f"{folder}/{command}", os.X_OK) for folder in path.split(":"))


@dataclass
class Container:
    """One that runs: its first process, and how to get inside."""

    name: str
    id: str
    uid: str
    netns: str
    path: str
    spec: dict
    host_pid: bool = False
    popen: subprocess.Popen | None = None
    pid: int = 0

    def start(self, cgroups: Cgroups) -> None:
        argv = [*self.spec.get("command", ["sleep", "infinity"]), *self.spec.get("args", [])]
        own = [] if self.host_pid else [UNSHARE, "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]
        whole = [
            SETPRIV, "--pdeathsig", "KILL", "--", NSENTER, f"--net={NETNS / self.netns}", "--",
            *own, *self._rights(), *argv,
        ]  # fmt: skip
        self.popen = subprocess.Popen(
            whole, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.pid = self.popen.pid if self.host_pid else self._child()
        cgroups.enter(self.uid, self.id, self.pid)

    def _child(self) -> int:
        assert self.popen
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self.popen.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                child = int(children.read_text().split()[0])
                # it is in the container once it is the command, not unshare's own fork
                if Path(f"/proc/{child}/comm").read_text().strip() != "unshare":
                    return child
            time.sleep(0.002)
        return self.popen.pid

    def exec_argv(self, argv: list[str]) -> list[str]:
        inside = ["-n"] if self.host_pid else ["-n", "-p", "-m"]
        return [NSENTER, "-t", str(self.pid), *inside, "--", *self._rights(), *argv]

    def environment(self) -> dict[str, str]:
        own = {entry["name"]: entry.get("value", "") for entry in self.spec.get("env", ())}
        return {"PATH": self.path, "HOSTNAME": "pod", **own}

    def _rights(self) -> list[str]:
        security = self.spec.get("securityContext") or {}
        if security.get("privileged"):
            return []
        told = security.get("capabilities") or {}
        drop = {c.lower() for c in told.get("drop") or ()}
        kept = set() if "all" in drop else set(DEFAULT_CAPABILITIES) - drop
        kept |= {c.lower() for c in told.get("add") or ()}
        words = ",".join(["-all", *(f"+{c}" for c in sorted(kept))])
        user = security.get("runAsUser", 0)
        who = ["--reuid", str(user), "--regid", str(user), "--clear-groups"] if user else []
        return [SETPRIV, "--bounding-set", words, "--inh-caps=-all", *who, "--"]

    @property
    def exit_code(self) -> int | None:
        return self.popen.poll() if self.popen else None

    def stop(self, cgroups: Cgroups, *, grace: float) -> None:
        """SIGTERM, SIGKILL after the grace period; then everything else in its cgroup."""
        if self.popen and self.popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace)
            if self.popen.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                self.popen.kill()
                self.popen.wait()
        cgroups.remove(self.uid, self.id)
