"""A share of a CPU for a process: a cgroup with a quota, as Kubernetes makes of `limits.cpu`.

Linux: Documentation/scheduler/sched-bwc.rst (cgroup v1), Documentation/admin-guide/cgroup-v2.rst. Where no
cgroup can be made, `Ration` does to the work itself what the scheduler would.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

PERIOD_MS = 100  # the kernel's, and Kubernetes', cpu.cfs_period_us
_NAME = "k8scap-lab-"
_SLICE_S = 0.001


def limit(pid: int, *, quota_ms: int) -> str:
    """Put `pid` into a cgroup that may run `quota_ms` in each period; why it cannot be, or nothing.

    Its weight is ten times the usual one: its quota is to hold it up, not a busy machine.
    `forget` removes the cgroup when the process has ended.
    """
    reason = "no cgroup hierarchy with a cpu controller is mounted"
    for root, write in ((_first_version(), _write_first), (_second_version(), _write_second)):
        if root is None:
            continue
        _remove_empty(root)
        group = root / f"{_NAME}{pid}"
        try:
            group.mkdir()
            write(group, quota_ms)
            (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except OSError as error:
            with contextlib.suppress(OSError):
                group.rmdir()
            reason = f"{group.parent}: {error.strerror}"
        else:
            return ""
    return reason


def forget(pid: int) -> None:
    """Remove the cgroup that `limit` made for a process which has ended, if it made one."""
    for root in (_first_version(), _second_version()):
        group = root / f"{_NAME}{pid}" if root else None
        for _ in range(20 if group and group.exists() else 0):  # the kernel lets go of it a moment later
            try:
                group.rmdir()  # type: ignore[union-attr]  # none has no turn
                break
            except OSError:
                time.sleep(0.01)


class Ration:
    """Work that may run `quota_ms` of each period, all threads together, and stands still for the rest."""

    def __init__(self, quota_ms: float) -> None:
        self._quota_s = quota_ms / 1000
        self._lock = threading.Lock()
        self._period = 0
        self._spent_s = 0.0

    def burn(self, seconds: float) -> None:
        """Compute for so many seconds of CPU time."""
        done = 0.0
        while done < seconds:
            self._wait_for_quota()
            begun = time.thread_time()
            while time.thread_time() - begun < _SLICE_S:
                pass
            spent = time.thread_time() - begun
            done += spent
            with self._lock:
                self._spent_s += spent

    def _wait_for_quota(self) -> None:
        while True:
            period, into = divmod(time.monotonic(), PERIOD_MS / 1000)
            with self._lock:
                if period != self._period:
                    self._period, self._spent_s = int(period), 0.0
                if self._spent_s < self._quota_s:
                    return
            time.sleep(PERIOD_MS / 1000 - into)


def burn(seconds: float) -> None:
    """Compute for so many seconds of this thread's CPU time."""
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass


def _mounts(kind: str) -> list[tuple[Path, list[str]]]:
    """Where cgroup hierarchies of a kind are mounted, with their options (proc(5), mountinfo)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        words = right.split(" ", 2)
        if words[0] == kind:
            found.append((Path(left.split()[4]), words[2].split(",")))
    return found


def _first_version() -> Path | None:
    return next((path for path, options in _mounts("cgroup") if "cpu" in options), None)


def _second_version() -> Path | None:
    """v2's root, if its children have the cpu controller."""
    for path, _ in _mounts("cgroup2"):
        with contextlib.suppress(OSError):
            if "cpu" in (path / "cgroup.subtree_control").read_text(encoding="ascii").split():
                return path
    return None


def _write_first(group: Path, quota_ms: int) -> None:
    (group / "cpu.cfs_period_us").write_text(str(PERIOD_MS * 1000), encoding="ascii")
    (group / "cpu.shares").write_text("10240", encoding="ascii")
    (group / "cpu.cfs_quota_us").write_text(str(quota_ms * 1000), encoding="ascii")


def _write_second(group: Path, quota_ms: int) -> None:
    (group / "cpu.weight").write_text("1000", encoding="ascii")
    (group / "cpu.max").write_text(f"{quota_ms * 1000} {PERIOD_MS * 1000}", encoding="ascii")


def _remove_empty(root: Path) -> None:
    """Those of earlier runs that were killed: a cgroup with a process in it cannot be removed."""
    for left in root.glob(f"{_NAME}*"):
        number = left.name.removeprefix(_NAME)
        if number.isdigit() and not Path("/proc", number).exists() and int(number) != os.getpid():
            with contextlib.suppress(OSError):
                left.rmdir()
