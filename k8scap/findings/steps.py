"""The next command to type: one line, with this capture's own addresses in it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.findings.case import Case
    from k8scap.model import NameEntry


def inside(case: Case, argv: Sequence[str]) -> str:
    """`argv` to be run where the capture was made: in the target's network namespace."""
    manifest = case.manifest
    target = str(manifest.target.get("text", "")) if manifest else ""
    return shlex.join(["k8scap", "enter", target, "--", *argv] if target else list(argv))


def in_pod(case: Case, address: object, argv: Sequence[str]) -> str:
    """`argv` to be run in the pod of that address; empty where no name says that it is a pod's."""
    entry = _pod(case, address)
    if entry is None:
        return ""
    return shlex.join(["kubectl", "exec", "-n", entry.namespace, entry.name, "--", *argv])


def whose(case: Case, address: object) -> str:
    """What Kubernetes knows of an address: the pod where it is named, else a search by address."""
    entry = _pod(case, address)
    if entry is not None:
        return shlex.join(["kubectl", "describe", "pod", "-n", entry.namespace, entry.name])
    selector = f"status.podIP={address}"
    return shlex.join(["kubectl", "get", "pods", "-A", "-o", "wide", "--field-selector", selector])


def in_kubernetes(case: Case) -> bool:
    """Some address of this capture is known to be a pod's or a Service's."""
    return any(e.namespace for e in case.names.entries)


def _pod(case: Case, address: object) -> NameEntry | None:
    entries = [e for e in case.names.entries if e.address == str(address) and e.kind == "pod" and e.namespace]
    return entries[-1] if entries else None


def endpoints_of(case: Case, address: object) -> str:
    """The backends of the Service with that address; empty where no name says that it is a Service's."""
    for entry in reversed(case.names.entries):
        if entry.address == str(address) and entry.kind == "service" and entry.namespace:
            label = f"kubernetes.io/service-name={entry.name}"
            return shlex.join(["kubectl", "get", "endpointslices", "-n", entry.namespace, "-l", label])
    return ""


def all_conversations(case: Case) -> str:
    """The whole table of this capture, for a spreadsheet."""
    manifest = case.manifest
    files = [f.name for f in manifest.files] if manifest else []
    return shlex.join(["k8scap", "conversations", *(files or [f"{case.point}.pcap"]), "--format", "csv"])
