"""A pod, as a capture sees it: which of its containers is entered, and whether it can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.errors import TargetNotFoundError, TargetNotRunningError
from k8scap.live.kube.owners import workload
from k8scap.live.kube.processes import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESH_PROXIES = frozenset(
    {
        "istio-proxy",
        "linkerd-proxy",
        "kuma-sidecar",
        "consul-dataplane",
        "envoy-sidecar",
        "envoy",
        "osm-envoy",
    }
)
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_STATIC_HASH = "kubernetes.io/config.hash"
_IN_TURN = ("PodInitializing", "ContainerCreating")


@dataclass(frozen=True, kw_only=True)
class Container:
    """One of a pod's: `kind` is container, init or ephemeral; `id` is bare, "" where it has none yet."""

    name: str
    kind: str
    image: str
    id: str
    running: bool
    waiting: str = ""
    sidecar: bool = False


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod that can be captured, and the container of it that is entered.

    `asked` is the target that it came from, `ports` those that its containers declare, `mesh` whether a
    proxy of a service mesh runs in it, `notes` sentences for people. A node is a Pod too (`is_node`): one
    without containers, in its own network.
    """

    namespace: str
    name: str
    uid: str
    node: str
    asked: str
    phase: str = "Running"
    ips: tuple[str, ...] = ()
    host_network: bool = False
    containers: tuple[Container, ...] = ()
    container: str = ""
    workload: str = ""
    ports: tuple[int, ...] = ()
    mesh: bool = False
    static_hash: str = ""
    notes: tuple[str, ...] = ()
    is_node: bool = False

    @property
    def wanted(self) -> Wanted:
        """How its processes are recognised on its node."""
        ids = tuple(c.id for c in self.containers if c.id)
        marks = tuple(mark for mark in (self.uid, self.static_hash) if mark)
        return Wanted(self._chosen.id if self._chosen else "", ids, marks)

    @property
    def title(self) -> str:
        """How sentences call it."""
        return f"node/{self.name}" if self.is_node else f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> dict[str, str]:
        return {"namespace": self.namespace, "name": self.name, "uid": self.uid}

    @property
    def described(self) -> dict[str, Any]:
        """What a manifest's `target` says of it."""
        if self.is_node:
            return {"text": f"node/{self.name}", "kind": "node", "name": self.name, "node": self.name}
        chosen = self._chosen
        return {
            "text": f"pod/{self.name}",
            "kind": "pod",
            **self.reference,
            "node": self.node,
            "workload": self.workload,
            "container": self.container,
            "container_id": chosen.id if chosen else "",
            "image": chosen.image if chosen else "",
        }

    @property
    def _chosen(self) -> Container | None:
        return next((c for c in self.containers if c.name == self.container), None)


def read(raw: Mapping[str, Any], *, asked: str, container: str | None = None) -> Pod:
    """A pod of the API that can be captured.

    Raises TargetNotFoundError (it has no such container), TargetNotRunningError (it has no processes now, or
    runs on Windows).
    """
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    namespace, name = metadata["namespace"], metadata["name"]
    containers = _containers(spec, status)
    _require_running(raw, containers)
    chosen, notes = _choose(namespace, name, containers, container, metadata.get("annotations") or {})
    if metadata.get("deletionTimestamp"):
        notes.append(f"The pod {namespace}/{name} is being deleted.")
    return Pod(
        namespace=namespace,
        name=name,
        uid=metadata["uid"],
        node=spec["nodeName"],
        asked=asked,
        phase=status.get("phase", ""),
        ips=tuple(entry["ip"] for entry in status.get("podIPs", ()) if entry.get("ip")),
        host_network=bool(spec.get("hostNetwork")),
        containers=containers,
        container=chosen,
        workload=workload(metadata),
        ports=_ports(spec),
        mesh=any(c.name in MESH_PROXIES and c.running for c in containers),
        static_hash=(metadata.get("annotations") or {}).get(_STATIC_HASH, ""),
        notes=tuple(notes),
    )


