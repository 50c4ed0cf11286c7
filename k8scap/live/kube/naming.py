"""The names of a cluster while a capture runs: a snapshot, and every change until the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError, NotPermittedError
from k8scap.live.kube.api import path
from k8scap.live.kube.ledger import MOST_ENTRIES, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.watching import Watch
    from k8scap.model import NameEntry

RESOURCES = {
    "pods": ("api", "v1"),
    "services": ("api", "v1"),
    "nodes": ("api", "v1"),
    "endpointslices": ("apis", "discovery.k8s.io", "v1"),
}
_WATCH_SECONDS = 240
_FIRST_SECONDS = 15.0  # for the snapshot, when the capture ends before it is there
_AGAIN_SECONDS = 1.0
_SHORT_SECONDS = 1.0  # a watch that ends sooner is not begun again at once


class NamesWatch:
    """Watches in threads of its own; what may not be seen is done without, and said in `notes`.

    `namespaces` are watched where the whole cluster may not be. `listeners` are called with ("ADDED" and so
    on, the object) for every change of a pod, from the watching thread.
    """

    def __init__(self, api: Api, namespaces: Sequence[str]) -> None:
        self.listeners: list[Callable[[str, dict[str, Any]], None]] = []
        self._api = api
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._ledger = Ledger()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._denied: dict[str, str] = {}
        self._firsts: list[threading.Event] = []

    def start(self) -> None:
        """Begin, and return at once."""
        for resource in RESOURCES:
            first = threading.Event()
            self._firsts.append(first)
            threading.Thread(
                target=self._follow, args=(resource, first), name=f"k8scap-names-{resource}", daemon=True
            ).start()

    def stop(self, *, patience: float = _FIRST_SECONDS) -> tuple[NameEntry, ...]:
        """End the watches; all that was learnt. A snapshot under way is waited for, `patience` seconds."""
        deadline = time.monotonic() + patience
        for first in self._firsts:
            first.wait(max(0.0, deadline - time.monotonic()))
        self._stopped.set()
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.close()
        return self._ledger.entries()

    @property
    def notes(self) -> tuple[str, ...]:
        said = [f"The names of {resource} {why}." for resource, why in sorted(self._denied.items())]
        if self._ledger.full:
            said.append(f"More than {MOST_ENTRIES:,} addresses changed hands: the later names are not kept.")
        return tuple(said)

    def _follow(self, resource: str, first: threading.Event) -> None:
        try:
            for where in self._places(resource):
                self._watch_on(resource, where, first)
        except K8scapError as error:
            self._denied.setdefault(resource, f"are not known: {error.message.rstrip('.')}")
        finally:
            first.set()

    def _places(self, resource: str) -> list[str]:
        """Where to list: the whole cluster, or the first namespace; the others get threads of their own."""
        base = RESOURCES[resource]
        everywhere = path(*base, resource)
        try:
            self._api.get(everywhere, limit="1")
        except NotPermittedError as error:
            if resource == "nodes":
                raise
            self._denied[resource] = f"are known of {', '.join(self._namespaces)} only"
            spaces = [path(*base, "namespaces", name, resource) for name in self._namespaces]
            allowed = [where for where in spaces if self._may_list(where)]
            if not allowed:
                self._denied[resource] = f"are not known: {error.message.rstrip('.')}"
            for where in allowed[1:]:
                first = threading.Event()
                self._firsts.append(first)
                threading.Thread(
                    target=self._quietly,
                    args=(resource, where, first),
                    name=f"k8scap-names-{resource}",
                    daemon=True,
                ).start()
            return allowed[:1]
        return [everywhere]

    def _may_list(self, where: str) -> bool:
        try:
            self._api.get(where, limit="1")
        except K8scapError:
            return False
        return True

    def _quietly(self, resource: str, where: str, first: threading.Event) -> None:
        try:
            self._watch_on(resource, where, first)
        except K8scapError as error:
            self._denied.setdefault(resource, f"are not known: {error.message.rstrip('.')}")
        finally:
            first.set()

    def _watch_on(self, resource: str, where: str, first: threading.Event) -> None:
        """List, then watch from there, again and again, until it is stopped."""
        version, at_start = "", True
        while not self._stopped.is_set():
            try:
                if not version:
                    version = self._list(resource, where, at_start=at_start)
                    at_start = False
                    first.set()
                began = time.monotonic()
                version = self._watch(resource, where, version)
                if time.monotonic() - began < _SHORT_SECONDS:
                    self._stopped.wait(_AGAIN_SECONDS)
            except NotPermittedError as error:
                if at_start:
                    raise
                self._denied[resource] = f"may be listed, but not watched: {error.message.rstrip('.')}"
                return
            except K8scapError:
                if at_start:
                    raise
                version = ""
                self._stopped.wait(_AGAIN_SECONDS)

    def _list(self, resource: str, where: str, *, at_start: bool) -> str:
        found, version = self._api.list(where)
        for raw in found:
            self._ledger.see(resource, raw, at_start=at_start)
            if not at_start:
                self._tell(resource, "MODIFIED", raw)
        everywhere = where == path(*RESOURCES[resource], resource)
        namespace = None if everywhere else where.rsplit("/", 2)[1]
        self._ledger.keep_only(resource, found, namespace=namespace)
        return version

    def _watch(self, resource: str, where: str, version: str) -> str:
        """Until the server ends it; from which version to go on, "" where that is too old."""
        watch = self._api.watch(where, resource_version=version, seconds=_WATCH_SECONDS)
        with self._lock:
            self._watches.add(watch)
        try:
            if self._stopped.is_set():
                return version
            for change, raw in watch:
                if change == "ERROR":
                    return ""
                version = raw.get("metadata", {}).get("resourceVersion", version)
                self._take(resource, change, raw)
        finally:
            watch.close()
            with self._lock:
                self._watches.discard(watch)
        return version

    def _take(self, resource: str, change: str, raw: dict[str, Any]) -> None:
        if change == "BOOKMARK":
            return
        if change == "DELETED":
            self._ledger.forget(resource, raw)
        else:
            self._ledger.see(resource, raw, at_start=False)
        self._tell(resource, change, raw)

    def _tell(self, resource: str, change: str, raw: dict[str, Any]) -> None:
        if resource == "pods":
            for listener in self.listeners:
                listener(change, raw)
