"""The interfaces that Wireshark is offered: any target, this machine's containers, pods."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, TargetSyntaxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANY = "k8scap"
_DOCKER, _POD = "k8scap-docker-", "k8scap-pod-"
SECONDS = 1.5
"""How long is waited for Docker and Kubernetes together: Wireshark waits for us when it starts."""
MOST = 50


@dataclass(frozen=True)
class Interface:
    """`value` is how Wireshark calls it (in files' names too: no slash), `display` how it shows it.

    `target` is as `k8scap capture` takes it, empty where it is asked for; `namespace` a pod's.
    """

    value: str
    display: str
    target: str = ""
    namespace: str = ""


def listed(seconds: float = SECONDS) -> list[Interface]:
    """All of them, as far as Docker and Kubernetes answer within `seconds`; MOST of each."""
    found: dict[str, list[Interface]] = {"docker": [], "pods": []}
    threads = [
        threading.Thread(target=_quietly, args=(find, found[name]), name=f"k8scap-{name}", daemon=True)
        for name, find in (("docker", _containers), ("pods", _pods))
    ]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [Interface(ANY, "k8scap: a target"), *found["docker"][:MOST], *found["pods"][:MOST]]


def named(value: str) -> Interface:
    """What an interface's name stands for; raises UsageError for one that is none of ours."""
    if value == ANY:
        return Interface(ANY, "k8scap: a target")
    if value.startswith(_DOCKER):
        return _container(value.removeprefix(_DOCKER))
    namespace, dot, pod = value.removeprefix(_POD).partition(".")
    if value.startswith(_POD) and dot:
        return _pod(namespace, pod)
    raise UsageError(f"There is no interface {value!r:.100} of k8scap.", next_step="tshark -D")


def _container(name: str) -> Interface:
    """Raises TargetSyntaxError for what is no name of Docker's."""
    from k8scap.live import targets

    return Interface(f"{_DOCKER}{name}", f"container {name}", str(targets.parse(f"docker/{name}")))


def _pod(namespace: str, name: str) -> Interface:
    """Raises TargetSyntaxError for what is no name of Kubernetes'."""
    from k8scap.live import targets

    targets.parse(f"pod/{namespace}")
    target = str(targets.parse(f"pod/{name}"))
    return Interface(f"{_POD}{namespace}.{name}", f"pod {namespace}/{name}", target, namespace)


def _quietly(find: Callable[[], Iterator[Interface]], found: list[Interface]) -> None:
    """No engine, no cluster, no right to ask: then there are none, and Wireshark starts all the same."""
    try:
        found.extend(find())
    except Exception:  # noqa: BLE001 - whatever keeps them from us keeps Wireshark from nothing
        return


def _containers() -> Iterator[Interface]:
    from k8scap.live.containers.engine import connected

    with connected() as client:
        for container in client.api.containers():
            names = [str(name).lstrip("/") for name in container.get("Names") or ()]
            for name in [name for name in names if "/" not in name][:1]:
                yield from _valid(_container, name)


def _pods() -> Iterator[Interface]:
    from k8scap.live.kube.api import Api, path

    api = Api.connect()
    pods = api.get(
        path("api", "v1", "namespaces", api.namespace, "pods"),
        limit=str(MOST),
        fieldSelector="status.phase=Running",
    )
    for pod in pods.get("items") or ():
        yield from _valid(_pod, api.namespace, str(pod.get("metadata", {}).get("name", "")))


def _valid(make: Callable[..., Interface], *words: str) -> Iterator[Interface]:
    try:
        yield make(*words)
    except (TargetSyntaxError, K8scapError):
        return
