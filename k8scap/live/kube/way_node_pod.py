"""node-pod: one helper pod on each node, from which nsenter leads into that node's pods."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from k8scap.errors import CaptureBrokenError, K8scapError, NotPermittedError, TargetNotRunningError
from k8scap.live.kube import helper_pod, proc_net, processes
from k8scap.live.kube.pod_inside import PodInside, remote_seconds
from k8scap.live.kube.pod_runner import PodRunner
from k8scap.live.kube.settings import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.helper_pod import HelperPod
    from k8scap.live.kube.pods import Pod
    from k8scap.live.kube.settings import HelperSettings
    from k8scap.live.kube.ways import Refusals

NODE_PROCESS = 1  # is in its node's network

_MOST_AT_ONCE = 16
_START_SECONDS = 90  # of the helper's own life, before the capture begins


class NodePodWay:
    """The helper pods of one capture, one a node."""

    name = "node-pod"

    def __init__(self, api: Api, *, settings: HelperSettings, seconds: float | None) -> None:
        self._api = api
        self._settings = settings
        self._seconds = remote_seconds(seconds) + _START_SECONDS
        self._made: list[HelperPod] = []
        self._runners: dict[str, PodRunner] = {}
        self._namespace = ""

    def open(self, pods: Sequence[Pod]) -> Mapping[str, PodInside | K8scapError]:
        """Pod UID → its inside, or why there is no way."""
        nodes: dict[str, list[Pod]] = {}
        for pod in pods:
            nodes.setdefault(pod.node, []).append(pod)
        try:
            self._settle_namespace(pods[0])
        except K8scapError as error:
            return {pod.uid: error for pod in pods}
        helper_pod.delete_expired(self._api, self._namespace)
        with ThreadPoolExecutor(max_workers=min(_MOST_AT_ONCE, len(nodes))) as pool:
            opened: dict[str, PodInside | K8scapError] = {}
            for found in pool.map(self._open_node, nodes, nodes.values()):
                opened.update(found)
        return opened

    def close(self) -> None:
        """Delete the helper pods."""
        made, self._made = self._made, []
        if made:
            with ThreadPoolExecutor(max_workers=min(_MOST_AT_ONCE, len(made))) as pool:
                list(pool.map(lambda pod: pod.delete(), made))

    def _settle_namespace(self, pod: Pod) -> None:
        """The first namespace in which a helper pod would be admitted; raises why none would."""
        if self._namespace:
            return
        own = self._settings.namespace
        refusals: Refusals = {}
        for namespace in [own] if own else dict.fromkeys([DEFAULT_NAMESPACE, pod.namespace]):
            try:
                helper_pod.create(
                    self._api,
                    pod.node,
                    namespace=namespace,
                    settings=self._settings,
                    seconds=self._seconds,
                    dry_run=True,
                )
            except K8scapError as error:
                refusals[namespace] = error
            else:
                self._namespace = namespace
                return
        said = "; ".join(f"in {namespace}: {error.message}" for namespace, error in refusals.items())
        raise NotPermittedError(
            f"A helper pod may not be made ({said}).",
            next_step="k8scap doctor, for the manifest that allows it",
        )

    def _open_node(self, node: str, pods: Sequence[Pod]) -> Mapping[str, PodInside | K8scapError]:
        try:
            runner = self._helper_on(node)
            return self._enter(runner, pods)
        except K8scapError as error:
            return {pod.uid: error for pod in pods}
        except TimeoutError as error:
            broken = CaptureBrokenError(f"The helper pod on {node} does not answer: {error}.")
            return {pod.uid: broken for pod in pods}

    def _helper_on(self, node: str) -> PodRunner:
        """The node's one helper; pods that join later are entered through it too."""
        if node in self._runners:
            return self._runners[node]
        helper = helper_pod.create(
            self._api, node, namespace=self._namespace, settings=self._settings, seconds=self._seconds
        )
        self._made.append(helper)
        helper.wait()
        runner = PodRunner(
            self._api, namespace=helper.namespace, pod=helper.name, container=helper_pod.CONTAINER
        )
        self._runners[node] = runner
        return runner

    def _enter(self, runner: PodRunner, pods: Sequence[Pod]) -> Mapping[str, PodInside | K8scapError]:
        found = processes.find({pod.uid: pod.wanted for pod in pods if not pod.is_node}, runner.run)
        found |= {pod.uid: processes.first(NODE_PROCESS, runner.run) for pod in pods if pod.is_node}
        inodes = _inodes([process.pid for process in found.values()], runner)
        opened: dict[str, PodInside | K8scapError] = {}
        for pod in pods:
            process = found.get(pod.uid)
            if process is None:
                opened[pod.uid] = TargetNotRunningError(
                    f"No process of {pod.title} runs on {pod.node}.",
                    next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
                )
                continue
            opened[pod.uid] = PodInside(
                runner,
                via=self.name,
                pod=pod.reference,
                prefix=("nsenter", "-t", str(process.pid), "-n", "--"),
                identity={
                    "pid": process.pid,
                    "start_time": process.start_time,
                    "netns": inodes.get(process.pid),
                    "helper_pod": f"{runner.namespace}/{runner.pod}",
                },
                process=process,
                counter_files=(*proc_net.COUNTERS, *_cpu_files(process.pid)),
            )
        return opened


def _inodes(pids: Sequence[int], runner: PodRunner) -> dict[int, int]:
    """PID → its network namespace's number."""
    text = "".join(
        runner.run(["ls", "-Li", *some]).stdout.decode("ascii", "replace")
        for some in processes.batches([f"/proc/{pid}/ns/net" for pid in pids])
    )
    rows = (line.split() for line in text.splitlines())
    return {int(row[1].split("/")[2]): int(row[0]) for row in rows if len(row) == 2 and row[0].isdecimal()}


def _cpu_files(pid: int) -> tuple[str, ...]:
    """The CPU account of its container, as the container itself sees it (cgroup v2, v1)."""
    root = f"/proc/{pid}/root/sys/fs/cgroup"
    return (f"{root}/cpu.stat", f"{root}/cpu/cpu.stat", f"{root}/cpuacct/cpuacct.usage")
