"""Targets as text ("docker/web") → what they stand for on this machine."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from k8scap.errors import TargetNotFoundError, TargetSyntaxError

if TYPE_CHECKING:
    from k8scap.model import NameEntry
    from k8scap.runner import Runner

NETNS_FOLDER = Path("/run/netns")
SYNTAX = "pid/N, netns/NAME, docker/NAME or container/ID"

_KUBERNETES_KINDS = frozenset(
    {"po", "pod", "pods", "no", "node", "nodes", "svc", "service", "services"}
    | {"deploy", "deployment", "deployments", "sts", "statefulset", "statefulsets"}
    | {"ds", "daemonset", "daemonsets", "rs", "replicaset", "replicasets"}
    | {"job", "jobs", "cj", "cronjob", "cronjobs"}
)
_NAMES = {
    "pid": re.compile(r"[1-9][0-9]{0,9}"),
    "netns": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,254}"),
    "docker": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"),
    "container": re.compile(r"[0-9a-f]{6,64}"),
}
_NAME_IS = {
    "pid": "a number above 0, such as pid/4711",
    "netns": "a name that `ip netns list` shows",
    "docker": "a name that `docker ps` shows",
    "container": "an ID of 6 to 64 hexadecimal digits",
}
_BARE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RUNTIME_PREFIX = re.compile(r"[a-z-]+://")  # containerID in a pod's status: containerd://ID


@dataclass(frozen=True)
class Target:
    """A target as it was asked for: `kind` is pid, netns, docker or container."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Found:
    """What a target turned out to be.

    `target` is what the manifest says of it; it has a process (`pid`) or, for netns/NAME, a `path`;
    `names` are the addresses known from its engine, `notes` sentences for people.
    """

    target: dict[str, Any]
    pid: int | None
    path: Path | None
    names: tuple[NameEntry, ...] = ()
    notes: tuple[str, ...] = ()


def parse(text: str) -> Target:
    """Read a target; raises TargetSyntaxError, or TargetNotFoundError for what only Kubernetes knows."""
    kind, slash, name = text.strip().partition("/")
    if not slash and _BARE_NAME.fullmatch(kind):
        _no_kubernetes_yet(text, next_step=f"k8scap capture docker/{kind}")
    if kind.lower() in _KUBERNETES_KINDS:
        _no_kubernetes_yet(text, next_step="crictl ps, then k8scap capture container/ID on the pod's node")
    if kind not in _NAMES:
        raise TargetSyntaxError(
            f"{text!r} is not a target: it is written {SYNTAX}.", next_step="k8scap capture --help"
        )
    name = _RUNTIME_PREFIX.sub("", name, count=1) if kind == "container" else name
    if not _NAMES[kind].fullmatch(name):
        raise TargetSyntaxError(
            f"{text!r} is not a target: behind {kind}/ stands {_NAME_IS[kind]}.",
            next_step="k8scap capture --help",
        )
    return Target(kind, name)


def resolve(target: Target, *, runner: Runner) -> Found:  # noqa: ARG001 - other ways to a target will run commands
    """Find a target's process or namespace on this machine.

    Raises TargetNotFoundError, TargetNotRunningError, NotPermittedError, ToolMissingError.
    """
    if target.kind == "pid":
        return Found(_entry(target, pid=int(target.name)), int(target.name), None)
    if target.kind == "netns":
        return _find_netns(target)
    return _find_container(target)


def _find_netns(target: Target) -> Found:
    path = NETNS_FOLDER / target.name
    if not path.exists():
        raise TargetNotFoundError(f"There is no network namespace {target.name}.", next_step="ip netns list")
    return Found(_entry(target), None, path)


def _find_container(target: Target) -> Found:
    from k8scap.live import containers

    find = containers.find_docker if target.kind == "docker" else containers.find_by_id
    process = find(target.name)
    entry = _entry(
        target,
        pid=process.pid,
        container_id=process.container_id,
        container_name=process.name,
        image=process.image,
    )
    return Found(entry, process.pid, None, tuple(process.names), tuple(process.notes))


def _entry(target: Target, **more: Any) -> dict[str, Any]:
    what = {"text": str(target), "kind": target.kind, "name": target.name, **more}
    return {**what, "node": socket.gethostname()}


def _no_kubernetes_yet(text: str, *, next_step: str) -> NoReturn:
    raise TargetNotFoundError(
        f"{text!r} is a Kubernetes target, and this version does not have these yet: "
        f"it takes {SYNTAX}, on the machine itself.",
        next_step=next_step,
    )
