"""Whose a pod is: `deploy/web`, `sts/db` …, by its owner and labels, without asking the API again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = {
    "ReplicaSet": "rs",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "Job": "job",
    "Node": "node",
    "ReplicationController": "rc",
}
_SCHEDULED = re.compile(r"(?P<name>.+)-(?P<minute>\d{8,9})")  # a CronJob names its Jobs by the minute
_FIRST_MINUTE = 23_600_000  # end of 2014, before there were CronJobs: a date such as 20261126 is less


def controller(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The kind and name of the owner that controls an object; ("", "") where none does."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller", True):
            return str(owner.get("kind", "")), str(owner.get("name", ""))
    return "", ""


def workload(metadata: Mapping[str, Any]) -> str:
    """Kubectl's word for the workload: a Deployment's through its ReplicaSet, whose name ends in a hash."""
    kind, name = controller(metadata)
    template = (metadata.get("labels") or {}).get("pod-template-hash", "")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"deploy/{name.removesuffix(f'-{template}')}"
    scheduled = _SCHEDULED.fullmatch(name) if kind == "Job" else None
    if scheduled and int(scheduled["minute"]) > _FIRST_MINUTE:
        return f"cj/{scheduled['name']}"
    return f"{KINDS.get(kind, kind.lower())}/{name}" if kind else ""
