"""Every exception that k8scap raises on purpose, with the exit code the command line gives it.

    K8scapError                     1
    ├── UsageError                  2   the call's words are off
    │   ├── FilterError             2   a capture or display filter that does not compile
    │   ├── TargetSyntaxError       2   a target that cannot be read
    │   └── SchemaError             2   a table lacks a column
    ├── TargetError                 3
    │   ├── TargetNotFoundError     3   nothing of that name
    │   ├── TargetNotRunningError   3   it is there, but has no process
    │   ├── TargetChangedError      3   the PID now belongs to somebody else
    │   ├── InterfaceNotFoundError  3   the namespace has no such interface
    │   └── ClusterUnreachableError 3   no Kubernetes API server answers
    ├── NotPermittedError           4
    ├── ToolMissingError            5   tcpdump, tshark, nsenter … is not installed
    ├── CaptureBrokenError          6   the capture broke off; what came is kept
    │   ├── DiskFullError           6
    │   └── ConnectionLostError     6   to the container through which it was captured
    └── UnreadableFileError         7   empty, not a capture, or not there

Each says what happened in one sentence (`message`) and the next command to type (`next_step`).
"""

from __future__ import annotations


class K8scapError(Exception):
    """Base of all: `str()` is the sentence and, where there is one, the next step."""

    exit_code = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} Next: {self.next_step}" if self.next_step else self.message


class UsageError(K8scapError):
    exit_code = 2


class FilterError(UsageError):
    """A filter was refused; `filter` is its text."""

    def __init__(self, message: str, *, filter: str, next_step: str = "") -> None:  # noqa: A002
        super().__init__(message, next_step=next_step)
        self.filter = filter


class TargetSyntaxError(UsageError):
    pass


class SchemaError(UsageError):
    """A table lacks columns that a function needs; `missing` names them."""

    def __init__(self, message: str, *, missing: tuple[str, ...], next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.missing = missing


class TargetError(K8scapError):
    exit_code = 3


class TargetNotFoundError(TargetError):
    pass


class TargetNotRunningError(TargetError):
    pass


class TargetChangedError(TargetError):
    pass


class InterfaceNotFoundError(TargetError):
    pass


class ClusterUnreachableError(TargetError):
    pass


class NotPermittedError(K8scapError):
    exit_code = 4


class ToolMissingError(K8scapError):
    """A command is not installed, or (`message`) does not answer; `tool` is its name."""

    exit_code = 5

    def __init__(self, tool: str, *, message: str = "", next_step: str = "") -> None:
        super().__init__(
            message or f"{tool} is not installed here.", next_step=next_step or f"apt-get install {tool}"
        )
        self.tool = tool


class CaptureBrokenError(K8scapError):
    """The capture ended before it should; `files` are what was kept."""

    exit_code = 6

    def __init__(self, message: str, *, files: tuple[str, ...] = (), next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.files = files


class DiskFullError(CaptureBrokenError):
    pass


class ConnectionLostError(CaptureBrokenError):
    pass


class UnreadableFileError(K8scapError):
    """A file is not a capture that can be read; `path` is which."""

    exit_code = 7

    def __init__(self, message: str, *, path: str, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.path = path
