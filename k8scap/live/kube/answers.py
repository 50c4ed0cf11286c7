"""What the API server answers: JSON, or a `Status` object that says why not → our errors."""

from __future__ import annotations

import json
from typing import Any

from k8scap.errors import (
    CaptureBrokenError,
    ClusterUnreachableError,
    K8scapError,
    NotPermittedError,
    TargetNotFoundError,
    UsageError,
)

_MOST_WORDS = 1000
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete", "WATCH": "watch"}


class ConflictError(K8scapError):
    """The object has changed, or is another one of its name."""


_KINDS: dict[int, type[K8scapError]] = {
    400: UsageError,
    404: TargetNotFoundError,
    405: UsageError,
    409: ConflictError,
    410: CaptureBrokenError,
    422: UsageError,
}


def parsed(raw: bytes, *, where: str) -> dict[str, Any]:
    """Raises ClusterUnreachableError for what is no JSON object: a proxy's page, an answer cut short."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ClusterUnreachableError(
            f"What came for {where} is not an API server's answer ({len(raw)} bytes).",
            next_step=f"kubectl get --raw {where}",
        )
    return told


def error(status: int, raw: bytes, *, verb: str, where: str) -> K8scapError:
    """The error of an answer that is none."""
    said = message(raw) or f"HTTP {status}"
    if status == 401:
        return NotPermittedError(
            f"The API server does not accept these credentials ({said}).", next_step="kubectl auth whoami"
        )
    if status == 403:
        return NotPermittedError(f"Not allowed: {said}.", next_step=_can_i(verb, where))
    if kind := _KINDS.get(status):
        return kind(f"The API server says: {said}.", next_step=_look(where))
    return ClusterUnreachableError(
        f"The API server answered with {status}: {said}.", next_step="kubectl get --raw /readyz"
    )


def message(raw: bytes) -> str:
    """The words of a Status object, or the beginning of whatever came, on one line, without the last dot."""
    text = raw[: 64 * _MOST_WORDS].decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    words = str(told.get("message") or told.get("reason") or "") if isinstance(told, dict) else text
    return _printable(words).rstrip(".")[:_MOST_WORDS]


def reason(failure: Exception) -> str:
    """The words behind a library's error."""
    inner = getattr(failure, "reason", None) or failure
    text = str(inner)
    return _printable(text.rpartition(">: ")[2] or type(failure).__name__).rstrip(".")


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _can_i(verb: str, where: str) -> str:
    namespace, resource = _resource(where)
    inside = f" -n {namespace}" if namespace else ""
    kubectl = "list" if verb == "GET" and "/" not in resource and where.endswith(resource) else _VERBS[verb]
    return f"kubectl auth can-i {kubectl} {resource}{inside}"


def _look(where: str) -> str:
    namespace, resource = _resource(where)
    return f"kubectl get {resource.partition('/')[0]}" + (f" -n {namespace}" if namespace else "")


def _resource(where: str) -> tuple[str, str]:
    """Of a path, the namespace and the resource, with its subresource."""
    parts = where.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource = parts[0] if parts else "pods"
    return namespace, f"{resource}/{parts[2]}" if len(parts) > 2 else resource
