"""What is said of a target that is not there: what is called nearly so, or is another kind, or elsewhere."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError, TargetNotFoundError
from k8scap.live.kube.api import path
from k8scap.live.kube.owners import workload

if TYPE_CHECKING:
    from k8scap.live.kube.api import Api
    from k8scap.live.targets import Target

PLACES = {
    "pod": ("api", "v1", "pods"),
    "svc": ("api", "v1", "services"),
    "node": ("api", "v1", "nodes"),
    "deploy": ("apis", "apps", "v1", "deployments"),
    "rs": ("apis", "apps", "v1", "replicasets"),
    "sts": ("apis", "apps", "v1", "statefulsets"),
    "ds": ("apis", "apps", "v1", "daemonsets"),
    "job": ("apis", "batch", "v1", "jobs"),
    "cj": ("apis", "batch", "v1", "cronjobs"),
}
_INSTEAD = ("deploy", "sts", "ds", "svc")  # what a bare name, taken for a pod's, is meant for
_MOST_NEAR = 3


def place(kind: str, namespace: str, *name: str) -> str:
    """Where objects of a kind, or the one of that name, are; in all namespaces for ""."""
    *base, resource = PLACES[kind]
    inside = ("namespaces", namespace) if namespace else ()
    return path(*base, *inside, resource, *name)


def error(api: Api, target: Target, namespace: str) -> TargetNotFoundError:
    """The error, as helpful as what may be seen allows."""
    where = f" in {namespace}" if namespace else ""
    inside = f" -n {namespace}" if namespace else ""
    missing = f"There is no {target.kind}{' ' if target.kind == 'pod' else '/'}{target.name}{where}"
    there = _listed(api, place(target.kind, namespace))
    if target.kind == "pod" and (kind := _instead(api, target.name, namespace, there)):
        return TargetNotFoundError(
            f"{missing}, but there is {kind}/{target.name}.",
            next_step=f"k8scap capture {kind}/{target.name}{inside}",
        )
    names = [str(raw["metadata"]["name"]) for raw in there]
    if target.kind == "pod":
        names += sorted({workload(raw["metadata"]) for raw in there} - {""})
    near = [n for n in names if target.name in n] or _nearly(target.name, names)
    if near:
        return TargetNotFoundError(
            f"{missing}; there is {', '.join(near[:_MOST_NEAR])}.",
            next_step=f"kubectl get {target.kind}{inside}",
        )
    if namespace and not there and _is_missing(api, namespace):
        return TargetNotFoundError(f"There is no namespace {namespace}.", next_step="kubectl get namespaces")
    if namespace and (other := _elsewhere(api, target, namespace)):
        return TargetNotFoundError(
            f"{missing}, but in {', '.join(other[:_MOST_NEAR])}.",
            next_step=f"k8scap capture {target} -n {other[0]}",
        )
    return TargetNotFoundError(f"{missing}.", next_step=f"kubectl get {target.kind}{inside}")


def _nearly(name: str, names: list[str]) -> list[str]:
    """Those that differ by a typo, whatever kind stands before them."""
    bare = {known.rpartition("/")[2]: known for known in names}
    return [bare[near] for near in difflib.get_close_matches(name, list(bare))]


def _instead(api: Api, name: str, namespace: str, pods: list[dict[str, Any]]) -> str:
    """The kind of something else of that name: by the pods' owners at first, which costs no request."""
    theirs = {workload(pod["metadata"]) for pod in pods}
    for kind in PLACES:
        if f"{kind}/{name}" in theirs:
            return kind
    for kind in _INSTEAD:
        try:
            api.get(place(kind, namespace, name))
        except K8scapError:
            continue
        return kind
    return ""


def _is_missing(api: Api, namespace: str) -> bool:
    try:
        api.get(path("api", "v1", "namespaces", namespace))
    except TargetNotFoundError:
        return True
    except K8scapError:
        return False
    return False


def _elsewhere(api: Api, target: Target, namespace: str) -> list[str]:
    there = _listed(api, place(target.kind, ""), field_selector=f"metadata.name={target.name}")
    return sorted({str(raw["metadata"].get("namespace", "")) for raw in there} - {namespace, ""})


def _listed(api: Api, where: str, *, field_selector: str = "") -> list[dict[str, Any]]:
    try:
        return api.list(where, field_selector=field_selector)[0]
    except K8scapError:
        return []
