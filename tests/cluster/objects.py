"""The objects of the cluster, with versions, selectors and watches as an API server has them."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import re
import uuid

KINDS = {
    ("", "v1"): {
        "pods": "Pod", "services": "Service", "namespaces": "Namespace", "nodes": "Node", "events": "Event",
        "configmaps": "ConfigMap", "serviceaccounts": "ServiceAccount", "secrets": "Secret",
    },
    ("apps", "v1"): {
        "deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet",
        "daemonsets": "DaemonSet",
    },
    ("batch", "v1"): {"jobs": "Job", "cronjobs": "CronJob"},
    ("discovery.k8s.io", "v1"): {"endpointslices": "EndpointSlice"},
    ("rbac.authorization.k8s.io", "v1"): {
        "roles": "Role", "rolebindings": "RoleBinding", "clusterroles": "ClusterRole",
        "clusterrolebindings": "ClusterRoleBinding",
    },
}  # fmt: skip
RESOURCE_OF = {(g, kind): r for (g, _), kinds in KINDS.items() for r, kind in kinds.items()}
CLUSTER_WIDE = {"namespaces", "nodes", "clusterroles", "clusterrolebindings"}
KEPT_CHANGES = 2000


def now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class StatusError(Exception):
    """An answer that is a Status object."""

    def __init__(self, code: int, reason: str, message: str, details: dict | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "details": details or {}, "code": code,
        }  # fmt: skip


def not_found(resource: str, name: str, group: str = "") -> StatusError:
    kind = f"{resource}.{group}" if group else resource
    return StatusError(404, "NotFound", f'{kind} "{name}" not found', {"name": name, "kind": resource})


class Store:
    """Every object, and who watches; to be used in one event loop."""

    def __init__(self) -> None:
        self.version = 1000
        self._objects: dict[tuple[str, str], dict[tuple[str, str], dict]] = {}
        self._changes: list[tuple[int, str, str, str, dict]] = []
        self._watches: set[asyncio.Queue] = set()
        self.forgotten = 0

    def of(self, group: str, resource: str) -> dict[tuple[str, str], dict]:
        return self._objects.setdefault((group, resource), {})

    def get(self, group: str, resource: str, namespace: str, name: str) -> dict:
        try:
            return self.of(group, resource)[namespace, name]
        except KeyError:
            raise not_found(resource, name, group) from None

    def create(self, group: str, resource: str, namespace: str, obj: dict, *, keep: bool = True) -> dict:
        obj = copy.deepcopy(obj)
        metadata = obj.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = metadata.get("generateName", "x-") + uuid.uuid4().hex[:5]
        if namespace:
            metadata["namespace"] = namespace
        if (namespace, metadata["name"]) in self.of(group, resource):
            message = f'{resource} "{metadata["name"]}" already exists'
            raise StatusError(409, "AlreadyExists", message)
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata["creationTimestamp"] = now()
        if keep:
            self.put("ADDED", group, resource, obj)
        return obj

    def put(self, change: str, group: str, resource: str, obj: dict) -> None:
        """Keep an object as it is now, and tell who watches."""
        self.version += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.version)
        key = metadata.get("namespace", ""), metadata["name"]
        if change == "DELETED":
            self.of(group, resource).pop(key, None)
        else:
            self.of(group, resource)[key] = obj
        told = (self.version, change, group, resource, copy.deepcopy(obj))
        self._changes.append(told)
        if len(self._changes) > KEPT_CHANGES:
            self.forgotten = self._changes.pop(0)[0]
        for watch in self._watches:
            watch.put_nowait(told)

    def watch(self, version: int) -> asyncio.Queue:
        """The changes after `version`, those that have been and those to come."""
        if version < self.forgotten:
            raise StatusError(410, "Expired", f"too old resource version: {version} ({self.version})")
        queue: asyncio.Queue = asyncio.Queue()
        for told in self._changes:
            if told[0] > version:
                queue.put_nowait(told)
        self._watches.add(queue)
        return queue

    def unwatch(self, queue: asyncio.Queue) -> None:
        self._watches.discard(queue)


def selects(selector: str, labels: dict[str, str]) -> bool:
    """A label selector in the API's text form."""
    parts = re.findall(r"[^,(]+(?:\([^)]*\))?", selector)
    return all(_holds(part.strip(), labels) for part in parts if part.strip())


def _holds(part: str, labels: dict[str, str]) -> bool:
    if match := re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", part):
        values = {value.strip() for value in match[3].split(",")}
        return (labels.get(match[1]) in values) == (match[2] == "in")
    for operator in ("!=", "==", "="):
        if operator in part:
            key, _, value = part.partition(operator)
            return (labels.get(key.strip()) == value.strip()) == (operator != "!=")
    return part[1:] not in labels if part.startswith("!") else part in labels


def field_selects(selector: str, obj: dict) -> bool:
    for part in filter(None, selector.split(",")):
        key, _, value = part.replace("==", "=").partition("=")
        negated = key.endswith("!")
        found: object = obj
        for step in key.rstrip("!").split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if (str(found) == value) == negated:
            return False
    return True


def merge(old: dict, patch: dict) -> dict:
    """A merge patch (RFC 7386); lists of named things are merged by name, as a strategic one does."""
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(result.get(key) or {}, value)
        elif isinstance(value, list) and all(isinstance(v, dict) and "name" in v for v in value):
            named = {entry["name"]: entry for entry in result.get(key) or []}
            for entry in value:
                named[entry["name"]] = merge(named.get(entry["name"], {}), entry)
            result[key] = list(named.values())
        else:
            result[key] = value
    return result
