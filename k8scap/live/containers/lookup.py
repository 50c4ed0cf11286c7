"""A container, by its engine's name or by its ID → the process whose namespaces are the container's."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from k8scap.errors import TargetError, TargetNotFoundError, TargetNotRunningError, TargetSyntaxError
from k8scap.live.containers import cgroups
from k8scap.live.containers.engine import connected
from k8scap.model import NameEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from docker import DockerClient

SERVICE_LABEL = "com.docker.compose.service"

_RUNTIME_PREFIX = re.compile(r"[a-z][a-z0-9+.-]*://")  # containerID in a pod's status: containerd://ID
_ID = re.compile(r"[0-9a-f]{6,64}")
_SHORT = 12
_SHORTEST_ID = 4  # below, it is rather a name with a typo than the beginning of an ID
_RUNNABLE = {"created", "exited"}


@dataclass(frozen=True)
class ContainerProcess:
    """A running container: its first process's PID on this machine, and who its neighbours are.

    `names` are the addresses of the containers in its networks, itself included; `notes` are sentences
    for people.
    """

    pid: int
    container_id: str
    name: str = ""
    image: str = ""
    names: tuple[NameEntry, ...] = ()
    notes: tuple[str, ...] = ()


def find_by_id(container_id: str, *, proc: Path = cgroups.PROC) -> ContainerProcess:
    """Find a container of any runtime in /proc/*/cgroup.

    `container_id` is the full ID or the beginning of it (12 digits, as the runtimes' own lists show it), with
    or without the runtime's prefix (`containerd://…`).

    Raises TargetSyntaxError, TargetNotFoundError, TargetNotRunningError, and TargetError where the
    beginning stands for several containers.
    """
    digits = _RUNTIME_PREFIX.sub("", container_id.strip(), count=1)
    if not _ID.fullmatch(digits):
        raise TargetSyntaxError(
            f"{container_id!r} is no container ID: that is 64 hexadecimal digits, or the first 12 of them.",
            next_step="docker ps --no-trunc, or crictl ps --no-trunc",
        )
    pid, full = cgroups.find_process(digits, proc=proc)
    notes = (_sharing_note(full[:_SHORT]),) if _shares_node_network(pid, proc) else ()
    return ContainerProcess(pid, full, name=full[:_SHORT], notes=notes)


def find_docker(name: str, *, proc: Path = cgroups.PROC) -> ContainerProcess:
    """Find a container of the Docker engine by its name, its compose service, or the beginning of its ID.

    Raises TargetNotFoundError (unknown, or on another machine), TargetNotRunningError, TargetError (a
    service of several replicas), NotPermittedError, ToolMissingError (no engine answers).
    """
    with connected() as client:
        chosen = _choose(name, client.api.containers(all=True))
        details = client.api.inspect_container(chosen["Id"])
        pid, notes = _process(details, proc)
        names = tuple(_neighbours(client, details, notes))
    return ContainerProcess(
        pid,
        details["Id"],
        name=_name_of(details),
        image=details["Config"]["Image"],
        names=names,
        notes=tuple(notes),
    )


# ---- which container is meant ----


def _choose(name: str, containers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The engine itself would take `db` for the beginning of an ID before it were a compose service."""
    ways = (
        [c for c in containers if name == c["Id"] or name in _own_names(c)],
        [c for c in containers if _service(c) == name],
        [c for c in containers if c["Id"].startswith(name) and len(name) >= _SHORTEST_ID],
    )
    for way in ways:
        running = [c for c in way if c["State"] in {"running", "paused"}]
        if len(running) > 1:
            _ambiguous(name, running)
        if way:
            return (running or way)[0]
    raise _unknown(name, containers)


def _own_names(container: dict[str, Any]) -> list[str]:
    """Its names without those that legacy links give it (`/other/alias`)."""
    return [name[1:] for name in container["Names"] or () if name.count("/") == 1]


def _service(container: dict[str, Any]) -> str:
    return str((container["Labels"] or {}).get(SERVICE_LABEL, ""))


def _ambiguous(name: str, containers: Sequence[dict[str, Any]]) -> NoReturn:
    names = sorted(_own_names(c)[0] if _own_names(c) else c["Id"][:_SHORT] for c in containers)
    raise TargetError(
        f"{name} stands for {len(names)} running containers: {', '.join(names)}.",
        next_step=f"k8scap capture docker/{names[0]}",
    )


def _unknown(name: str, containers: Sequence[dict[str, Any]]) -> TargetNotFoundError:
    known = {n for c in containers for n in (*_own_names(c), _service(c)) if n}
    near = [k for k in sorted(known) if name in k] or difflib.get_close_matches(name, sorted(known))
    hint = f"; there is {', '.join(near[:3])}" if near else ""
    return TargetNotFoundError(
        f"The Docker engine has no container or compose service {name}{hint}.", next_step="docker ps --all"
    )


# ---- its process ----


def _process(details: dict[str, Any], proc: Path) -> tuple[int, list[str]]:
    """Its PID here, and the notes so far; refuses a PID that is somebody else's on this machine."""
    name, full = _name_of(details), details["Id"]
    pid = int(details["State"].get("Pid") or 0)
    if pid == 0:
        _not_running(name, details["State"])
    notes = _state_notes(name, details)
    if cgroups.container_of(pid, proc=proc) == full:
        return pid, notes
    try:
        here, _ = cgroups.find_process(full, proc=proc)
    except TargetError:
        if _may_be_ours(pid, proc):
            notes.append(f"Process {pid} is {name}'s by the engine's word alone: its cgroup does not tell.")
            return pid, notes
        raise TargetNotFoundError(
            f"The Docker engine gives process {pid} for {name}, and that is not {name}'s process on this "
            "machine: the engine runs on another machine, or in another PID namespace.",
            next_step="run k8scap on the engine's machine, in the host's PID namespace.",
        ) from None
    notes.append(f"The engine counts PIDs in another namespace: its process {pid} is {here} here.")
    return here, notes


def _may_be_ours(pid: int, proc: Path) -> bool:
    """A PID 1 of its own, its cgroup shown as the root: our own cgroup namespace hides what is above."""
    try:
        cgroup = (proc / str(pid) / "cgroup").read_text(encoding="utf-8")
        namespaces = {(proc / who / "ns" / "pid").readlink() for who in ("self", str(pid))}
    except OSError:
        return False
    hidden = all(line.endswith(":/") for line in cgroup.splitlines())
    return hidden and len(namespaces) == 2 and cgroups.innermost_pid(pid, proc=proc) == 1


def _not_running(name: str, state: dict[str, Any]) -> NoReturn:
    status = state.get("Status", "exited")
    ended = f" (exit code {state.get('ExitCode')})" if status != "created" else ""
    raise TargetNotRunningError(
        f"The container {name} is there, but has no process: it is {status}{ended}.",
        next_step=f"docker start {name}" if status in _RUNNABLE else f"docker logs --tail 20 {name}",
    )


def _state_notes(name: str, details: dict[str, Any]) -> list[str]:
    notes = []
    mode = str(details["HostConfig"].get("NetworkMode", ""))
    if details["State"].get("Paused"):
        notes.append(f"{name} is paused: packets reach it, and it answers none (docker unpause {name}).")
    if mode == "host":
        notes.append(_sharing_note(name))
    if mode.startswith("container:"):
        notes.append(
            f"{name} shares the network namespace of the container {mode.partition(':')[2][:_SHORT]}."
        )
    return notes


def _sharing_note(name: str) -> str:
    return (
        f"{name} has no network namespace of its own: it shares the node's, so that the capture shows the "
        "traffic of the whole node. Narrow the filter to the ports of the container."
    )


def _shares_node_network(pid: int, proc: Path) -> bool:
    """Whether it is in the network of the node's first process (or in ours, where that one is hidden)."""
    node = _network_of("1", proc) or _network_of("self", proc)
    return node is not None and _network_of(str(pid), proc) == node


def _network_of(process: str, proc: Path) -> Path | None:
    try:
        return (proc / process / "ns" / "net").readlink()
    except OSError:
        return None


# ---- its neighbours ----


def _neighbours(client: DockerClient, details: dict[str, Any], notes: list[str]) -> Iterator[NameEntry]:
    """Who has which address in its networks; what cannot be asked is said in `notes`."""
    from docker.errors import APIError

    for network, endpoint in _networks(client, details).items():
        gateway = endpoint.get("Gateway")
        if gateway:
            yield NameEntry(address=gateway, name=f"{network}-gateway", kind="gateway")
        try:
            members = client.api.inspect_network(endpoint["NetworkID"])["Containers"] or {}
        except APIError as error:
            notes.append(f"The names in the network {network} are not known: {error.explanation or error}.")
            continue
        for member in members.values():
            for key in ("IPv4Address", "IPv6Address"):
                if address := member.get(key, "").partition("/")[0]:
                    yield NameEntry(address=address, name=member["Name"], kind="container")


def _networks(client: DockerClient, details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The networks of its namespace: with `network_mode: container:OTHER` those of the other."""
    mode = str(details["HostConfig"].get("NetworkMode", ""))
    if mode.startswith("container:"):
        details = client.api.inspect_container(mode.partition(":")[2])
    networks: dict[str, dict[str, Any]] = details["NetworkSettings"].get("Networks") or {}
    return {name: endpoint for name, endpoint in networks.items() if endpoint.get("NetworkID")}


def _name_of(details: dict[str, Any]) -> str:
    return str(details["Name"]).lstrip("/")
