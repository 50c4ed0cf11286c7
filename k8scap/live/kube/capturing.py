"""Kubernetes targets → doors, and what a capture holds of the cluster until its end."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from k8scap.errors import ClusterUnreachableError, K8scapError, NotPermittedError
from k8scap.live.doors import Opened
from k8scap.live.kube import dataplane
from k8scap.live.kube.api import Api
from k8scap.live.kube.following import Follower
from k8scap.live.kube.happenings import events_of
from k8scap.live.kube.here import pods_here
from k8scap.live.kube.naming import NamesWatch
from k8scap.live.kube.settings import HelperSettings
from k8scap.live.kube.way_local import LocalWay
from k8scap.live.kube.ways import Ways, refusal
from k8scap.live.kube.workloads import find_pods
from k8scap.live.session.site import Door
from k8scap.live.targets import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from k8scap.live.doors import Scope
    from k8scap.live.kube.pods import Pod
    from k8scap.live.targets import Target
    from k8scap.live.ways import Inside
    from k8scap.model import CaptureSpec
    from k8scap.runner import Runner

_LOOK_SECONDS = 5.0  # that are waited for, at the end, for what was looked at since the start

KUBELET = "tcp port 10250"  # through which our own stream goes: to be seen in a node's network only


def open_pods(asked: Sequence[Target], scope: Scope, spec: CaptureSpec, *, runner: Runner) -> Opened:
    """Find the pods and open a way into each.

    Those without a way are told in the notes, as long as each target has a pod with one. Raises
    TargetNotFoundError, TargetNotRunningError, NotPermittedError, UsageError (more than 10 pods),
    ClusterUnreachableError and what the ways raise.
    """
    try:
        return _open_by_api(asked, scope, spec, runner=runner)
    except (ClusterUnreachableError, NotPermittedError):
        if scope.via not in {"auto", "local"} or scope.selector or any(t.kind != "pod" for t in asked):
            raise
        with contextlib.suppress(K8scapError):
            return _open_here(asked, scope, spec, runner=runner)
        raise


def _open_here(asked: Sequence[Target], scope: Scope, spec: CaptureSpec, *, runner: Runner) -> Opened:
    """On the pods' node, by the container runtime alone."""
    found = pods_here(asked, scope, runner=runner)
    opened = LocalWay(runner=runner).open(found)
    inside = {uid: way for uid, way in opened.items() if not isinstance(way, K8scapError)}
    refused = {uid: {"local": way} for uid, way in opened.items() if isinstance(way, K8scapError)}
    doors, notes = _doors(found, inside, refused, spec)
    return Opened(doors=doors, notes=notes)


def _open_by_api(asked: Sequence[Target], scope: Scope, spec: CaptureSpec, *, runner: Runner) -> Opened:
    api = Api.connect(context=scope.context)
    find = partial(
        find_pods,
        api,
        asked,
        namespace=scope.namespace,
        selector=scope.selector,
        container=scope.container,
    )
    found = find(all_pods=scope.all_pods)
    settings = HelperSettings.read()
    ways = Ways(api, via=scope.via, settings=settings, seconds=spec.seconds, runner=runner)
    held = HeldCluster(api, found, ways, find=partial(find, all_pods=True), spec=spec)
    try:
        held.begin()
        opened, refused = ways.open(found)
        doors, notes = _doors(found, opened, refused, spec)
    except BaseException:
        held.close()
        raise
    return Opened(doors=doors, cluster=held, notes=notes)


