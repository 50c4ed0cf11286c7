"""The next command to type: one line, with this capture's own addresses in it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from k8scap.findings.case import Case
    from k8scap.model import NameEntry


def inside(case: Case, argv: Sequence[str]) -> str:
    """`argv` to be run where the capture was made: in the target's network namespace."""
    manifest = case.manifest
    target = str(manifest.target.get("text", "")) if manifest else ""
    return shlex.join(["k8scap", "enter", target, "--", *argv] if target else list(argv))


def in_pod(case: Case, address: object, argv: Sequence[str], *, time: datetime) -> str:
    """`argv` to be run in the pod of that address then; empty where no name says that it was a pod's."""
    entry = _named(case, address, "pod", time)
    if entry is None:
        return ""
    return shlex.join(["kubectl", "exec", "-n", entry.namespace, entry.name, "--", *argv])


def logs_of(case: Case, address: object, *, time: datetime) -> str:
    """What the pod of that address wrote; empty where no name says that it was a pod's."""
    entry = _named(case, address, "pod", time)
    if entry is None:
        return ""
    return shlex.join(["kubectl", "logs", "-n", entry.namespace, entry.name, "--timestamps", "--tail=200"])


def whose(case: Case, address: object, *, time: datetime) -> str:
    """What Kubernetes knows of an address: the pod where it is named, else a search by address."""
    entry = _named(case, address, "pod", time)
    if entry is not None:
        return shlex.join(["kubectl", "describe", "pod", "-n", entry.namespace, entry.name])
    selector = f"status.podIP={address}"
    return shlex.join(["kubectl", "get", "pods", "-A", "-o", "wide", "--field-selector", selector])


def in_kubernetes(case: Case) -> bool:
    """Some address of this capture is known to be a pod's or a Service's."""
    return any(e.namespace for e in case.names.entries)


def endpoints_of(case: Case, address: object, *, time: datetime) -> str:
    """The backends of the Service with that address; empty where no name says that it was a Service's."""
    entry = _named(case, address, "service", time)
    if entry is None:
        return ""
    label = f"kubernetes.io/service-name={entry.name}"
    return shlex.join(["kubectl", "get", "endpointslices", "-n", entry.namespace, "-l", label])


def policies_of(case: Case, address: object, *, time: datetime) -> str:
    """What may forbid traffic to the pod of that address, asked of who forbids it; empty: no pod's."""
    entry = _named(case, address, "pod", time)
    if entry is None:
        return ""
    dataplane = case.manifest.dataplane if case.manifest else {}
    if "Cilium" in str(dataplane.get("cni", "")):
        pod = f"{entry.namespace}/{entry.name}"
        return shlex.join(["hubble", "observe", "--verdict", "DROPPED", "--to-pod", pod])
    return shlex.join(["kubectl", "get", "networkpolicies", "-n", entry.namespace, "-o", "wide"])


def _named(case: Case, address: object, kind: str, time: datetime) -> NameEntry | None:
    """Who had the address then, if that was a pod (a Service) whose namespace is known."""
    entry = case.names.entry(str(address), time)
    return entry if entry and entry.kind == kind and entry.namespace else None


def all_conversations(case: Case) -> str:
    """The whole table of this capture, for a spreadsheet."""
    return all_of(case, "conversations")


def all_of(case: Case, table: str) -> str:
    """A whole table of this capture, for a spreadsheet."""
    manifest = case.manifest
    files = [f.name for f in manifest.files] if manifest else []
    return shlex.join(["k8scap", table, *(files or [f"{case.point}.pcap"]), "--format", "csv"])
