"""Targets as text ("docker/web") → what they stand for on this machine."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.errors import TargetNotFoundError, TargetSyntaxError

if TYPE_CHECKING:
    from k8scap.live.doors import Scope
    from k8scap.model import NameEntry
    from k8scap.runner import Runner

NETNS_FOLDER = Path("/run/netns")
SYNTAX = (
    "pod/NAME, deploy/, sts/, ds/, rs/, job/, cj/, svc/ or node/NAME, or on this machine docker/NAME, "
    "container/ID, pid/N or netns/NAME"
)

_KUBERNETES_KINDS = {
    "pod": ("po", "pod", "pods"),
    "node": ("no", "node", "nodes"),
    "svc": ("svc", "service", "services"),
    "deploy": ("deploy", "deployment", "deployments", "deployment.apps", "deployments.apps"),
    "sts": ("sts", "statefulset", "statefulsets", "statefulset.apps", "statefulsets.apps"),
    "ds": ("ds", "daemonset", "daemonsets", "daemonset.apps", "daemonsets.apps"),
    "rs": ("rs", "replicaset", "replicasets", "replicaset.apps", "replicasets.apps"),
    "job": ("job", "jobs", "job.batch", "jobs.batch"),
    "cj": ("cj", "cronjob", "cronjobs", "cronjob.batch", "cronjobs.batch"),
}
_KIND_OF = {word: kind for kind, words in _KUBERNETES_KINDS.items() for word in words}
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LONGEST_NAME = 253  # a DNS subdomain, RFC 1123
_NAMES = {
    "pid": re.compile(r"[1-9][0-9]{0,9}"),
    "netns": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,254}"),
    "docker": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"),
    "container": re.compile(r"[0-9a-f]{6,64}"),
}
LOCAL_KINDS = frozenset(_NAMES)
"""What is found on this machine; all else is asked of Kubernetes."""

_NAME_IS = {
    "pid": "a number above 0, such as pid/4711",
    "netns": "a name that `ip netns list` shows",
    "docker": "a name that `docker ps` shows",
    "container": "an ID of 6 to 64 hexadecimal digits",
}
_RUNTIME_PREFIX = re.compile(r"[a-z-]+://")  # containerID in a pod's status: containerd://ID


@dataclass(frozen=True)
class Target:
    """A target as it was asked for.

    `kind` is pid, netns, docker or container, or kubectl's short word for a kind of Kubernetes.
    """

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
    """Read a target; a bare name is a pod's. Raises TargetSyntaxError."""
    kind, slash, name = text.strip().partition("/")
    if not slash:
        kind, name = "pod", kind
    if kind.lower() in _KIND_OF:
        return Target(_KIND_OF[kind.lower()], _checked_name(text, name))
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


def _checked_name(text: str, name: str) -> str:
    if len(name) > _LONGEST_NAME or not _OBJECT_NAME.fullmatch(name):
        shown = text if len(text) <= _LONGEST_NAME else f"{text[:60]}…"
        raise TargetSyntaxError(
            f"{shown!r} is not a target: a name in Kubernetes has small letters, digits, '-' and '.', "
            "and begins and ends with a letter or digit.",
            next_step="kubectl get pods",
        )
    return name


def resolve(target: Target, *, runner: Runner, scope: Scope | None = None) -> Found:
    """Find a target's process or namespace on this machine; `scope` says where a pod is looked for.

    Raises TargetNotFoundError, TargetNotRunningError, NotPermittedError, ToolMissingError, and for pods
    ClusterUnreachableError.
    """
    if target.kind not in LOCAL_KINDS:
        from k8scap.live.doors import Scope
        from k8scap.live.kube.here import find_process

        return find_process(target, scope or Scope(), runner=runner)
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
