"""The API server: requests → the store, the rights, the kubelet; in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import ssl
import sys
import time
from typing import TYPE_CHECKING

from aiohttp import web

from cluster import execs, rights
from cluster.control import Control
from cluster.faults import Faults
from cluster.kubelet import Kubelet
from cluster.objects import CLUSTER_WIDE, KINDS, StatusError, Store, field_selects, merge, not_found, selects
from cluster.rights import Action, User

if TYPE_CHECKING:
    from pathlib import Path

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


class ApiServer:
    def __init__(self, store: Store, kubelet: Kubelet, users: dict[str, User]) -> None:
        self.store, self.kubelet, self.users = store, kubelet, users
        self.faults = Faults()
        self.log: list[dict] = []
        self.execs: list[list[str]] = []
        self.control = Control(self)

    async def listen(self, context: ssl.SSLContext, port: int = 0) -> int:
        """Begin to listen on loopback; the port."""
        self._context = context
        self._site = web.TCPSite(self.runner, "127.0.0.1", port, ssl_context=context, reuse_address=True)
        await self._site.start()
        return self._site._server.sockets[0].getsockname()[1]

    async def be_away(self, seconds: float) -> None:
        """As an API server that restarts: nobody listens, and what was connected is cut."""
        await asyncio.sleep(0.05)  # for the answer to whoever asked for this
        port = self._site._server.sockets[0].getsockname()[1]
        self._site._server.close()
        for connection in list(self.runner.server.connections):
            if connection.transport:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        self.runner._sites.remove(self._site)
        await self.listen(self._context, port)

    # ---- every request ----

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/_control/"):
            return await self.control.handle(request)
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        entry = {
            "time": time.time(),
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
        }
        self.log.append(entry)
        try:
            user = self._user(request)
            entry["user"] = user.name
            response = await self._route(request, user)
        except StatusError as error:
            response = web.json_response(error.body, status=error.code)
        entry["status"] = response.status
        if (
            self.faults.truncate
            and request.path.endswith(self.faults.truncate)
            and isinstance(response, web.Response)
        ):
            response.body = response.body[: len(response.body) // 2]
        return response

    def _user(self, request: web.Request) -> User:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ")
        if token not in self.users:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return self.users[token]

    async def _route(self, request: web.Request, user: User) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts == ["version"]:
            return web.json_response(VERSION)
        if parts[0] in {"readyz", "livez", "healthz"}:
            return web.Response(text="ok")
        if found := discovery(parts):
            return web.json_response(found)
        if parts[0] == "api" and len(parts) > 2:
            group, rest = "", parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, rest = parts[1], parts[3:]
        else:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource, name, sub = (*rest, "", "")[:3]
        if resource == "selfsubjectaccessreviews":
            return await self._review(request, user)
        if resource == "selfsubjectreviews":
            told = {"userInfo": {"username": user.name, "groups": list(user.groups)}}
            return web.json_response(
                {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": told}
            )
        if not any(g == group and resource in kinds for (g, _), kinds in KINDS.items()):
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        return await self._resource(
            request, user, Action("", group, resource, subresource=sub, namespace=namespace, name=name)
        )

    async def _resource(self, request: web.Request, user: User, action: Action) -> web.StreamResponse:
        watching = request.query.get("watch") in {"1", "true"}
        verb = VERBS[request.method]
        if request.method == "GET" and not action.name:
            verb = "watch" if watching else "list"
        if request.method == "DELETE" and not action.name:
            verb = "deletecollection"
        if action.subresource == "exec":
            return await self._exec(request, user, action)
        action.verb = verb
        self._require(user, action)
        if verb == "list":
            return self._list(request, action)
        if verb == "watch":
            return await self._watch(request, action)
        if verb == "get":
            return web.json_response(
                self.store.get(action.group, action.resource, action.namespace, action.name)
            )
        if verb == "create":
            return await self._create(request, action)
        if verb == "delete":
            return await self._delete(request, action)
        if verb == "patch":
            return await self._patch(request, action)
        raise StatusError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
        )

    def _require(self, user: User, action: Action) -> None:
        if (action.verb, action.whole) in self.faults.forbidden:
            rights.require(Store(), User(user.name), action)
        rights.require(self.store, user, action)

    # ---- verbs ----

    def _selected(self, request: web.Request, action: Action) -> list[dict]:
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        return [
            obj
            for (namespace, _), obj in sorted(self.store.of(action.group, action.resource).items())
            if (not action.namespace or namespace == action.namespace)
            and selects(labels, obj["metadata"].get("labels") or {})
            and field_selects(fields, obj)
        ]

    def _list(self, request: web.Request, action: Action) -> web.Response:
        found = self._selected(request, action)
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 0)
        page = found[start : start + limit] if limit else found[start:]
        metadata = {"resourceVersion": str(self.store.version)}
        if start + len(page) < len(found):
            metadata |= {
                "continue": str(start + len(page)),
                "remainingItemCount": len(found) - start - len(page),
            }
        kind, version = kind_of(action)
        return web.json_response(
            {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": page}
        )

    async def _watch(self, request: web.Request, action: Action) -> web.StreamResponse:
        if self.faults.expired:
            self.faults.expired -= 1
            raise StatusError(410, "Expired", "too old resource version: 1 (2)")
        queue = self.store.watch(int(request.query.get("resourceVersion") or self.store.version))
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        until = time.monotonic() + float(request.query.get("timeoutSeconds") or 300)
        try:
            while (left := until - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    _, change, group, resource, obj = await asyncio.wait_for(queue.get(), min(left, 0.5))
                    if (group, resource) != (action.group, action.resource):
                        continue
                    if action.namespace and obj["metadata"].get("namespace") != action.namespace:
                        continue
                    if selects(labels, obj["metadata"].get("labels") or {}) and field_selects(fields, obj):
                        await response.write(json.dumps({"type": change, "object": obj}).encode() + b"\n")
        except ConnectionError:
            pass
        finally:
            self.store.unwatch(queue)
        return response

    async def _create(self, request: web.Request, action: Action) -> web.Response:
        body = await request.json()
        keep = request.query.get("dryRun") != "All"
        if action.resource == "pods":
            rights.admit(self.store, action.namespace, body)
            if ("", action.namespace) not in self.store.of("", "namespaces"):
                raise not_found("namespaces", action.namespace)
            if body["spec"].get("nodeName") and ("", body["spec"]["nodeName"]) not in self.store.of(
                "", "nodes"
            ):
                raise StatusError(422, "Invalid", f"no node {body['spec']['nodeName']}")
        namespace = "" if action.resource in CLUSTER_WIDE else action.namespace
        if action.resource == "pods" and keep:
            return web.json_response(self.create_pod(namespace, body), status=201)
        made = self.store.create(action.group, action.resource, namespace, body, keep=keep)
        return web.json_response(made, status=201)

    def create_pod(self, namespace: str, body: dict) -> dict:
        body.setdefault("status", {"phase": "Pending"})
        body["spec"].setdefault("nodeName", next(iter(self.kubelet.nodes)))
        made = self.store.create("", "pods", namespace, body)
        self.kubelet.background(self.kubelet.start(made))
        return made

    async def _delete(self, request: web.Request, action: Action) -> web.Response:
        obj = self.store.get(action.group, action.resource, action.namespace, action.name)
        raw = await request.read()
        options = json.loads(raw) if raw else {}
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != obj["metadata"]["uid"]:
            raise StatusError(409, "Conflict", f"Precondition failed: UID in precondition: {uid}")
        if action.resource == "pods":
            grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
            default = obj["spec"].get("terminationGracePeriodSeconds", 30)
            self.kubelet.background(self.kubelet.delete(obj, float(default if grace is None else grace)))
            await asyncio.sleep(0)
            return web.json_response(obj)
        self.store.put("DELETED", action.group, action.resource, obj)
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def _patch(self, request: web.Request, action: Action) -> web.Response:
        obj = self.store.get(action.group, action.resource, action.namespace, action.name)
        patch = await request.json()
        changed = merge(copy.deepcopy(obj), patch)
        if action.subresource == "ephemeralcontainers":
            return self._ephemeral(obj, changed, keep=request.query.get("dryRun") != "All")
        if request.query.get("dryRun") != "All":
            obj.clear()
            obj.update(changed)
            self.store.put("MODIFIED", action.group, action.resource, obj)
        return web.json_response(changed)

    def _ephemeral(self, pod: dict, changed: dict, *, keep: bool) -> web.Response:
        before = {c["name"]: c for c in pod["spec"].get("ephemeralContainers", ())}
        after = {c["name"]: c for c in changed["spec"].get("ephemeralContainers", ())}
        if any(after.get(name) != c for name, c in before.items()):
            raise StatusError(
                422, "Invalid",
                f'Pod "{pod["metadata"]["name"]}" is invalid: spec.ephemeralContainers: Forbidden: existing '
                f'ephemeral containers {sorted(before)} may not be changed',
            )  # fmt: skip
        rights.admit(self.store, pod["metadata"]["namespace"], changed)
        if keep:
            pod["spec"]["ephemeralContainers"] = changed["spec"]["ephemeralContainers"]
            self.store.put("MODIFIED", "", "pods", pod)
            for name in after.keys() - before.keys():
                self.kubelet.background(self.kubelet.add_ephemeral(pod, after[name]))
        return web.json_response(changed)

    async def _review(self, request: web.Request, user: User) -> web.Response:
        review = await request.json()
        asked = review["spec"].get("resourceAttributes") or {}
        action = Action(
            asked.get("verb", ""), asked.get("group", ""), asked.get("resource", ""),
            subresource=asked.get("subresource", ""), namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
        )  # fmt: skip
        may = (
            rights.allowed(self.store, user, action)
            and (action.verb, action.whole) not in self.faults.forbidden
        )
        review["status"] = {"allowed": may}
        return web.json_response(review, status=201)

    async def _exec(self, request: web.Request, user: User, action: Action) -> web.StreamResponse:
        for verb in ("get", "create"):  # from 1.35 a websocket needs both
            action.verb = verb
            self._require(user, action)
        if refused := self.faults.take_exec(request.query.getall("command", []), refusing=True):
            raise StatusError(
                refused["code"], "InternalError", "an error on the server has prevented the request"
            )
        pod = self.store.get("", "pods", action.namespace, action.name)
        container = execs.container_of(self.kubelet, pod, request.query.get("container", ""))
        argv = request.query.getall("command", [])
        self.execs.append(argv)
        return await execs.serve(request, container, argv, self.faults, self.kubelet)


def kind_of(action: Action) -> tuple[str, str]:
    for (group, version), kinds in KINDS.items():
        if group == action.group and action.resource in kinds:
            return kinds[action.resource], f"{group}/{version}" if group else version
    raise KeyError(action.resource)


def discovery(parts: list[str]) -> dict | None:
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    groups = [(g, v) for g, v in KINDS if g] + [("authorization.k8s.io", "v1")]
    if parts == ["apis"]:
        told = [
            {"name": g, "versions": [{"groupVersion": f"{g}/{v}", "version": v}],
             "preferredVersion": {"groupVersion": f"{g}/{v}", "version": v}}
            for g, v in groups
        ]  # fmt: skip
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": told}
    wanted = (
        ("", "v1")
        if parts == ["api", "v1"]
        else tuple(parts[1:])
        if parts[0] == "apis" and len(parts) == 3
        else None
    )
    if wanted not in [*KINDS, *groups]:
        return None
    resources = [
        {"name": r, "singularName": kind.lower(), "namespaced": r not in CLUSTER_WIDE, "kind": kind,
         "shortNames": SHORT.get(r, []), "verbs": ["create", "delete", "get", "list", "patch", "watch"]}
        for r, kind in KINDS.get(wanted, {}).items()
    ]  # fmt: skip
    if wanted == ("", "v1"):
        resources += [
            {"name": f"pods/{sub}", "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs}
            for sub, kind, verbs in (
                ("exec", "PodExecOptions", ["create", "get"]),
                ("ephemeralcontainers", "Pod", ["get", "patch", "update"]),
            )
        ]  # fmt: skip
    if wanted[0] == "authorization.k8s.io":
        resources = [{"name": "selfsubjectaccessreviews", "singularName": "", "namespaced": False,
                      "kind": "SelfSubjectAccessReview", "verbs": ["create"]}]  # fmt: skip
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "/".join(filter(None, wanted)),
        "resources": resources,
    }


SHORT = {
    "pods": ["po"], "services": ["svc"], "namespaces": ["ns"], "nodes": ["no"], "deployments": ["deploy"],
    "replicasets": ["rs"], "statefulsets": ["sts"], "daemonsets": ["ds"], "cronjobs": ["cj"],
    "events": ["ev"], "configmaps": ["cm"], "serviceaccounts": ["sa"],
}  # fmt: skip


async def serve(folder: Path, run: str) -> None:
    """Serve until the file descriptor 0 ends (whoever started us has gone) or the control says so."""
    from cluster.processes import Fabric, Images

    fabric = Fabric(run)
    store = Store()
    users = {token: User(*told) for token, told in json.loads((folder / "users.json").read_text()).items()}
    kubelet = Kubelet(store, run, fabric, Images(folder / "images"))
    api = ApiServer(store, kubelet, users)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", api.handle)
    api.runner = runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    (folder / "port.new").write_text(str(await api.listen(context)))
    (folder / "port.new").rename(folder / "port")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()
    await kubelet.close()
    await runner.cleanup()
