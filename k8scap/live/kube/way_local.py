"""local: this machine is the pod's node, and we are root on it. Asks nothing of the cluster."""

from __future__ import annotations

import platform
import socket
from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, NotPermittedError, TargetNotFoundError
from k8scap.live.kube import processes
from k8scap.live.netns import Namespace, require_tools
from k8scap.live.ways.local import LocalInside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.kube.pods import Pod
    from k8scap.runner import Runner

TOOLS = ("find", "grep", "tcpdump", "nsenter", "setpriv", "ip")


def _is_here(pod: Pod) -> bool:
    """Whether a node is this machine, by its name."""
    return pod.is_node and pod.name in {socket.gethostname(), socket.getfqdn()}


class LocalWay:
    """Enters the pods whose processes run here."""

    name = "local"

    def __init__(self, *, runner: Runner) -> None:
        self._runner = runner

    def open(self, pods: Sequence[Pod]) -> Mapping[str, LocalInside | K8scapError]:
        """Pod UID → its inside, or why there is no way."""
        if platform.system() != "Linux":
            no_node = TargetNotFoundError(
                "This machine is no node: it does not run Linux.", next_step="--via auto"
            )
            return {pod.uid: no_node for pod in pods}
        try:
            found = processes.find({p.uid: p.wanted for p in pods if not p.is_node}, self._runner.run)
            found |= {p.uid: processes.first(1, self._runner.run) for p in pods if _is_here(p)}
        except (K8scapError, TimeoutError) as error:
            refusal = error if isinstance(error, K8scapError) else NotPermittedError(str(error))
            return {pod.uid: refusal for pod in pods}
        return {pod.uid: self._open(pod, found.get(pod.uid)) for pod in pods}

    def close(self) -> None:
        """Nothing was made."""

    def _open(self, pod: Pod, process: processes.Process | None) -> LocalInside | K8scapError:
        if process is None:
            return TargetNotFoundError(
                f"This machine is not {pod.node}, the node of {pod.title}.",
                next_step="--via node-pod",
            )
        try:
            require_tools(self._runner, *TOOLS)
            namespace = Namespace.open(pid=process.pid)
        except K8scapError as error:
            return error
        if namespace.start_time != process.start_time:
            namespace.close()
            return TargetNotFoundError(
                f"The process of {pod.title} ended as it was entered.", next_step="try again."
            )
        return LocalInside(namespace, runner=self._runner)