def is_over(raw: Mapping[str, Any]) -> bool:
    """Whether a pod has ended for good: a workload's list holds such pods too."""
    return raw.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _containers(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Container, ...]:
    kinds = (
        ("container", "containers", "containerStatuses"),
        ("init", "initContainers", "initContainerStatuses"),
        ("ephemeral", "ephemeralContainers", "ephemeralContainerStatuses"),
    )
    found = []
    for kind, declared, told in kinds:
        statuses = {entry["name"]: entry for entry in status.get(told) or ()}
        for entry in spec.get(declared) or ():
            now = statuses.get(entry["name"], {})
            state = now.get("state") or {}
            found.append(
                Container(
                    name=entry["name"],
                    kind=kind,
                    image=entry.get("image", ""),
                    id=str(now.get("containerID") or "").rpartition("://")[2],
                    running="running" in state,
                    waiting=_words(state.get("waiting") or state.get("terminated") or {}),
                    sidecar=kind == "init" and entry.get("restartPolicy") == "Always",
                )
            )
    return tuple(found)


def _require_running(raw: Mapping[str, Any], containers: Sequence[Container]) -> None:
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    who = f"{metadata['namespace']}/{metadata['name']}"
    look = f"kubectl describe pod -n {metadata['namespace']} {metadata['name']}"
    selector = (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    if "windows" in {(spec.get("os") or {}).get("name"), selector}:
        raise TargetNotRunningError(
            f"The pod {who} runs on Windows, where there is no network namespace to enter.",
            next_step="pktmon, on the node",
        )
    if is_over(raw):
        why = status.get("reason") or status["phase"]
        raise TargetNotRunningError(f"The pod {who} has ended ({why}).", next_step=look)
    if not spec.get("nodeName"):
        why = _condition(status, "PodScheduled") or "it waits to be scheduled"
        raise TargetNotRunningError(f"The pod {who} has no node yet: {why}.", next_step=look)
    if not any(c.id for c in containers):
        waits = _reason_of(containers) or status.get("reason") or status.get("phase", "unknown")
        raise TargetNotRunningError(f"The pod {who} has no container yet: {waits}.", next_step=look)


def _reason_of(containers: Sequence[Container]) -> str:
    """Why none has begun: those that only wait for another, or for their turn, come last."""
    waiting = sorted((c.waiting for c in containers if c.waiting), key=lambda w: w.startswith(_IN_TURN))
    return next(iter(waiting), "")


def _choose(
    namespace: str,
    pod: str,
    containers: Sequence[Container],
    asked: str | None,
    annotations: Mapping[str, str],
) -> tuple[str, list[str]]:
    """The container that is entered, as kubectl would choose it, and what is to be said of that."""
    names = [c.name for c in containers]
    if asked is not None and asked not in names:
        raise TargetNotFoundError(
            f"The pod {namespace}/{pod} has no container {asked!r}, only {', '.join(names)}.",
            next_step=f"-c {names[0]}",
        )
    wanted = asked or annotations.get(_DEFAULT_CONTAINER, "")
    regular = [c for c in containers if c.kind == "container"]
    preferred = [
        *[c for c in containers if c.name == wanted],
        *[c for c in regular if c.name not in MESH_PROXIES],
        *regular,
        *[c for c in containers if c.kind == "init"],
        *[c for c in containers if c.kind == "ephemeral"],
    ]
    first = preferred[0]
    running = next((c for c in preferred if c.running), None)
    if first.running or running is first:
        return first.name, []
    why = f" ({first.waiting})" if first.waiting else ""
    if running is None:
        said = f"No container of {namespace}/{pod} runs{why}: its network is entered through the sandbox."
        return first.name, [said]
    said = f"The container {first.name} of {namespace}/{pod} is down{why}: {running.name} is entered instead."
    return running.name, [said]


def _ports(spec: Mapping[str, Any]) -> tuple[int, ...]:
    declared = (p for c in spec.get("containers") or () for p in c.get("ports") or ())
    return tuple(dict.fromkeys(int(p.get("hostPort") or p["containerPort"]) for p in declared))


def _condition(status: Mapping[str, Any], kind: str) -> str:
    told = (c for c in status.get("conditions") or () if c.get("type") == kind and c.get("status") == "False")
    return next((_words(c) for c in told), "")


def _words(state: Mapping[str, Any]) -> str:
    said = ": ".join(str(state[key]) for key in ("reason", "message") if state.get(key))
    return " ".join(said.split()).rstrip(".")[:300]
