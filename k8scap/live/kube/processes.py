"""The processes of pods on one machine, by /proc/*/cgroup: no runtime's socket, no runtime's tool.

One command for all pods, run on the node or in a helper pod that sees the node's processes. A pod's sandbox
has a cgroup beside its containers', and keeps the network namespace while these restart: through it a pod is
entered whose containers are down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.live.containers.cgroups import container_scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from k8scap.runner import Completed

    Run = Callable[[Sequence[str]], Completed]

_MOST_BYTES = 4000
_WORD_BYTES = 20  # `&command=-e&command=` around each


@dataclass(frozen=True)
class Wanted:
    """Whose processes are looked for: a pod's, those of `container` (an ID, or "") before the others.

    `marks` are what a path of its cgroups may hold: its UID, or a static pod's hash.
    """

    container: str
    containers: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def forms(self) -> tuple[str, ...]:
        """The marks as cgroup drivers write them: systemd's has no hyphens."""
        return tuple(form for mark in self.marks for form in {mark, mark.replace("-", "_")})


@dataclass(frozen=True)
class Process:
    """One that was found; `container` is its container's ID, a sandbox's where that is none of the pod's.

    `start_time` is in clock ticks since boot (proc(5), stat's field 22).
    """

    pid: int
    start_time: int
    container: str


def find(wanted: Mapping[str, Wanted], run: Run) -> dict[str, Process]:
    """Key → the process through which that pod's network is entered; a pod without one is left out."""
    found = _find(wanted, [id_ for pod in wanted.values() for id_ in pod.containers], run)
    missing = {key: pod for key, pod in wanted.items() if key not in found}
    if missing:
        found |= _find(missing, [form for pod in missing.values() for form in pod.forms], run)
    return found


def _find(wanted: Mapping[str, Wanted], patterns: Sequence[str], run: Run) -> dict[str, Process]:
    groups = _cgroups(patterns, run)
    chosen = {key: _candidates(pod, groups) for key, pod in wanted.items()}
    ages = _ages(sorted({pid for candidates in chosen.values() for pid in candidates}), run)
    found = {}
    for key, candidates in chosen.items():
        alive = [pid for pid in candidates if pid in ages]
        if alive:
            first = min(alive, key=lambda pid: ages[pid])
            found[key] = Process(first, ages[first][1], groups[first][0])
    return found


def first(pid: int, run: Run) -> Process:
    """A process that is there for sure, as the node's first one."""
    return Process(pid, _ages([pid], run).get(pid, (True, 0))[1], "")


def is_still(process: Process, run: Run) -> bool:
    """Whether the PID is still that process's."""
    age = _ages([process.pid], run).get(process.pid)
    return age is not None and age[1] == process.start_time


def _cgroups(patterns: Sequence[str], run: Run) -> dict[int, tuple[str, str]]:
    """PID → its innermost container, and the paths in which that stands."""
    lines: dict[int, list[str]] = {}
    for some in batches(patterns):
        words = [word for pattern in some for word in ("-e", pattern)]
        grep = ["-exec", "grep", "-HF", *words, "{}", "+"]
        done = run(["find", "/proc", "-maxdepth", "2", "-name", "cgroup", *grep])
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            path, _, cgroup = line.partition(":")
            parts = path.split("/")
            if len(parts) == 4 and parts[2].isdecimal():
                lines.setdefault(int(parts[2]), []).append(cgroup)
    found = {}
    for pid, cgroups in lines.items():
        text = "\n".join(cgroups)
        if scopes := container_scopes(text):
            found[pid] = (scopes[-1], text)
    return found


def batches(words: Sequence[str]) -> Iterator[list[str]]:
    """The words in lists that fit into a command, which remotely is a URL: proxies take 8 KiB of it."""
    some: list[str] = []
    for word in words:
        if some and sum(map(len, some)) + len(word) + _WORD_BYTES * len(some) > _MOST_BYTES:
            yield some
            some = []
        some.append(word)
    if some:
        yield some


def _candidates(pod: Wanted, groups: Mapping[int, tuple[str, str]]) -> list[int]:
    """The processes of the container that is wanted; else of another of the pod; else the sandbox's."""
    own = {pid: container for pid, (container, _) in groups.items() if container in pod.containers}
    if wanted := [pid for pid, container in own.items() if container == pod.container]:
        return wanted
    if own:
        first = next(c for c in pod.containers if c in own.values())
        return [pid for pid, container in own.items() if container == first]
    return [pid for pid, (_, text) in groups.items() if any(form in text for form in pod.forms)]


def _ages(pids: Sequence[int], run: Run) -> dict[int, tuple[bool, int]]:
    """PID → (is no PID 1 of its own, start time): the least is the oldest of those that are a PID 1."""
    files = [f"/proc/{pid}/{name}" for pid in pids for name in ("stat", "status")]
    texts = [
        run(["grep", "-Hs", "-e", "^NSpid:", "-e", "^[0-9]* (", *some]).stdout.decode("utf-8", "replace")
        for some in batches(files)
    ]
    stats: dict[int, list[str]] = {}
    inner: dict[int, bool] = {}
    for line in "".join(texts).splitlines():
        path, _, text = line.partition(":")
        parts = path.split("/")
        if len(parts) != 4 or not parts[2].isdecimal():
            continue
        pid = int(parts[2])
        if parts[3] == "stat":
            stats[pid] = text.rpartition(")")[2].split()
        elif text.startswith("NSpid:"):
            inner[pid] = text.split()[-1] != "1"
    return {
        pid: (inner.get(pid, True), int(words[19]))
        for pid, words in stats.items()
        if len(words) > 19 and words[0] not in "ZX"
    }
