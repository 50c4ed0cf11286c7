"""Pods on this machine: through the container runtime, where no API server can be asked, and their processes.

Docker (cri-dockerd) and the CRI runtimes label every container of a pod alike (k8s.io/cri-client, labels.go).
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError, TargetError, TargetNotFoundError
from k8scap.live.kube.pods import MESH_PROXIES, Container, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from k8scap.live.doors import Scope
    from k8scap.live.targets import Found, Target
    from k8scap.runner import Runner

_POD, _NAMESPACE, _UID = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"
_CONTAINER = "io.kubernetes.container.name"
_SANDBOX = "POD"  # cri-dockerd's word for the pause container
_NOTE = "Found through the container runtime, without the API server: other pods' names are not known."


def pods_here(targets: Sequence[Target], scope: Scope, *, runner: Runner) -> tuple[Pod, ...]:
    """The pods of these names as the runtime here knows them. Raises TargetNotFoundError, TargetError."""
    labelled = [*_docker(), *_crictl(runner)]
    return tuple(_pod(target, scope, labelled) for target in targets)


def find_process(target: Target, scope: Scope, *, runner: Runner) -> Found:
    """The process through which a pod on this machine is entered, for `enter` and `netns`.

    The API server is asked first, then the runtime. Raises what both raise, TargetNotFoundError for a pod
    that runs elsewhere.
    """
    from k8scap.live.kube import processes
    from k8scap.live.targets import Found

    pod = _asked(target, scope, runner)
    found = processes.find({pod.uid: pod.wanted}, runner.run)
    if pod.uid not in found:
        raise TargetNotFoundError(
            f"This machine is not {pod.node}, the node of {pod.title}: it is entered there.",
            next_step=f"ssh {pod.node}, then the same there",
        )
    container = {"container_name": pod.container} if pod.container else {}
    return Found({**pod.described, **container}, found[pod.uid].pid, None, (), pod.notes)


def _asked(target: Target, scope: Scope, runner: Runner) -> Pod:
    from k8scap.live.kube.api import Api
    from k8scap.live.kube.workloads import find_pods

    try:
        api = Api.connect(context=scope.context)
        options: dict[str, Any] = {"namespace": scope.namespace, "container": scope.container}
        return find_pods(api, [target], all_pods=True, **options)[0]
    except K8scapError:
        if target.kind != "pod":
            raise
        try:
            return pods_here([target], scope, runner=runner)[0]
        except K8scapError:
            pass
        raise


def _pod(target: Target, scope: Scope, labelled: Sequence[Mapping[str, Any]]) -> Pod:
    mine = [
        c
        for c in labelled
        if c["labels"].get(_POD) == target.name
        and (scope.namespace in {None, c["labels"].get(_NAMESPACE)})
        and c["labels"].get(_CONTAINER) != _SANDBOX
    ]
    namespaces = sorted({str(c["labels"].get(_NAMESPACE)) for c in mine})
    if not mine:
        where = f" in {scope.namespace}" if scope.namespace else ""
        raise TargetNotFoundError(
            f"No container of a pod {target.name}{where} runs on this machine.", next_step="crictl pods"
        )
    if len(namespaces) > 1:
        raise TargetError(
            f"There are pods {target.name} in {', '.join(namespaces)}.", next_step=f"-n {namespaces[0]}"
        )
    containers = tuple(
        Container(name=c["labels"][_CONTAINER], kind="container", image=c["image"], id=c["id"], running=True)
        for c in mine
    )
    names = [c.name for c in containers]
    if scope.container is not None and scope.container not in names:
        raise TargetNotFoundError(
            f"The pod {target.name} has no container {scope.container!r} that runs, only {', '.join(names)}.",
            next_step=f"-c {names[0]}",
        )
    own = [name for name in names if name not in MESH_PROXIES]
    return Pod(
        namespace=namespaces[0],
        name=target.name,
        uid=str(mine[0]["labels"].get(_UID)),
        node=socket.gethostname(),
        asked=str(target),
        containers=containers,
        container=scope.container or (own or names)[0],
        mesh=len(own) < len(names),
        notes=(_NOTE,),
    )


def _docker() -> Iterator[dict[str, Any]]:
    from k8scap.live.containers.engine import connected

    try:
        with connected() as client:
            listed = client.api.containers(filters={"label": _POD})
    except K8scapError:
        return
    for container in listed:
        yield {"id": container["Id"], "image": container["Image"], "labels": container.get("Labels") or {}}


def _crictl(runner: Runner) -> Iterator[dict[str, Any]]:
    if runner.which("crictl") is None:
        return
    try:
        done = runner.run(["crictl", "ps", "-o", "json"], timeout=15)
        listed = json.loads(done.stdout or b"{}").get("containers") or ()
        for container in listed:
            image = (container.get("image") or {}).get("image", "")
            yield {"id": str(container["id"]), "image": image, "labels": dict(container["labels"])}
    except (K8scapError, TimeoutError, ValueError, TypeError, KeyError, AttributeError):
        return
