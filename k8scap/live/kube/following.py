"""Pods that appear while a capture runs: found again whenever something changes, or every few seconds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.live.kube.pods import Pod

_LOOK_SECONDS = 3.0  # where nothing may be watched
_SETTLE_SECONDS = 0.1  # one look for a burst of changes


class Follower:
    """Calls `on_new` with pods that were not there before, from a thread of its own.

    `find` gives the pods that are meant, as they are now; `known` are the UIDs of those that were there.
    `errors` are told of in the end: the last word of a search that failed.
    """

    def __init__(
        self, find: Callable[[], Sequence[Pod]], on_new: Callable[[list[Pod]], None], *, known: Sequence[str]
    ) -> None:
        self._find = find
        self._on_new = on_new
        self._known = set(known)
        self._stopped = threading.Event()
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="k8scap-follow", daemon=True)
        self.error = ""

    def start(self) -> None:
        self._thread.start()

    def heard(self, change: str, raw: dict[str, Any]) -> None:
        """A pod has changed somewhere: look soon."""
        if change != "DELETED" and raw.get("metadata", {}).get("uid") not in self._known:
            self._changed.set()

    def stop(self) -> None:
        """End it; returns when no more pods are handed over."""
        self._stopped.set()
        self._changed.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._changed.wait(_LOOK_SECONDS)
            self._stopped.wait(_SETTLE_SECONDS)
            self._changed.clear()
            if not self._stopped.is_set():
                self._look()

    def _look(self) -> None:
        try:
            new = [pod for pod in self._find() if pod.uid not in self._known]
        except K8scapError as error:
            self.error = error.message
            return
        self.error = ""
        if new:
            self._known.update(pod.uid for pod in new)
            self._on_new(new)
