"""What every way in gives: a target's network namespace as a place where commands run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from k8scap.runner import Child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.runner import Completed


class Source(Protocol):
    """A stream of bytes that comes in pieces."""

    def read1(self, size: int = -1, /) -> bytes:
        """What is there by now, waiting for the first of it; empty at the end."""

    def close(self) -> None: ...


class Lines(Protocol):
    """A stream of lines, each with its end."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Running(Child, Protocol):
    """A command that runs in there."""

    @property
    def stdout(self) -> Source: ...
    @property
    def stderr(self) -> Lines: ...


class Evidence(Protocol):
    """What the host's counters say while a capture runs; see `live.evidence.Sampler`."""

    def start(self) -> None: ...
    def stop(self) -> dict[str, Any]: ...


class Inside(Protocol):
    """The inside of one target's network namespace, held until `close`.

    Attributes
    ----------
    via: the way in (local, node-pod, ephemeral, exec), as the manifest says it.
    identity: what tells this namespace from a later one of the same name (pid, start_time, netns …).
    remote: whether commands run on another machine: then a signal is a request of its own, and clocks differ.
    own_network: whether it is the network that this process itself is in.
    kernel: the release of the kernel there, "" where it is not known.
    """

    @property
    def via(self) -> str: ...
    @property
    def identity(self) -> Mapping[str, Any]: ...
    @property
    def remote(self) -> bool: ...
    @property
    def own_network(self) -> bool: ...
    @property
    def kernel(self) -> str: ...

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Completed:
        """Run to the end; raises ToolMissingError, TimeoutError, and what the way to it raises."""

    def start(self, argv: Sequence[str], *, seconds: float | None) -> Running:
        """Start a command that does not outlive us, nor (where it is remote) `seconds` and some patience.

        To be called from the thread that stays until the command's end.
        """

    def interfaces(self) -> tuple[Interface, ...]:
        """Those of the namespace, by index."""

    def verify(self) -> None:
        """Raise TargetChangedError where the namespace is gone or is somebody else's by now."""

    def confirm(self) -> None:
        """Make sure, once something runs in there, that it went in where it was meant to.

        Raises TargetChangedError.
        """

    def evidence(self, tcpdump_pid: int | None) -> Evidence | None:
        """An account of the counters in there, not yet started; None where there can be none."""

    def close(self) -> None: ...
