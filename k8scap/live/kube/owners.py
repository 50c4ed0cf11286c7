"""Whose a pod is: `deploy/web`, `sts/db` …, by its owner and labels, without asking the API again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.names import kubernetes

if TYPE_CHECKING:
    from collections.abc import Mapping


def controller(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The kind and name of the owner that controls an object; ("", "") where none does."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller", True):
            return str(owner.get("kind", "")), str(owner.get("name", ""))
    return "", ""


def workload(metadata: Mapping[str, Any]) -> str:
    """Kubectl's word for what made a pod, by the one rule that names have too."""
    return kubernetes.workload({"metadata": metadata})
