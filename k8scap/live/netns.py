"""A process's network namespace, held open and guarded, and the nsenter argv that runs a command in it.

A PID alone is no identity: it is used together with its start time and the namespace's inode, and the
namespace's file descriptor stays open, so that a PID which was given to another process meanwhile is an
error and never a capture of somebody else.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from k8scap.errors import (
    NotPermittedError,
    TargetChangedError,
    TargetNotFoundError,
    TargetNotRunningError,
    ToolMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from k8scap.runner import Runner

_CAP_SYS_ADMIN = 21  # linux/capability.h; what setns(2) asks for
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)
_CLONE_NEWNET = 0x40000000
_GONE = {errno.ENOENT, errno.ESRCH}


class Namespace:
    """An open network namespace: of a process (`pid`) or of a name that `ip netns` gave (`path`).

    Attributes
    ----------
    fd: descriptor of the namespace, to be passed on to children.
    inode: the namespace's number, as in `readlink /proc/PID/ns/net`.
    pid, start_time: whose it is (start time in clock ticks since boot, proc(5) field 22); None by path.
    path: the file it was opened by.
    """

    def __init__(self, *, fd: int, inode: int, path: Path, pid: int | None, start_time: int | None) -> None:
        self.fd = fd
        self.inode = inode
        self.path = path
        self.pid = pid
        self.start_time = start_time

    @classmethod
    def open(cls, *, pid: int | None = None, path: Path | None = None) -> Self:
        """Open the namespace of `pid`, or the one mounted at `path`.

        Raises TargetNotFoundError (no such process or name), TargetNotRunningError (it has ended and only
        waits for its parent), TargetChangedError (the PID changed hands meanwhile), NotPermittedError.
        """
        if pid is not None:
            return cls._of_process(pid)
        if path is None:
            raise ValueError("a namespace is opened by pid or by path")
        return cls._of_path(path)

    @classmethod
    def _of_process(cls, pid: int) -> Self:
        start_time = _start_time_or_raise(pid)
        path = Path(f"/proc/{pid}/ns/net")
        fd = _open(path, what=f"the network namespace of process {pid}", gone=_not_running(pid))
        try:
            require_permission()
            namespace = cls(fd=fd, inode=os.fstat(fd).st_ino, path=path, pid=pid, start_time=start_time)
            namespace.verify()
        except BaseException:
            os.close(fd)
            raise
        return namespace

    @classmethod
    def _of_path(cls, path: Path) -> Self:
        gone = TargetNotFoundError(f"There is no network namespace {path.name}.", next_step="ip netns list")
        fd = _open(path, what=f"the network namespace {path.name}", gone=gone)
        try:
            _require_network_namespace(fd, path)
            require_permission()
        except BaseException:
            os.close(fd)
            raise
        return cls(fd=fd, inode=os.fstat(fd).st_ino, path=path, pid=None, start_time=None)

    def verify(self) -> None:
        """Raise TargetChangedError where the PID, or the name, is gone or means somebody else by now."""
        if self.pid is not None and start_time(self.pid) != self.start_time:
            self._changed(
                "has ended" if start_time(self.pid) is None else "has ended, and its PID was reused"
            )
        try:
            inode = self.path.stat().st_ino
        except PermissionError:
            return
        except OSError:
            self._changed("has ended" if self.pid is not None else "was deleted")
        if inode != self.inode:
            self._changed("is now in another network namespace")

    def _changed(self, what: str) -> NoReturn:
        who = f"Process {self.pid}" if self.pid is not None else f"The network namespace {self.path.name}"
        raise TargetChangedError(
            f"{who} {what}.", next_step="ip netns list" if self.pid is None else "ps -e -o pid,lstart,args"
        )

    @property
    def is_own(self) -> bool:
        """Whether this is the namespace that we are in ourselves."""
        return Path("/proc/self/ns/net").stat().st_ino == self.inode

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def nsenter_argv(namespace: Namespace, command: Sequence[str]) -> list[str]:
    """`command` inside `namespace`; run it with `pass_fds=(namespace.fd,)`."""
    return ["nsenter", f"--net=/proc/self/fd/{namespace.fd}", "--", *command]


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), field 22 of stat); None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold spaces and parentheses itself: count from the last one.
    return int(text.rpartition(")")[2].split()[19])


def require_tools(runner: Runner, *tools: str) -> None:
    """Raise ToolMissingError for the first of `tools` that is not installed."""
    from k8scap.runner import PACKAGE_OF

    for tool in tools:
        if runner.which(tool) is None:
            raise ToolMissingError(tool, next_step=f"apt-get install {PACKAGE_OF.get(tool, tool)}")


def require_permission() -> None:
    """Raise NotPermittedError unless we may enter namespaces (CAP_SYS_ADMIN, as root has it)."""
    if not _effective_capabilities() >> _CAP_SYS_ADMIN & 1:
        raise NotPermittedError("Entering a network namespace needs root.", next_step=as_root())


def _effective_capabilities() -> int:
    for line in Path("/proc/thread-self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def as_root() -> str:
    """The command to type where root is needed."""
    command = sys.argv if Path(sys.argv[0]).name == "k8scap" else ["k8scap", "capture", "TARGET"]
    return f"sudo {shlex.join(command)}"


def _start_time_or_raise(pid: int) -> int:
    started = start_time(pid)
    if started is None:
        raise TargetNotFoundError(f"There is no process {pid}.", next_step="ps -e -o pid,args")
    return started


def _not_running(pid: int) -> TargetNotRunningError:
    return TargetNotRunningError(f"Process {pid} has ended.", next_step="ps -e -o pid,stat,args")


def _open(path: Path, *, what: str, gone: Exception) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise NotPermittedError(f"Opening {what} needs root.", next_step=as_root()) from None
    except OSError as error:
        if error.errno in _GONE:
            raise gone from None
        raise


def _require_network_namespace(fd: int, path: Path) -> None:
    import fcntl

    try:
        kind = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError:
        kind = 0
    if kind != _CLONE_NEWNET:
        raise TargetNotFoundError(
            f"{path} is a leftover file, no network namespace.", next_step="ip netns list"
        )
