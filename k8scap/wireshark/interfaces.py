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
_PREPARING_SECONDS = 10.0


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
    searches = [_Search(_containers), _Search(_pods)]
    for search in searches:
        search.start()
    for search in searches:
        search.prepared.wait(_PREPARING_SECONDS)
    deadline = time.monotonic() + seconds
    for search in searches:
        search.join(max(0.0, deadline - time.monotonic()))
    found = [interface for search in searches for interface in search.found[:MOST]]
    return [Interface(ANY, "k8scap: a target"), *found]


class _Search(threading.Thread):
    """Looks for interfaces. No engine, no cluster, no right to ask: then there are none.

    `prepared` is set when it begins to ask, or has ended.
    """

    def __init__(self, find: Callable[[Callable[[], None]], Iterator[Interface]]) -> None:
        super().__init__(name="k8scap-interfaces", daemon=True)
        self.prepared = threading.Event()
        self.found: list[Interface] = []
        self._find = find

    def run(self) -> None:
        try:
            self.found.extend(self._find(self.prepared.set))
        except Exception:  # noqa: BLE001 - whatever keeps them from us keeps Wireshark from nothing
            return
        finally:
            self.prepared.set()


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


def _containers(prepared: Callable[[], None]) -> Iterator[Interface]:
    from k8scap.live import at_hand

    for name in at_hand.containers(prepared):
        yield from _valid(_container, name)


def _pods(prepared: Callable[[], None]) -> Iterator[Interface]:
    from k8scap.live import at_hand

    for namespace, name in at_hand.pods(prepared, most=MOST):
        yield from _valid(_pod, namespace, name)


def _valid(make: Callable[..., Interface], *words: str) -> Iterator[Interface]:
    try:
        yield make(*words)
    except (TargetSyntaxError, K8scapError):
        return
