"""What a kubelet does: pods that are made run, pods that are deleted end, and their status says so."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import traceback
from concurrent.futures import ThreadPoolExecutor

from cluster.objects import Store, now
from cluster.processes import Cgroups, Container, Fabric, Images

TICK = 0.05
CRASHING = "tests/crashing"  # an annotation: names of containers that never come up


class Sandbox:
    """A pod's network, the process that keeps it, and its containers by name."""

    def __init__(self, netns: str, address: str, pause: Container | None) -> None:
        self.netns, self.address, self.pause = netns, address, pause
        self.containers: dict[str, Container] = {}
        self.gone: list[Container] = []


class Kubelet:
    """All nodes' kubelets in one."""

    def __init__(self, store: Store, run: str, fabric: Fabric, images: Images) -> None:
        self.store, self.run, self.fabric, self.images = store, run, fabric, images
        self.cgroups = Cgroups(run)
        self.sandboxes: dict[str, Sandbox] = {}
        self.nodes: dict[str, tuple[str, str]] = {}
        self.start_delay = 0.05
        self.missing_images: set[str] = set()
        self.stuck: set[str] = set()
        self._pool = ThreadPoolExecutor(8)
        self._tasks: set[asyncio.Task] = set()

    def add_node(self, name: str) -> str:
        netns = f"{self.run}-n{len(self.nodes)}"
        address = self.fabric.add(netns)
        self.nodes[name] = netns, address
        return address

    def background(self, work) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            traceback.print_exception(task.exception())

    async def thread(self, call, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    # ---- a pod's beginning ----

    async def start(self, pod: dict) -> None:
        """From Pending to Running, or to where it sticks."""
        await asyncio.sleep(self.start_delay)
        uid = pod["metadata"]["uid"]
        spec = pod["spec"]
        if self._deleted(pod) or spec["nodeName"] in self.stuck:
            return
        unknown = [c for c in spec["containers"] if c.get("image") in self.missing_images]
        if unknown:
            self._set(
                pod,
                phase="Pending",
                statuses=[_waiting(c, "ErrImagePull", _pull(c)) for c in spec["containers"]],
            )
            return
        sandbox = await self.thread(self._sandbox, pod)
        self.sandboxes[uid] = sandbox
        for declared in [*spec.get("initContainers", ()), *spec["containers"]]:
            if declared["name"] in (pod["metadata"].get("annotations") or {}).get(CRASHING, "").split(","):
                continue
            sandbox.containers[declared["name"]] = await self.thread(self._container, pod, sandbox, declared)
        self.refresh(pod)
        if seconds := spec.get("activeDeadlineSeconds"):
            self.background(self._deadline(pod, seconds))
        self.background(self._look_after(pod))

    def _sandbox(self, pod: dict) -> Sandbox:
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("hostNetwork"):
            netns, address = self.nodes[pod["spec"]["nodeName"]]
            return Sandbox(netns, address, None)
        netns = f"{self.run}-{uid[:8]}"
        address = self.fabric.add(netns)
        pause = Container("pause", secrets.token_hex(32), uid, netns, self.images.path(""), {})
        pause.start(self.cgroups)
        return Sandbox(netns, address, pause)

    def _container(self, pod: dict, sandbox: Sandbox, declared: dict) -> Container:
        container = Container(
            declared["name"], secrets.token_hex(32), pod["metadata"]["uid"], sandbox.netns,
            self.images.path(declared.get("image", "")), declared, host_pid=bool(pod["spec"].get("hostPID")),
        )  # fmt: skip
        container.start(self.cgroups)
        return container

    # ---- while it runs ----

    async def _look_after(self, pod: dict) -> None:
        uid = pod["metadata"]["uid"]
        while not self._deleted(pod) and uid in self.sandboxes:
            await asyncio.sleep(TICK)
            sandbox = self.sandboxes.get(uid)
            ended = [c for c in (sandbox.containers.values() if sandbox else ()) if c.exit_code is not None]
            if not ended or self._deleted(pod):
                continue
            if pod["spec"].get("restartPolicy") != "Never":
                for container in ended:
                    if container.name not in _ephemeral_names(pod):
                        await self.restart(pod, container.name)
            self.refresh(pod)
            if pod["status"]["phase"] in {"Succeeded", "Failed"}:
                return

    async def restart(self, pod: dict, name: str) -> None:
        sandbox = self.sandboxes[pod["metadata"]["uid"]]
        old = sandbox.containers[name]
        await self.thread(lambda: old.stop(self.cgroups, grace=0.2))
        sandbox.gone.append(old)
        sandbox.containers[name] = await self.thread(self._container, pod, sandbox, old.spec)
        self.refresh(pod)

    async def add_ephemeral(self, pod: dict, declared: dict) -> None:
        await asyncio.sleep(self.start_delay)
        sandbox = self.sandboxes[pod["metadata"]["uid"]]
        if declared.get("image") in self.missing_images:
            pod["status"].setdefault("ephemeralContainerStatuses", []).append(
                _waiting(declared, "ErrImagePull", _pull(declared))
            )
            self.store.put("MODIFIED", "", "pods", pod)
            return
        sandbox.containers[declared["name"]] = await self.thread(self._container, pod, sandbox, declared)
        self.refresh(pod)

    async def _deadline(self, pod: dict, seconds: float) -> None:
        await asyncio.sleep(seconds)
        sandbox = self.sandboxes.get(pod["metadata"]["uid"])
        if sandbox and not self._deleted(pod):
            await self.thread(self._stop_all, sandbox, 0.5)
            pod["status"] |= {
                "phase": "Failed", "reason": "DeadlineExceeded",
                "message": "Pod was active on the node longer than the specified deadline",
            }  # fmt: skip
            self.store.put("MODIFIED", "", "pods", pod)

    # ---- its end ----

    async def delete(self, pod: dict, grace: float) -> None:
        pod["metadata"]["deletionTimestamp"] = now()
        pod["metadata"]["deletionGracePeriodSeconds"] = int(grace)
        self.store.put("MODIFIED", "", "pods", pod)
        if pod["spec"].get("nodeName") in self.stuck:
            return
        await self.end(pod, grace)
        if not self._gone(pod):
            self.store.put("DELETED", "", "pods", pod)

    async def end(self, pod: dict, grace: float) -> None:
        sandbox = self.sandboxes.pop(pod["metadata"]["uid"], None)
        if sandbox:
            await self.thread(self._stop_all, sandbox, grace)
            if sandbox.pause:
                await self.thread(self._remove_network, sandbox)

    def _stop_all(self, sandbox: Sandbox, grace: float) -> None:
        for container in sandbox.containers.values():
            container.stop(self.cgroups, grace=grace)

    def _remove_network(self, sandbox: Sandbox) -> None:
        import subprocess

        # as a CNI plugin: the interface goes, whoever still holds the namespace
        inside = ["nsenter", f"--net=/run/netns/{sandbox.netns}", "--", "ip", "link", "delete", "eth0"]
        subprocess.run(inside, check=False, capture_output=True)
        sandbox.pause.stop(self.cgroups, grace=0)
        subprocess.run(["ip", "netns", "delete", sandbox.netns], check=False, capture_output=True)

    # ---- status ----

    def refresh(self, pod: dict) -> None:
        """The status by what the processes do."""
        sandbox = self.sandboxes[pod["metadata"]["uid"]]
        names = {c["name"] for c in pod["spec"]["containers"]}
        regular = [_status(c, sandbox) for c in pod["spec"]["containers"]]
        codes = [c.exit_code for n, c in sandbox.containers.items() if n in names]
        over = bool(codes) and None not in codes and pod["spec"].get("restartPolicy") == "Never"
        phase = "Running" if not over else "Failed" if any(codes) else "Succeeded"
        self._set(
            pod, phase=phase, statuses=regular,
            initContainerStatuses=[_status(c, sandbox) for c in pod["spec"].get("initContainers", ())],
            ephemeralContainerStatuses=[
                _status(c, sandbox) for c in pod["spec"].get("ephemeralContainers", ())
            ],
            podIP=sandbox.address, podIPs=[{"ip": sandbox.address}],
            hostIP=self.nodes[pod["spec"]["nodeName"]][1],
        )  # fmt: skip

    def _set(self, pod: dict, *, phase: str, statuses: list, **more) -> None:
        ready = all(s["ready"] for s in statuses)
        pod["status"] = {
            **pod.get("status", {}), "phase": phase, "containerStatuses": statuses, "qosClass": "BestEffort",
            "conditions": [
                {"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(ready)},
            ],
            **{key: value for key, value in more.items() if value},
        }  # fmt: skip
        if not self._gone(pod):
            self.store.put("MODIFIED", "", "pods", pod)

    def _gone(self, pod: dict) -> bool:
        metadata = pod["metadata"]
        now_there = self.store.of("", "pods").get((metadata["namespace"], metadata["name"]))
        return now_there is None or now_there["metadata"]["uid"] != metadata["uid"]

    def _deleted(self, pod: dict) -> bool:
        return self._gone(pod) or "deletionTimestamp" in pod["metadata"]

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for sandbox in list(self.sandboxes.values()):
            with contextlib.suppress(Exception):
                await self.thread(self._stop_all, sandbox, 0)
                if sandbox.pause:
                    await self.thread(lambda s=sandbox: s.pause.stop(self.cgroups, grace=0))


def _ephemeral_names(pod: dict) -> set[str]:
    return {c["name"] for c in pod["spec"].get("ephemeralContainers", ())}


def _status(declared: dict, sandbox: Sandbox) -> dict:
    container = sandbox.containers.get(declared["name"])
    before = [c for c in sandbox.gone if c.name == declared["name"]]
    base = {
        "name": declared["name"],
        "image": declared.get("image", ""),
        "imageID": "",
        "restartCount": len(before),
    }
    if container is None:
        message = f"back-off 5m0s restarting failed container={declared['name']}"
        return {**base, "ready": False, "started": False, **_crashed(message)}
    identity = {"containerID": f"containerd://{container.id}"}
    last = (
        {"lastState": {"terminated": {"containerID": f"containerd://{before[-1].id}", "exitCode": 137}}}
        if before
        else {}
    )
    if container.exit_code is None:
        return {
            **base,
            **identity,
            **last,
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": now()}},
        }
    ended = {"exitCode": container.exit_code, "reason": "Completed" if container.exit_code == 0 else "Error"}
    return {
        **base,
        **identity,
        **last,
        "ready": False,
        "started": False,
        "state": {"terminated": {**ended, **identity}},
    }


def _crashed(message: str) -> dict:
    identity = f"containerd://{secrets.token_hex(32)}"
    return {
        "containerID": identity,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "containerID": identity}},
    }


def _pull(declared: dict) -> str:
    image = declared["image"]
    return f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": not found'


def _waiting(declared: dict, reason: str, message: str) -> dict:
    return {
        "name": declared["name"], "image": declared.get("image", ""), "imageID": "", "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }  # fmt: skip
