"""The way in on the machine itself: nsenter, as root."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from k8scap.live.interfaces import read_interfaces
from k8scap.live.leash import bound_to_us
from k8scap.live.netns import nsenter_argv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.evidence import Sampler
    from k8scap.live.interfaces import Interface
    from k8scap.live.netns import Namespace
    from k8scap.runner import Completed, Process, Runner

_PIPE_BYTES = 1 << 20  # pipe(7): the most that is granted without privileges


class LocalInside:
    """An open namespace of this machine."""

    via = "local"
    remote = False

    def __init__(self, namespace: Namespace, *, runner: Runner) -> None:
        self._namespace = namespace
        self._runner = runner
        self.kernel = platform.release()

    @property
    def identity(self) -> Mapping[str, Any]:
        namespace = self._namespace
        return {"pid": namespace.pid, "start_time": namespace.start_time, "netns": namespace.inode}

    @property
    def own_network(self) -> bool:
        return self._namespace.is_own

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Completed:
        inside = nsenter_argv(self._namespace, argv)
        return self._runner.run(inside, pass_fds=(self._namespace.fd,), timeout=timeout)

    def start(self, argv: Sequence[str], *, seconds: float | None) -> Process:  # noqa: ARG002 - the kernel ends it
        inside = bound_to_us(nsenter_argv(self._namespace, argv))
        return self._runner.start(inside, pass_fds=(self._namespace.fd,), pipe_bytes=_PIPE_BYTES)

    def interfaces(self) -> tuple[Interface, ...]:
        return read_interfaces(self)

    def verify(self) -> None:
        self._namespace.verify()

    def confirm(self) -> None:
        """Nothing is left to be seen to: the namespace itself was held open and entered."""

    def evidence(self, tcpdump_pid: int | None) -> Sampler | None:
        from k8scap.live.evidence import Sampler

        if tcpdump_pid is None:
            return None
        return Sampler(
            pid=tcpdump_pid,
            namespace=self._namespace,
            target_pid=self._namespace.pid,
            runner=self._runner,
        )

    def close(self) -> None:
        self._namespace.close()
