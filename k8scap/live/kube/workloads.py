"""Targets as kubectl writes them → pods, with as few requests as they take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8scap.errors import NotPermittedError, TargetNotFoundError, TargetNotRunningError, UsageError
from k8scap.live.kube import absent, selectors
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
_MOST_LEFT_OUT = 10


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
    raw = _get(api, target, namespace)
    pod = reading.read(raw, asked=str(target), container=container)
    require_linux(api, pod)
    return pod


def _get(api: Api, target: Target, namespace: str) -> dict[str, Any]:
    """The object; raises TargetNotFoundError that says what there is instead."""
    try:
        return api.get(absent.place(target.kind, namespace, target.name))
    except TargetNotFoundError:
        raise absent.error(api, target, namespace) from None


def _node(api: Api, target: Target) -> Pod:
    raw = _get(api, target, "")
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
    raw = _get(api, target, namespace)
    if target.kind == "cj":
        return _read(
            api, str(target), namespace, "", container=container, is_its=_scheduled(api, target, namespace)
        )
    selector = selectors.text(raw.get("spec", {}).get("selector") or {})
    if not selector:
        raise TargetNotFoundError(
            f"{target} in {namespace} selects no pods.", next_step=f"kubectl describe {target}"
        )
    return _read(api, str(target), namespace, selector, container=container, is_its=_owned_by(target))


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


def _scheduled(api: Api, target: Target, namespace: str) -> Callable[[Mapping[str, Any]], bool]:
    """The pods of a CronJob's Jobs, those that were started by hand as well, where Jobs may be listed."""
    try:
        jobs, _ = api.list(absent.place("job", namespace))
    except NotPermittedError:
        return lambda pod: workload(pod["metadata"]) == str(target)
    its = {job["metadata"]["name"] for job in jobs if controller(job["metadata"]) == ("CronJob", target.name)}
    return lambda pod: controller(pod["metadata"])[0] == "Job" and controller(pod["metadata"])[1] in its


def _of_service(api: Api, target: Target, namespace: str, container: str | None) -> list[Pod]:
    raw = _get(api, target, namespace)
    spec = raw.get("spec", {})
    if spec.get("type") == "ExternalName":
        raise TargetNotFoundError(
            f"{target} in {namespace} is but a name for {spec.get('externalName')}, and has no pods.",
            next_step=f"kubectl describe svc -n {namespace} {target.name}",
        )
    if selector := spec.get("selector"):
        return _read(
            api, str(target), namespace, selectors.text({"matchLabels": selector}), container=container
        )
    slices, _ = api.list(
        path("apis", "discovery.k8s.io", "v1", "namespaces", namespace, "endpointslices"),
        label_selector=f"kubernetes.io/service-name={target.name}",
    )
    references = (e.get("targetRef") or {} for s in slices for e in s.get("endpoints") or ())
    names = {str(r["name"]) for r in references if r.get("kind") == "Pod"}
    return _read(
        api,
        str(target),
        namespace,
        "",
        container=container,
        is_its=lambda pod: pod["metadata"]["name"] in names,
    )


def _selected(api: Api, selector: str, namespace: str, container: str | None) -> list[Pod]:
    selectors.check(selector)
    return _read(api, f"-l {selector}", namespace, selector, container=container)


def _read(
    api: Api,
    asked: str,
    namespace: str,
    selector: str,
    *,
    container: str | None,
    is_its: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> list[Pod]:
    """The pods that run, the first one noting who is left out; raises where none does, saying why."""
    raws, _ = api.list(path("api", "v1", "namespaces", namespace, "pods"), label_selector=selector)
    found, refused = [], []
    for raw in raws:
        if not is_its(raw):
            continue
        try:
            found.append(reading.read(raw, asked=asked, container=container))
        except TargetNotRunningError as error:
            refused.append((raw, error))
    if found:
        left_out = [e.message for pod, e in refused if not reading.is_over(pod)][:_MOST_LEFT_OUT]
        return [replace(found[0], notes=(*found[0].notes, *left_out)), *found[1:]]
    if refused:
        raise refused[0][1]
    raise TargetNotFoundError(
        f"{asked} in {namespace} has no pods.", next_step=f"kubectl get pods -n {namespace}"
    )
