"""The cluster as a capture would find it: reachable, permissions, admission, and each way into a target."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, NotPermittedError
from k8scap.live.checkup import Check, failed, of_errors, passed
from k8scap.live.kube import helper_pod, way_ephemeral
from k8scap.live.kube.api import Api, path
from k8scap.live.kube.pod_runner import PodRunner
from k8scap.live.kube.settings import DEFAULT_NAMESPACE, HelperSettings
from k8scap.live.kube.way_exec import require_tcpdump
from k8scap.live.kube.way_local import LocalWay
from k8scap.live.kube.ways import ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from k8scap.live.kube.pods import Pod
    from k8scap.live.targets import Target
    from k8scap.runner import Runner

_SECURITY_LEVEL = "pod-security.kubernetes.io/enforce"
_NAMES = (("pods", ""), ("services", ""), ("nodes", ""), ("endpointslices", "discovery.k8s.io"))


def look(
    target: Target | None,
    *,
    namespace: str | None,
    context: str | None,
    container: str | None,
    clean: bool,
    runner: Runner,
) -> tuple[list[Check], list[str]]:
    """The checks, and the ways into `target` that are open. Raises where there is no cluster to ask."""
    api = Api.connect(context=context)
    settings = HelperSettings.read()
    version = api.get("/version")
    where = f"{api.server} ({version.get('gitVersion')}), context {api.context or 'in the cluster'}"
    checks = [passed("cluster", f"{where}, namespace {namespace or api.namespace}")]
    if clean:
        checks.append(_clean(api, namespace or api.namespace, settings))
    checks.append(_names(api))
    if target is None:
        return checks, []
    try:
        pod = _pod(api, target, namespace, container)
    except NotPermittedError as error:
        manifest = _manifest("workloads" if target.kind != "pod" else "exec", namespace or api.namespace)
        return [*checks, of_errors("target", [error], next_step=manifest)], []
    except K8scapError as error:
        return [*checks, of_errors("target", [error])], []
    checks.append(_described(api, pod))
    by_way = {
        "local": _local(pod, runner),
        "node-pod": _node_pod(api, pod, settings),
        "exec": _exec(api, pod),
        "ephemeral": _ephemeral(api, pod, settings),
    }
    checks.extend(by_way[name] for name in ORDER)
    return checks, [name for name in ORDER if by_way[name].ok]


def _pod(api: Api, target: Target, namespace: str | None, container: str | None) -> Pod:
    from k8scap.live.kube.workloads import find_pods

    return find_pods(api, [target], namespace=namespace, selector="", container=container, all_pods=True)[0]


def _clean(api: Api, namespace: str, settings: HelperSettings) -> Check:
    gone = []
    for helpers in dict.fromkeys([settings.namespace or DEFAULT_NAMESPACE, namespace]):
        gone += [f"{helpers}/{name}" for name in helper_pod.delete_expired(api, helpers)]
    return passed("expired helper pods", f"deleted {', '.join(gone)}" if gone else "there are none")


def _names(api: Api) -> Check:
    missing = [
        resource
        for resource, group in _NAMES
        if not all(api.allowed(verb, resource, group=group) for verb in ("list", "watch"))
    ]
    if not missing:
        return passed("names", "pods, services, nodes and endpointslices may be read cluster-wide")
    return failed(
        "names", f"{', '.join(missing)} may not be listed and watched cluster-wide", _manifest("names")
    )


def _described(api: Api, pod: Pod) -> Check:
    facts = [f"{pod.namespace}/{pod.name}", f"container {pod.container}", f"on {pod.node}"]
    try:
        info = api.get(path("api", "v1", "nodes", pod.node))["status"]["nodeInfo"]
        facts.append(f"{info['containerRuntimeVersion']}, {info['operatingSystem']}/{info['architecture']}")
    except (K8scapError, KeyError):
        facts.append("its node may not be read")
    if level := _level(api, pod.namespace):
        facts.append(f"Pod Security {level}")
    return passed("target", "; ".join([", ".join(facts), *pod.notes]))


def _level(api: Api, namespace: str) -> str:
    try:
        labels = api.get(path("api", "v1", "namespaces", namespace))["metadata"].get("labels", {})
    except K8scapError:
        return ""
    return str(labels.get(_SECURITY_LEVEL, "privileged (no label)"))


def _local(pod: Pod, runner: Runner) -> Check:
    found = LocalWay(runner=runner).open([pod])[pod.uid]
    if isinstance(found, K8scapError):
        return of_errors("local", [found])
    found.close()
    return passed("local", "this machine is the pod's node, and we are root")


def _node_pod(api: Api, pod: Pod, settings: HelperSettings) -> Check:
    refusals: list[K8scapError] = []
    for namespace in _helper_namespaces(pod, settings):
        try:
            for verb, sub in (("get", ""), ("delete", ""), ("get", "exec"), ("create", "exec")):
                _require(api, verb, "pods", sub, namespace)
            helper_pod.create(api, pod.node, namespace=namespace, settings=settings, seconds=60, dry_run=True)
        except K8scapError as error:
            refusals.append(error)
        else:
            admitted = f"a helper pod on {pod.node} would be admitted in {namespace}"
            return passed("node-pod", f"{admitted}; its image is {settings.image}")
    return of_errors("node-pod", refusals, next_step=_manifest("node-pod", pod.namespace))


def _helper_namespaces(pod: Pod, settings: HelperSettings) -> Iterable[str]:
    return [settings.namespace] if settings.namespace else dict.fromkeys([DEFAULT_NAMESPACE, pod.namespace])


def _exec(api: Api, pod: Pod) -> Check:
    def attempt() -> str:
        for verb in ("get", "create"):
            _require(api, verb, "pods", "exec", pod.namespace)
        require_tcpdump(PodRunner(api, namespace=pod.namespace, pod=pod.name, container=pod.container))
        return f"tcpdump runs in the container {pod.container}"

    return _tried("exec", attempt, _manifest("exec", pod.namespace))


def _ephemeral(api: Api, pod: Pod, settings: HelperSettings) -> Check:
    def attempt() -> str:
        for verb, sub in (("patch", "ephemeralcontainers"), ("get", "exec"), ("create", "exec")):
            _require(api, verb, "pods", sub, pod.namespace)
        name = f"{way_ephemeral.PREFIX}{secrets.token_hex(3)}"
        container = way_ephemeral.manifest(name, settings=settings, seconds=60)
        where = f"{helper_pod.pod_path(pod.namespace, pod.name)}/ephemeralcontainers"
        api.patch(where, {"spec": {"ephemeralContainers": [container]}}, dry_run=True)
        return f"an ephemeral container would be admitted, and stay in the pod; its image is {settings.image}"

    return _tried("ephemeral", attempt, _manifest("ephemeral", pod.namespace))


def _tried(name: str, attempt: Callable[[], str], manifest: str) -> Check:
    try:
        return passed(name, attempt())
    except NotPermittedError as error:
        return of_errors(name, [error], next_step=manifest if "may not" in error.message else error.next_step)
    except K8scapError as error:
        return of_errors(name, [error])
    except TimeoutError as error:
        return failed(name, f"no answer: {error}")


def _require(api: Api, verb: str, resource: str, subresource: str, namespace: str) -> None:
    if not api.allowed(verb, resource, subresource=subresource, namespace=namespace):
        what = f"{resource}/{subresource}" if subresource else resource
        raise NotPermittedError(
            f"You may not {verb} {what} in {namespace}.",
            next_step=f"kubectl auth can-i {verb} {what} -n {namespace}",
        )


def _manifest(way: str, namespace: str = "") -> str:
    where = f" -n {namespace}" if namespace else ""
    return f"k8scap doctor --rbac {way}{where} | kubectl apply -f -"
