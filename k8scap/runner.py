"""The one seam to the outside: everything k8scap runs, it runs through a Runner.

`LocalRunner` runs an argv on this machine; others (issue by issue) run it in a pod. Tests put a fake
here, and only here. No shell, ever: an argv is a list, and stays one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, cast

from k8scap.errors import ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import BufferedReader

PACKAGE_OF = {
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "ip": "iproute2",
    "ss": "iproute2",
}


@dataclass(frozen=True)
class Completed:
    """What a command that ended left behind."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace").strip()


class Child(Protocol):
    """A command that runs: its signals, its end."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class Process(Child, Protocol):
    """A command that runs and whose two streams we read, as bytes."""

    @property
    def stdout(self) -> BufferedReader: ...
    @property
    def stderr(self) -> IO[bytes]: ...


class Runner(Protocol):
    """Runs an argv somewhere."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        stdin: bytes = b"",
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> Completed: ...

    def start(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        pipe_bytes: int = 0,
    ) -> Process: ...

    def interact(self, argv: Sequence[str], *, pass_fds: Sequence[int] = ()) -> int: ...

    def accompany(self, argv: Sequence[str]) -> Child: ...

    def which(self, tool: str) -> str | None: ...


class LocalChild:
    """A child of this process."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def poll(self) -> int | None:
        return self._popen.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `TimeoutError` (not subprocess's own) when it takes longer."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self._popen.args!r} still runs after {timeout} s") from None

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        self._popen.kill()


class LocalProcess(LocalChild):
    """A child in a session of its own (a Ctrl-C in the terminal is ours to pass on), its streams as pipes."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        super().__init__(popen)
        if popen.stdout is None or popen.stderr is None:
            raise ValueError("a LocalProcess needs both its streams as pipes")
        self.stdout = cast("BufferedReader", popen.stdout)
        self.stderr: IO[bytes] = popen.stderr


class LocalRunner:
    """Runs commands on this machine."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        stdin: bytes = b"",
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run to the end; raises ToolMissingError, and TimeoutError after `timeout` seconds."""
        try:
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                timeout=timeout,
                pass_fds=pass_fds,
                env=_environment(env),
                check=False,
            )
        except FileNotFoundError:
            raise _missing(argv[0]) from None
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{argv[0]} did not end within {timeout:g} s") from None
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def start(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        pipe_bytes: int = 0,
    ) -> LocalProcess:
        """Start, with both streams as pipes; raises ToolMissingError.

        `pipe_bytes` is how much stdout's pipe is asked to hold; 0 is the kernel's own 64 KiB.
        """
        try:
            popen = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=pass_fds,
                env=_environment(env),
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _missing(argv[0]) from None
        if pipe_bytes and popen.stdout is not None:
            _widen_pipe(popen.stdout.fileno(), pipe_bytes)
        return LocalProcess(popen)

    def interact(self, argv: Sequence[str], *, pass_fds: Sequence[int] = ()) -> int:
        """Run with this terminal's stdin, stdout and stderr; returns the exit code.

        A Ctrl-C is the command's affair, not ours: what it does with it (a shell stays, tcpdump says its
        counts) is waited for.
        """
        try:
            process = subprocess.Popen(list(argv), pass_fds=pass_fds)
        except FileNotFoundError:
            raise _missing(argv[0]) from None
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                if not _from_terminal():
                    process.send_signal(signal.SIGINT)

    def accompany(self, argv: Sequence[str]) -> LocalChild:
        """Start with this terminal's streams and its Ctrl-C, and go on beside it; raises ToolMissingError."""
        try:
            return LocalChild(subprocess.Popen(list(argv)))
        except FileNotFoundError:
            raise _missing(argv[0]) from None

    def which(self, tool: str) -> str | None:
        return shutil.which(tool)


def _from_terminal() -> bool:
    """Whether a Ctrl-C reaches our children by itself, as a terminal sends it to all of its foreground."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _widen_pipe(fd: int, size: int) -> None:
    import fcntl

    with contextlib.suppress(OSError):  # it stays as it was, then
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if extra is None else {**os.environ, **extra}


def _missing(tool: str) -> ToolMissingError:
    return ToolMissingError(tool, next_step=f"apt-get install {PACKAGE_OF.get(tool, tool)}")
