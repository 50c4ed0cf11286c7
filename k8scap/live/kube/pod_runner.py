"""Runs an argv in a container of a pod, through the API server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from k8scap.errors import CaptureBrokenError, ConnectionLostError, K8scapError, ToolMissingError
from k8scap.live.kube.exec_stream import STDOUT, ExecProcess, ExecStream
from k8scap.runner import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.live.kube.api import Api

_MOST_OUTPUT_BYTES = 16 << 20  # of a command that is run to its end: what lists, not what captures
_MISSING = re.compile(
    r"executable file not found|no such file or directory|not found in \$PATH", re.IGNORECASE
)
_WAITS = (0.3, 1.0)
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # what a wrapper (timeout, env, nsenter) says of its command


class PodRunner:
    """Commands in one container: `run` to the end, or `start`.

    Always by name: without one the API server takes the first, and a mesh makes that its proxy.
    """

    def __init__(self, api: Api, *, namespace: str, pod: str, container: str) -> None:
        self.api = api
        self.namespace = namespace
        self.pod = pod
        self.container = container

    @property
    def what(self) -> str:
        return f"{self.namespace}/{self.pod} ({self.container})"

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Completed:
        """Run to the end.

        Raises ToolMissingError, TimeoutError, ConnectionLostError, NotPermittedError, TargetNotFoundError (no
        such pod or container), CaptureBrokenError (it could not be started).
        """
        deadline = time.monotonic() + timeout
        for wait in _WAITS:
            try:
                return self._run(argv, deadline)
            except ConnectionLostError:
                time.sleep(wait)  # what is run to its end here may be run twice
        return self._run(argv, deadline)

    def _run(self, argv: Sequence[str], deadline: float) -> Completed:
        stream = self._open(argv)
        out, err = bytearray(), bytearray()
        try:
            while piece := stream.next(deadline):
                channel, data = piece
                (out if channel == STDOUT else err).extend(data)
                if len(out) + len(err) > _MOST_OUTPUT_BYTES:
                    raise CaptureBrokenError(
                        f"{argv[0]} in {self.what} does not stop talking.", next_step=self._try(argv)
                    )
        finally:
            stream.close()
        code = stream.status.code if stream.status else None
        if code is None:
            raise self._could_not_start(argv, stream.status.message if stream.status else "")
        said = err.decode("utf-8", "replace")
        if code in {_NOT_FOUND, _NOT_EXECUTABLE} and _MISSING.search(said):
            wrapped = [word for word in argv[1:] if word in said]
            raise self._missing(wrapped or argv)
        return Completed(tuple(argv), code, bytes(out), bytes(err))

    def start(
        self, argv: Sequence[str], *, send_signal: Callable[[int], None], on_end: Callable[[], None]
    ) -> ExecProcess:
        """Start; `send_signal` is how a signal gets to it. Raises what `run` does before anything runs."""
        return ExecProcess(self._open(argv), send_signal=send_signal, on_end=on_end)

    def _open(self, argv: Sequence[str]) -> ExecStream:
        from k8scap.live.kube.api import path

        query = [
            *(("command", word) for word in argv),
            ("container", self.container),
            ("stdin", "false"), ("stdout", "true"), ("stderr", "true"), ("tty", "false"),
        ]  # fmt: skip
        where = path("api", "v1", "namespaces", self.namespace, "pods", self.pod, "exec")
        return ExecStream(self.api.websocket(where, query), what=self.what)

    def _could_not_start(self, argv: Sequence[str], message: str) -> K8scapError:
        if _MISSING.search(message):
            return self._missing(argv)
        return CaptureBrokenError(
            f"{argv[0]} could not be run in {self.what}: {' '.join(message.split()) or 'no word why'}.",
            next_step=self._try(argv),
        )

    def _missing(self, argv: Sequence[str]) -> ToolMissingError:
        return ToolMissingError(
            argv[0],
            message=f"There is no {argv[0]} in {self.what}.",
            next_step="--via node-pod or --via ephemeral, whose image has the tools",
        )

    def _try(self, argv: Sequence[str]) -> str:
        return f"kubectl exec -n {self.namespace} {self.pod} -c {self.container} -- {argv[0]}"
