"""Nodes on which there is nothing to enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, TargetNotRunningError
from k8scap.live.kube.api import path

if TYPE_CHECKING:
    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod


def require_linux(api: Api, pod: Pod) -> None:
    """Raise TargetNotRunningError for a pod on a Windows node, where nodes may be read."""
    try:
        info = api.get(path("api", "v1", "nodes", pod.node)).get("status", {}).get("nodeInfo", {})
    except K8scapError:
        return
    if info.get("operatingSystem") == "windows":
        raise TargetNotRunningError(
            f"{pod.namespace}/{pod.name} is on {pod.node}, a Windows node, where nothing can be entered.",
            next_step="pktmon, on the node",
        )
