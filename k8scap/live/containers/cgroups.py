"""A container's ID → its first process, by /proc/*/cgroup alone: no runtime's socket, no runtime's tool.

Every runtime writes the container's 64-digit ID into the path of the container's cgroup, as the last
container scope of the path (what stands before it are the pods and the outer containers; what stands
behind it are groups that the container made itself):

    runtime, driver                       path (cgroups(7): the third field of a line of /proc/PID/cgroup)
    docker, cgroupfs                      /docker/ID
    docker, systemd                       /system.slice/docker-ID.scope
    containerd (CRI), cgroupfs            /kubepods/burstable/podUID/ID
    containerd (CRI), systemd             /kubepods.slice/…/kubepods-podUID.slice/cri-containerd-ID.scope
    containerd, drivers at odds           …/containerd.service/kubepods-podUID.slice:cri-containerd:ID
    CRI-O                                 …/crio-ID or …/crio-ID.scope (and crio-conmon-ID: not the container)
    Podman                                /machine.slice/libpod-ID.scope/container (and libpod-conmon-ID)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import TargetError, TargetNotFoundError, TargetNotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")

_SCOPE = re.compile(r"(?:.*:)?(?:(?P<runtime>[a-z][a-z0-9_.-]*)[-:])?(?P<id>[0-9a-f]{64})(?:\.scope)?")
_SHORT = 12


def container_scopes(cgroup: str) -> tuple[str, ...]:
    """The IDs of the containers that a process is in, outermost first.

    `cgroup` is the text of /proc/PID/cgroup. Of several hierarchies (cgroup v1) the deepest one counts:
    an engine inside a container does not nest in all of them.
    """
    paths = (line.split(":", 2)[2] for line in cgroup.splitlines() if line.count(":") >= 2)
    return max((_scopes(path) for path in paths), key=len, default=())


def _scopes(path: str) -> tuple[str, ...]:
    matches = (_SCOPE.fullmatch(part) for part in path.split("/"))
    return tuple(m["id"] for m in matches if m and not (m["runtime"] or "").endswith("conmon"))


def container_of(pid: int, *, proc: Path = PROC) -> str | None:
    """The full ID of the innermost container that a process is in; None where its cgroup tells of none."""
    scopes = container_scopes(_read(proc / str(pid) / "cgroup"))
    return scopes[-1] if scopes else None


def find_process(container_id: str, *, proc: Path = PROC) -> tuple[int, str]:
    """The first process of a container, and the container's full ID; `container_id` may be a prefix.

    It is the oldest of those that are number 1 in their own PID namespace; where there is none (the
    container shares its pod's or the node's PID namespace) the oldest of all.

    Raises TargetNotFoundError; TargetNotRunningError where only processes that have ended are left;
    TargetError where the prefix stands for several containers.
    """
    found = {pid: full for pid, full in _containers(proc) if full.startswith(container_id)}
    if not found:
        raise _not_found(container_id)
    ids = sorted(set(found.values()))
    if len(ids) > 1:
        raise TargetError(
            f"{container_id} stands for {len(ids)} containers: {', '.join(full[:_SHORT] for full in ids)}.",
            next_step=f"k8scap capture container/{ids[0][:_SHORT]}",
        )
    return _first(found, proc), ids[0]


def _containers(proc: Path) -> Iterator[tuple[int, str]]:
    for folder in proc.iterdir():
        if folder.name.isdecimal() and (full := container_of(int(folder.name), proc=proc)):
            yield int(folder.name), full


def _first(found: dict[int, str], proc: Path) -> int:
    ages = {pid: age for pid in found if (age := _age(pid, proc)) is not None}
    if not ages:
        pid = min(found)
        raise TargetNotRunningError(
            f"The container {found[pid][:_SHORT]} has just ended.",
            next_step="docker ps --all, or crictl ps --all",
        )
    return min(ages, key=lambda pid: (ages[pid], pid))


def _age(pid: int, proc: Path) -> tuple[bool, int] | None:
    """Sorts the oldest PID 1 to the front; None for a process that has ended (it has no namespaces)."""
    stat = _read(proc / str(pid) / "stat").rpartition(")")[2].split()
    if len(stat) < 20 or stat[0] in "ZX":
        return None
    return innermost_pid(pid, proc=proc) != 1, int(stat[19])


def innermost_pid(pid: int, *, proc: Path = PROC) -> int | None:
    """The number that a process has in its own PID namespace (proc(5), NSpid); None where it is gone."""
    for line in _read(proc / str(pid) / "status").splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return None


def _read(path: Path) -> str:
    """Processes come and go while /proc is read: one that is gone says nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _not_found(container_id: str) -> TargetNotFoundError:
    return TargetNotFoundError(
        f"No process of this machine belongs to a container {container_id[:_SHORT]}: "
        "it has ended, or runs on another machine.",
        next_step="docker ps --no-trunc, crictl ps or podman ps, on the container's own node",
    )
