"""The manifests that allow a way, for the namespace and the group that are meant."""

from __future__ import annotations

from pathlib import Path

from k8scap.errors import UnreadableFileError, UsageError
from k8scap.live.kube.settings import is_name

WAYS = ("node-pod", "exec", "ephemeral", "workloads", "names")
_NAMESPACE, _GROUPS = "shop", ("developers", "operators")


def folder() -> Path:
    """Where the manifests lie: in the wheel inside the package, in a checkout beside it."""
    package = Path(__file__).resolve().parents[2]
    for found in (package / "deploy" / "rbac", package.parent / "deploy" / "rbac"):
        if found.is_dir():
            return found
    raise UnreadableFileError(
        "The manifests are not where k8scap is installed.", path=str(package), next_step="pip install k8scap"
    )


def manifest(way: str, *, namespace: str, group: str) -> str:
    """YAML for `kubectl apply -f -`. Raises UsageError for a name that cannot be, or no such way."""
    if way not in WAYS:
        raise UsageError(f"There is no manifest {way!r}, only {', '.join(WAYS)}.", next_step="k8scap doctor")
    if not is_name(namespace):
        raise UsageError(f"{namespace!r} cannot be a namespace.", next_step="kubectl get namespaces")
    if not group or not all(c.isalnum() or c in "-_.:@/" for c in group):
        raise UsageError(f"{group!r} cannot be a group's name here.", next_step="--group developers")
    lines = (folder() / f"{way}.yaml").read_text(encoding="utf-8").splitlines()
    return "".join(f"{_adapted(line, namespace, group)}\n" for line in lines)


def _adapted(line: str, namespace: str, group: str) -> str:
    if line.strip() == f"namespace: {_NAMESPACE}":
        return line.replace(_NAMESPACE, namespace)
    for known in _GROUPS:
        if line.strip() == f"name: {known}":
            return line.replace(known, f'"{group}"')
    return line
