"""How a cluster moves packets, as far as its system objects tell: what a reader of its captures must know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError
from k8scap.live.kube.api import path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod

_CNI = {
    "cilium": "Cilium",
    "calico-node": "Calico",
    "canal": "Canal",
    "kube-flannel-ds": "Flannel",
    "kube-flannel": "Flannel",
    "weave-net": "Weave Net",
    "aws-node": "Amazon VPC CNI",
    "azure-cns": "Azure CNI",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "ovnkube-node": "OVN-Kubernetes",
    "kindnet": "kindnet",
    "rke2-canal": "Canal",
}
_MODE = re.compile(r"^\s*mode:\s*[\"']?([a-z0-9]*)", re.MULTILINE)


def look(api: Api, pods: Iterable[Pod]) -> dict[str, Any]:
    """`cni`, `kube_proxy` (its mode, or replaced), `socket_load_balancing`, `mesh`, and what is `unknown`.

    With Cilium's socket load balancing a pod connects to a Service's backend at once: the Service's address
    is never on the wire. Never raises.
    """
    told: dict[str, Any] = {"mesh": sorted({pod.workload or pod.name for pod in pods if pod.mesh})}
    unknown: dict[str, str] = {}
    try:
        names = _daemon_sets(api)
        told["cni"] = (
            ", ".join(dict.fromkeys(_CNI[name] for name in sorted(names) if name in _CNI)) or "unknown"
        )
        if "ztunnel" in names:
            told["ambient_mesh"] = True
        if "cilium" in names:
            told.update(_cilium(api, unknown))
        if "kube-proxy" in names:
            told["kube_proxy"] = _kube_proxy(api, unknown)
        elif told.get("kube_proxy_replacement"):
            told["kube_proxy"] = "replaced by Cilium"
        else:
            told["kube_proxy"] = "unknown"
            unknown["kube_proxy"] = (
                "No DaemonSet kube-proxy is there: it may run in the node's own processes."
            )
    except K8scapError as error:
        unknown["cni"] = error.message
    return {**told, **({"unknown": unknown} if unknown else {})}


def _daemon_sets(api: Api) -> set[str]:
    """Names, of the whole cluster where they may be seen (operators have namespaces of their own)."""
    try:
        sets, _ = api.list(path("apis", "apps", "v1", "daemonsets"))
    except K8scapError:
        sets, _ = api.list(path("apis", "apps", "v1", "namespaces", "kube-system", "daemonsets"))
    return {str(raw["metadata"]["name"]) for raw in sets}


def _kube_proxy(api: Api, unknown: dict[str, str]) -> str:
    try:
        data = _config(api, "kube-proxy")
    except K8scapError as error:
        unknown["kube_proxy"] = error.message
        return "unknown"
    match = _MODE.search(data.get("config.conf", ""))
    return match[1] if match and match[1] else "iptables"


def _cilium(api: Api, unknown: dict[str, str]) -> dict[str, Any]:
    try:
        data = _config(api, "cilium-config")
    except K8scapError as error:
        unknown["socket_load_balancing"] = error.message
        return {}
    replaces = data.get("kube-proxy-replacement", "false") in {"true", "strict"}
    return {
        "socket_load_balancing": replaces or data.get("bpf-lb-sock", "false") == "true",
        "kube_proxy_replacement": replaces,
        "tunnel": data.get("tunnel-protocol") or data.get("tunnel", ""),
    }


def _config(api: Api, name: str) -> dict[str, str]:
    where = path("api", "v1", "namespaces", "kube-system", "configmaps", name)
    return dict(api.get(where).get("data") or {})
