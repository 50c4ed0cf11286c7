"""The inside of a pod's network namespace, by way of a container in which commands can be run.

That is one of the pod's own (exec), one that was added to it (ephemeral), or a helper pod's on its node
(node-pod), from which `nsenter` leads into the pod.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from k8scap.errors import ConnectionLostError, K8scapError, TargetChangedError, TargetNotFoundError
from k8scap.live.kube import proc_net, processes
from k8scap.live.linux import LinuxSignal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.live.kube.exec_stream import ExecProcess
    from k8scap.live.kube.pod_runner import PodRunner
    from k8scap.live.kube.processes import Process
    from k8scap.live.kube.remote_counters import RemoteCounters
    from k8scap.runner import Completed

LONGEST_SECONDS = 4 * 3600  # of a capture without a limit: as long as a kubelet keeps a stream
PATIENCE_SECONDS = 30  # over the limit, for the start and the end
KILL_AFTER_SECONDS = 5
_MARK = "K8SCAP_CAPTURE"
_PUT_DOWN_SECONDS = 15.0


def remote_seconds(seconds: float | None) -> int:
    """After how many seconds what runs at the other end ends by itself."""
    return int(LONGEST_SECONDS if seconds is None else seconds + 1) + PATIENCE_SECONDS


class PodInside:
    """Commands go through `runner`, behind `prefix`.

    What is started there has a deadline of its own (`timeout`), as neither our end nor a closed connection
    ends it; and it bears a mark in its environment, by which it is found when a signal is to be sent, since
    the exec protocol tells no PID.
    """

    remote = True
    own_network = False

    def __init__(
        self,
        runner: PodRunner,
        *,
        via: str,
        pod: Mapping[str, Any],
        prefix: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
        process: Process | None = None,
        counter_files: Sequence[str] = proc_net.COUNTERS,
        kernel: str = "",
    ) -> None:
        self.via = via
        self.kernel = kernel
        self.identity = dict(identity or {})
        self._runner = runner
        self._prefix = tuple(prefix)
        self._pod = pod
        self._counter_files = tuple(counter_files)
        self._process = process
        self._misled: TargetChangedError | None = None
        self._left: list[str] = []
        self._found: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def run(self, argv: Sequence[str], *, timeout: float = 30.0) -> Completed:
        return self._runner.run([*self._prefix, *argv], timeout=timeout)

    def start(self, argv: Sequence[str], *, seconds: float | None) -> ExecProcess:
        mark = f"{_MARK}={secrets.token_hex(8)}"
        bounded = ["timeout", "-s", "INT", "-k", str(KILL_AFTER_SECONDS), str(remote_seconds(seconds))]
        with self._lock:
            self._left.append(mark)
        return self._runner.start(
            [*bounded, *self._prefix, "env", mark, *argv],
            send_signal=lambda number: self._signal(mark, number),
            on_end=lambda: self._ended(mark),
        )

    def interfaces(self) -> tuple[Interface, ...]:
        return proc_net.read_interfaces(self)

    def verify(self) -> None:
        """Ask the API server whether the pod is still there, and still the same."""
        if self._misled:
            raise self._misled
        namespace, name = self._pod["namespace"], self._pod["name"]
        if not namespace:
            return  # a node: it has no end of its own
        try:
            now = self._runner.api.get(_pod_path(namespace, name))
        except TargetNotFoundError:
            raise self._changed("was deleted") from None
        except K8scapError:
            return  # it is not known
        if now["metadata"].get("uid") != self._pod["uid"]:
            raise self._changed("was replaced by another one of its name")
        if now["metadata"].get("deletionTimestamp"):
            raise self._changed("was deleted")
        phase = now.get("status", {}).get("phase")
        if phase in {"Succeeded", "Failed"}:
            why = now["status"].get("reason") or phase
            raise self._changed(f"has ended ({why})")

    def confirm(self) -> None:
        """Make sure that the process through which we went in was still itself when we did."""
        process = self._process
        if process and not processes.is_still(process, self._runner.run):
            self._misled = TargetChangedError(
                f"Process {process.pid} of {self._name} ended as it was entered.",
                next_step="capture again.",
            )
            raise self._misled

    def evidence(self, tcpdump_pid: int | None) -> RemoteCounters:  # noqa: ARG002 - files are read in the namespace
        from k8scap.live.kube.remote_counters import RemoteCounters

        return RemoteCounters(self, files=self._counter_files)

    def close(self) -> None:
        """Put down what was started and whose end was not seen."""
        with self._lock:
            left, self._left = self._left, []
        deadline = time.monotonic() + _PUT_DOWN_SECONDS
        for mark in left:
            self._put_down(mark, deadline)

    @property
    def _name(self) -> str:
        return f"{self._pod['namespace']}/{self._pod['name']}"

    def _ended(self, mark: str) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._left.remove(mark)

    def _put_down(self, mark: str, deadline: float) -> None:
        while time.monotonic() < deadline:
            try:
                self._signal(mark, LinuxSignal.KILL)
            except (ConnectionLostError, TimeoutError):
                time.sleep(1.0)
            except K8scapError:
                return  # the container is gone, or does not let us: its deadline is left
            else:
                return

    def _signal(self, mark: str, number: int) -> None:
        """Send a signal to what bears the mark; nothing happens where nothing does any more."""
        with self._lock:
            pids = self._found.get(mark, [])
        if not pids:
            pids = self._pids(mark)
            with self._lock:
                self._found[mark] = pids
        if pids:
            with contextlib.suppress(TimeoutError):
                self._runner.run(["kill", f"-{int(number)}", *pids], timeout=10.0)

    def _pids(self, mark: str) -> list[str]:
        # -z: to busybox's grep a line ends at the NUL behind the first variable
        argv = [
            "find",
            "/proc",
            "-maxdepth",
            "2",
            "-name",
            "environ",
            "-exec",
            "grep",
            "-zlF",
            mark,
            "{}",
            "+",
        ]
        done = self._runner.run(argv, timeout=10.0)  # its exit code tells of processes that ended meanwhile
        folders = (line.split("/") for line in done.stdout.decode("ascii", "replace").splitlines())
        return [parts[2] for parts in folders if len(parts) == 4 and parts[2].isdecimal()]

    def _changed(self, what: str) -> TargetChangedError:
        namespace = self._pod["namespace"]
        return TargetChangedError(
            f"The pod {self._name} {what}.", next_step=f"kubectl get pods -n {namespace}"
        )


def _pod_path(namespace: str, name: str) -> str:
    from k8scap.live.kube.api import path

    return path("api", "v1", "namespaces", namespace, "pods", name)
