"""The files in which the kernel counts for a network namespace and for a cgroup, held open for a capture.

Held open because a process under /proc may end before the capture does: an open file goes on telling of
the namespace it was opened in, to the very end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from k8scap.live.evidence import counters, cpu

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHOUT_PROCESS = "the target is a namespace without a process"


@dataclass
class _CounterFile:
    source: str
    stream: IO[bytes]
    parse: Callable[[str], dict[str, int]]
    last: dict[str, int]

    def read(self) -> dict[str, int]:
        self.stream.seek(0)
        self.last = self.parse(self.stream.read().decode("ascii", "replace"))
        return self.last


class CounterFiles:
    """Every counter that can be read, and in `unavailable` (source → reason) what cannot.

    Parameters
    ----------
    pid: a process in the network namespace.
    inode: the namespace's number; a process that is in another one is not believed.
    target_pid: the process whose cgroup's CPU account counts, or None.
    """

    def __init__(self, *, pid: int, inode: int, target_pid: int | None) -> None:
        self.unavailable: dict[str, str] = {}
        self._files: list[_CounterFile] = []
        self._open_network(pid, inode)
        self._open_cpu(target_pid)

    def read(self) -> dict[str, int]:
        """All counters now; of a source that broke off, those that it told last."""
        values: dict[str, int] = {}
        for file in self._files:
            try:
                values.update(file.read())
                self.unavailable.pop(file.source, None)
            except (OSError, ValueError) as error:
                values.update(file.last)
                self.unavailable[file.source] = f"broke off during the capture: {_reason(error)}"
        return values

    def close(self) -> None:
        for file in self._files:
            file.stream.close()

    def _open_network(self, pid: int, inode: int) -> None:
        folder = Path(f"/proc/{pid}")
        try:
            entered = (folder / "ns" / "net").stat().st_ino
        except OSError as error:
            self.unavailable["network"] = f"process {pid}: {_reason(error)}"
            return
        if entered != inode:
            self.unavailable["network"] = f"process {pid} is not in the namespace"
            return
        for name, parse in counters.FILES.items():
            self._open(name.removeprefix("stat/"), folder / "net" / name, parse)

    def _open_cpu(self, target_pid: int | None) -> None:
        if target_pid is None:
            self.unavailable["cpu"] = _WITHOUT_PROCESS
            return
        try:
            paths = cpu.files(target_pid)
        except (OSError, ValueError) as error:
            self.unavailable["cpu"] = _reason(error)
            return
        for path in paths:
            self._open(path.name, path, lambda text, path=path: cpu.counters(path, text))  # type: ignore[misc]

    def _open(self, source: str, path: Path, parse: Callable[[str], dict[str, int]]) -> None:
        try:
            file = _CounterFile(source, path.open("rb", buffering=0), parse, {})
            file.read()
        except (OSError, ValueError) as error:
            self.unavailable[source] = _reason(error)
        else:
            self._files.append(file)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
