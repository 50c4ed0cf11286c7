"""What the counters of a pod's network namespace said at the start and at the end of a capture."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError
from k8scap.live.evidence import counters, cpu
from k8scap.live.kube import proc_net

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.live.ways import Inside

_PATIENCE = 10.0  # seconds


class RemoteCounters:
    """Two accounts, at the start and at the end: a command on a node is too dear for one each second.

    Nothing that goes wrong here ever reaches the capture: it is told in `unavailable`.
    """

    def __init__(self, inside: Inside, *, files: Sequence[str]) -> None:
        self._inside = inside
        self._files = tuple(files)
        self._start: dict[str, Any] = {}
        self._unavailable: dict[str, str] = {}
        self._thread = threading.Thread(target=self._begin, name="k8scap-evidence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> dict[str, Any]:
        """The manifest's `evidence`, as `live.evidence.Sampler` gives it, without samples between."""
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        return {
            "interval": None,
            "start": self._start,
            "end": self._read(),
            "samples": [],
            "unavailable": self._unavailable,
        }

    def _begin(self) -> None:
        self._start = self._read()

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        try:
            texts = proc_net.read_files(self._inside, self._files, timeout=_PATIENCE)
        except (K8scapError, TimeoutError) as error:
            self._unavailable["counters"] = getattr(error, "message", "") or str(error)
            return {}
        for name, text in texts.items():
            try:
                found.update(_parsed(name, text))
            except ValueError as error:
                self._unavailable[name] = f"not understood: {error}"
        return found


def _parsed(name: str, text: str) -> dict[str, int]:
    from pathlib import PurePosixPath

    path = PurePosixPath(name)
    if path.name.startswith("cpu"):
        return cpu.counters(_as_path(path), text)
    key = name.removeprefix("/proc/net/")
    return counters.FILES[key](text)


def _as_path(path: Any) -> Path:
    from pathlib import Path

    return Path(path)
