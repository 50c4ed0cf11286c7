"""exec: the pod's own image has tcpdump, and its container the right to use it. Leaves nothing behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8scap.errors import (
    K8scapError,
    NotPermittedError,
    TargetNotFoundError,
    ToolMissingError,
)
from k8scap.live.kube import proc_net
from k8scap.live.kube.pod_inside import PodInside
from k8scap.live.kube.pod_runner import PodRunner
from k8scap.live.kube.starting import open_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod

TOOLS = ("timeout", "env", "find", "kill", "tcpdump")
CPU_FILES = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage")

_CAPABILITIES = {"NET_RAW": 13, "SETGID": 6, "SETUID": 7}  # linux/capability.h
_EFFECTIVE = re.compile(r"^CapEff:\s*([0-9a-f]+)", re.MULTILINE)


class ExecWay:
    """Runs tcpdump in the pod's own container."""

    name = "exec"

    def __init__(self, api: Api) -> None:
        self._api = api

    def open(self, pods: Sequence[Pod]) -> Mapping[str, PodInside | K8scapError]:
        """Pod UID → its inside, or why there is no way."""
        return open_each(pods, self._open)

    def close(self) -> None:
        """Nothing was made."""

    def _open(self, pod: Pod) -> PodInside:
        require_a_pod(pod)
        runner = PodRunner(self._api, namespace=pod.namespace, pod=pod.name, container=pod.container)
        require_tcpdump(runner)
        return inside(runner, pod, via=self.name)


def require_a_pod(pod: Pod) -> None:
    """Raise TargetNotFoundError for a node: it has no container."""
    if pod.is_node:
        raise TargetNotFoundError(f"{pod.title} has no container.", next_step="--via node-pod")


def inside(runner: PodRunner, pod: Pod, *, via: str) -> PodInside:
    """The inside of a pod by way of one of its own containers."""
    return PodInside(
        runner,
        via=via,
        pod=pod.reference,
        identity={"in_container": runner.container},
        counter_files=(*proc_net.COUNTERS, *CPU_FILES),
    )


def require_tcpdump(runner: PodRunner) -> None:
    """Raise ToolMissingError, or NotPermittedError, where tcpdump cannot work in the container."""
    done = runner.run(["timeout", "5", "tcpdump", "--version"])
    if done.returncode != 0:
        raise ToolMissingError(
            "tcpdump",
            message=f"tcpdump does not run in {runner.what}: {done.error_text[:200]}.",
            next_step="--via node-pod or --via ephemeral",
        )
    status = runner.run(["cat", "/proc/self/status"]).stdout.decode("ascii", "replace")
    match = _EFFECTIVE.search(status)
    effective = int(match[1], 16) if match else 0
    if missing := [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]:
        raise NotPermittedError(
            f"{runner.what} runs without {', '.join(missing)}.",
            next_step="--via node-pod or --via ephemeral",
        )
