"""Targets as kubectl writes them → pods, with as few requests as they take."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError, TargetNotFoundError, TargetNotRunningError, UsageError
from k8scap.live.kube import pods as reading
from k8scap.live.kube.api import path
from k8scap.live.kube.owners import controller, workload
from k8scap.live.kube.pods import Pod
from k8scap.live.kube.settings import is_name
from k8scap.live.kube.windows import require_linux

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.targets import Target

MOST_PODS = 10  # without --all

_WORKLOADS = {
    "deploy": ("apis", "apps", "v1", "deployments"),
    "rs": ("apis", "apps", "v1", "replicasets"),
    "sts": ("apis", "apps", "v1", "statefulsets"),
    "ds": ("apis", "apps", "v1", "daemonsets"),
    "job": ("apis", "batch", "v1", "jobs"),
    "cj": ("apis", "batch", "v1", "cronjobs"),
}
_SELECTOR = re.compile(r"[A-Za-z0-9_./!=,() -]+")


def find_pods(
    api: Api,
    targets: Sequence[Target],
    *,
    namespace: str | None,
    selector: str = "",
    container: str | None = None,
    all_pods: bool = False,
) -> tuple[Pod, ...]:
    """The pods that the targets and the label selector stand for, each once, in the order they were named.

    Raises TargetNotFoundError, TargetNotRunningError (a pod that was named has no processes; of a workload's
    those that have none are left out), UsageError (more than 10 without `all_pods`), NotPermittedError.
    """
    namespace = namespace or api.namespace
    if not is_name(namespace):
        raise UsageError(f"{namespace!r} cannot be a namespace.", next_step="kubectl get namespaces")
    found: dict[str, Pod] = {}
    for target in targets:
        for pod in _find(api, target, namespace, container):
            found.setdefault(pod.uid, pod)
    if selector:
        for pod in _selected(api, selector, namespace, container):
            found.setdefault(pod.uid, pod)
    if len(found) > MOST_PODS and not all_pods:
        raise UsageError(
            f"These are {len(found)} pods, and more than {MOST_PODS} are captured only where that is meant.",
            next_step="add --all, or name the pods",
        )
    return tuple(found.values())


def _find(api: Api, target: Target, namespace: str, container: str | None) -> list[Pod]:
    if target.kind == "node":
        return [_node(api, target)]
    if target.kind == "pod":
        return [_pod(api, target, namespace, container)]
    if target.kind == "svc":
        return _of_service(api, target, namespace, container)
    return _of_workload(api, target, namespace, container)


def _pod(api: Api, target: Target, namespace: str, container: str | None) -> Pod:
    try:
        raw = api.get(path("api", "v1", "namespaces", namespace, "pods", target.name))
    except TargetNotFoundError:
        raise _no_pod(api, target, namespace) from None
    pod = reading.read(raw, asked=str(target), container=container)
    require_linux(api, pod)
    return pod


def _no_pod(api: Api, target: Target, namespace: str) -> TargetNotFoundError:
    """Says what there is instead, as far as that may be seen."""
    next_step = f"kubectl get pods -n {namespace}"
    try:
        there, _ = api.list(path("api", "v1", "namespaces", namespace, "pods"))
    except K8scapError:
        there = []
    names = [str(pod["metadata"]["name"]) for pod in there]
    theirs = {workload(pod["metadata"]) for pod in there}
    for kind in _WORKLOADS:
        if f"{kind}/{target.name}" in theirs:
            return TargetNotFoundError(
                f"There is no pod {target.name} in {namespace}, but {kind}/{target.name} has pods there.",
                next_step=f"k8scap capture {kind}/{target.name} -n {namespace}",
            )
    near = [n for n in names if target.name in n][:3] or difflib.get_close_matches(target.name, names)
    hint = f"; there is {', '.join(near)}" if near else ""
    return TargetNotFoundError(f"There is no pod {target.name} in {namespace}{hint}.", next_step=next_step)


def _node(api: Api, target: Target) -> Pod:
    raw = api.get(path("api", "v1", "nodes", target.name))
    info = raw.get("status", {}).get("nodeInfo", {})
    if info.get("operatingSystem") == "windows":
        raise TargetNotRunningError(
            f"{target} runs Windows, where there is no network namespace to enter.",
            next_step="pktmon, on the node",
        )
    addresses = raw.get("status", {}).get("addresses", ())
    return Pod(
        namespace="",
        name=target.name,
        uid=str(raw["metadata"]["uid"]),
        node=target.name,
        asked=str(target),
        ips=tuple(a["address"] for a in addresses if a.get("type") == "InternalIP"),
        host_network=True,
        is_node=True,
        notes=(
            f"{target} is a whole machine: the traffic of all its pods passes here, before and after NAT.",
        ),
    )


def _of_workload(api: Api, target: Target, namespace: str, container: str | None) -> list[Pod]:
    raw = api.get(
        path(*_WORKLOADS[target.kind][:-1], "namespaces", namespace, _WORKLOADS[target.kind][-1], target.name)
    )
    if target.kind == "cj":
        return _read(
            api,
            target,
            namespace,
            "",
            container=container,
            is_its=lambda pod: workload(pod["metadata"]) == str(target),
        )
    selector = label_selector(raw.get("spec", {}).get("selector") or {})
    if not selector:
        raise TargetNotFoundError(
            f"{target} in {namespace} selects no pods.", next_step=f"kubectl describe {target}"
        )
    return _read(api, target, namespace, selector, container=container, is_its=_owned_by(target))


def _owned_by(target: Target) -> Callable[[Mapping[str, Any]], bool]:
    """Labels may be another workload's too: the owner decides."""

    def is_its(pod: Mapping[str, Any]) -> bool:
        kind, name = controller(pod["metadata"])
        if target.kind == "rs":
            return (kind, name) == ("ReplicaSet", target.name)
        if target.kind == "job":
            return (kind, name) == ("Job", target.name)
        return workload(pod["metadata"]) == str(target)

    return is_its