class HeldCluster:
    """The watch on names, and the ways with what they made; see `doors.Cluster`."""

    def __init__(
        self,
        api: Api,
        pods: Sequence[Pod],
        ways: Ways,
        *,
        find: Callable[[], Sequence[Pod]],
        spec: CaptureSpec,
    ) -> None:
        self._api = api
        self._pods = list(pods)
        self._ways = ways
        self._find = find
        self._spec = spec
        self._follower: Follower | None = None
        self._dataplane: Mapping[str, Any] = {}
        self._looking = threading.Thread(target=self._look, name="k8scap-dataplane", daemon=True)
        self._since = datetime.now(UTC)
        self.names = NamesWatch(api, [pod.namespace for pod in pods if pod.namespace])

    def begin(self) -> None:
        """Begin to watch the names, and look at the dataplane meanwhile."""
        self.names.start()
        self._looking.start()

    def news(self) -> Mapping[str, Any]:
        """The names, Events and dataplane; asked when tcpdump has ended, so that no packet waits for it."""
        self._looking.join(_LOOK_SECONDS)
        events, note = events_of(self._api, self._pods, since=self._since)
        entries = self.names.stop()
        notes = [*self.names.notes, *([note] if note else [])]
        return {
            "names": entries,
            "events": events,
            "dataplane": self._dataplane,
            "notes": notes,
        }

    def _look(self) -> None:
        self._dataplane = dataplane.look(self._api, self._pods)

    def follow(self, on_door: Callable[[Door], None], on_note: Callable[[str], None]) -> None:
        """See `doors.Cluster.follow`."""

        def join(new: list[Pod]) -> None:
            self._pods.extend(new)
            opened, refused = self._ways.open(new)
            for pod in new:
                if pod.uid in opened:
                    on_door(_door(pod, opened[pod.uid], _label(pod, self._pods), self._spec))
                else:
                    why = refusal(pod, dict(refused[pod.uid])).message
                    on_note(f"{pod.title} appeared and was not captured: {why}")

        self._follower = Follower(self._find, join, known=[pod.uid for pod in self._pods])
        self.names.listeners.append(self._follower.heard)
        self._follower.start()

    def stop_following(self) -> None:
        if self._follower:
            self._follower.stop()

    def close(self) -> None:
        self.stop_following()
        self.names.stop(patience=0.0)
        self._ways.close()


def _doors(
    pods: Sequence[Pod],
    opened: Mapping[str, Inside],
    refused: Mapping[str, Mapping[str, Any]],
    spec: CaptureSpec,
) -> tuple[tuple[Door, ...], tuple[str, ...]]:
    left = {pod.asked for pod in pods if pod.uid in opened}
    notes = []
    for pod in pods:
        if pod.uid in opened:
            continue
        error = refusal(pod, dict(refused[pod.uid]))
        if pod.asked not in left:
            for inside in opened.values():
                inside.close()
            raise error
        notes.append(f"{pod.title} was not captured: {error.message}")
    doors = (_door(pod, opened[pod.uid], _label(pod, pods), spec) for pod in pods if pod.uid in opened)
    return tuple(doors), tuple(notes)


def _door(pod: Pod, inside: Inside, label: str, spec: CaptureSpec) -> Door:
    found = Found(pod.described, None, None, names=(), notes=pod.notes)
    door = Door(
        found=found, inside=inside, label=label, asked=pod.asked, prefer=("eth0", "lo") if pod.mesh else ()
    )
    if not pod.host_network:
        return door
    narrow = "" if pod.is_node else _narrowed(pod, with_ports=not spec.filter)
    said = [f"{pod.name} has its node's network: only what passes {narrow!r} is captured."] if narrow else []
    if inside.remote:
        said.append(f"The capture's own stream ({KUBELET}) is left out.")
    return replace(
        door,
        found=replace(found, notes=(*found.notes, *said)),
        narrow=narrow,
        leave_out=KUBELET if inside.remote else "",
    )


def _narrowed(pod: Pod, *, with_ports: bool) -> str:
    """The traffic of a pod in its node's network: its addresses, and the ports that it declares."""
    hosts = " or ".join(f"host {ip}" for ip in pod.ips)
    ports = " or ".join(f"port {port}" for port in pod.ports) if with_ports else ""
    return " and ".join(f"({part})" for part in (hosts, ports) if part)


def _label(pod: Pod, pods: Sequence[Pod]) -> str:
    """How tables call it: its name, with the namespace where there are several."""
    several = len({other.namespace for other in pods}) > 1
    return f"{pod.title}" if several and pod.namespace else pod.name
