"""What a test may do to the cluster, past its API: objects, pods, faults, and what has happened so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from cluster.objects import CLUSTER_WIDE, RESOURCE_OF
from cluster.rights import User

if TYPE_CHECKING:
    from cluster.server import ApiServer


class Control:
    """POST /_control/WHAT with a JSON object of arguments; answers with JSON."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api

    async def handle(self, request: web.Request) -> web.Response:
        what = request.path.rpartition("/")[2]
        answer = await getattr(self, f"do_{what}")(**await request.json())
        return web.json_response(answer)

    async def do_apply(self, obj: dict) -> dict:
        group = obj["apiVersion"].rpartition("/")[0]
        resource = RESOURCE_OF[group, obj["kind"]]
        namespace = "" if resource in CLUSTER_WIDE else obj["metadata"].get("namespace", "default")
        store = self.api.store
        there = store.of(group, resource).get((namespace, obj["metadata"]["name"]))
        if resource == "pods" and not there:
            return self.api.create_pod(namespace, obj)
        if there:
            there.update({**obj, "metadata": {**there["metadata"], **obj["metadata"]}})
            store.put("MODIFIED", group, resource, there)
            return there
        return store.create(group, resource, namespace, obj)

    async def do_remove(self, group: str, resource: str, namespace: str, name: str) -> None:
        obj = self.api.store.of(group, resource).get((namespace, name))
        if obj:
            self.api.store.put("DELETED", group, resource, obj)

    async def do_get(self, group: str, resource: str, namespace: str, name: str) -> dict | None:
        return self.api.store.of(group, resource).get((namespace, name))

    async def do_all(self, group: str, resource: str) -> list[dict]:
        return list(self.api.store.of(group, resource).values())

    async def do_user(self, token: str, name: str, groups: list[str]) -> None:
        self.api.users[token] = User(name, tuple(groups))

    async def do_node(self, name: str, obj: dict) -> str:
        address = self.api.kubelet.add_node(name)
        obj["status"]["addresses"] = [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ]
        await self.do_apply(obj)
        return address

    async def do_image(self, name: str, tools: list[str] | None, missing: bool, busybox: bool) -> None:
        kubelet = self.api.kubelet
        kubelet.images.known[name] = tools
        (kubelet.images.of_busybox.add if busybox else kubelet.images.of_busybox.discard)(name)
        (kubelet.missing_images.add if missing else kubelet.missing_images.discard)(name)

    async def do_restart(self, namespace: str, name: str, container: str) -> None:
        await self.api.kubelet.restart(self.api.store.get("", "pods", namespace, name), container)

    async def do_delete_pod(self, namespace: str, name: str, grace: float) -> None:
        await self.api.kubelet.delete(self.api.store.get("", "pods", namespace, name), grace)

    async def do_sandbox(self, uid: str) -> dict:
        sandbox = self.api.kubelet.sandboxes[uid]
        return {
            "netns": sandbox.netns, "ip": sandbox.address,
            "containers": {n: {"id": c.id, "pid": c.pid} for n, c in sandbox.containers.items()},
            "pause": sandbox.pause.pid if sandbox.pause else None,
        }  # fmt: skip

    async def do_processes(self, uid: str) -> list[int]:
        """Those of the pod's containers, without their first ones: what was exec'd, and lives."""
        kubelet = self.api.kubelet
        sandbox = kubelet.sandboxes.get(uid)
        containers = [*sandbox.containers.values(), *sandbox.gone] if sandbox else []
        return sorted(
            {pid for c in containers for pid in kubelet.cgroups.pids(uid, c.id)} - {c.pid for c in containers}
        )

    async def do_faults(self, **changes) -> None:
        faults = self.api.faults
        if "gone" in changes:
            self.api.kubelet.background(self.api.be_away(changes.pop("gone")))
        if "forbidden" in changes:
            faults.forbidden = {tuple(pair) for pair in changes.pop("forbidden")}
        for key, value in changes.items():
            setattr(faults, key, value)

    async def do_stuck(self, node: str, stuck: bool) -> None:
        (self.api.kubelet.stuck.add if stuck else self.api.kubelet.stuck.discard)(node)

    async def do_log(self) -> dict:
        return {"requests": self.api.log, "execs": self.api.execs}