def _of_service(api: Api, target: Target, namespace: str, container: str | None) -> list[Pod]:
    raw = api.get(path("api", "v1", "namespaces", namespace, "services", target.name))
    spec = raw.get("spec", {})
    if spec.get("type") == "ExternalName":
        raise TargetNotFoundError(
            f"{target} in {namespace} is but a name for {spec.get('externalName')}, and has no pods.",
            next_step=f"kubectl describe svc -n {namespace} {target.name}",
        )
    if selector := spec.get("selector"):
        return _read(api, target, namespace, label_selector({"matchLabels": selector}), container=container)
    slices, _ = api.list(
        path("apis", "discovery.k8s.io", "v1", "namespaces", namespace, "endpointslices"),
        label_selector=f"kubernetes.io/service-name={target.name}",
    )
    references = (e.get("targetRef") or {} for s in slices for e in s.get("endpoints") or ())
    names = {str(r["name"]) for r in references if r.get("kind") == "Pod"}
    return _read(
        api, target, namespace, "", container=container, is_its=lambda pod: pod["metadata"]["name"] in names
    )


def _selected(api: Api, selector: str, namespace: str, container: str | None) -> list[Pod]:
    if not _SELECTOR.fullmatch(selector):
        raise UsageError(f"{selector!r} is not a label selector.", next_step="-l app=web")
    from k8scap.live.targets import Target

    return _read(api, Target("-l", selector), namespace, selector, container=container)


def _read(
    api: Api,
    target: Target,
    namespace: str,
    selector: str,
    *,
    container: str | None,
    is_its: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> list[Pod]:
    """The pods that run; raises where there are none, saying why the first one does not."""
    raws, _ = api.list(path("api", "v1", "namespaces", namespace, "pods"), label_selector=selector)
    found, refused = [], []
    for raw in raws:
        if not is_its(raw):
            continue
        try:
            found.append(reading.read(raw, asked=str(target), container=container))
        except TargetNotRunningError as error:
            refused.append(error)
    if found:
        return found
    if refused:
        raise refused[0]
    raise TargetNotFoundError(
        f"{target} in {namespace} has no pods.", next_step=f"kubectl get pods -n {namespace}"
    )


def label_selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector object as the API's query has it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator = rule["key"], rule["operator"]
        values = ",".join(rule.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(operator, f"!{key}"))
    return ",".join(parts)
