"""The helper pod: short-lived, on a target's node, with exactly the rights that entering a namespace takes.

It ends by itself (activeDeadlineSeconds), is deleted on every way out, and what a killed capture left behind
is deleted by the next one, once it has expired and never before: it may be a colleague's.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import secrets
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from k8scap.errors import CaptureBrokenError, K8scapError
from k8scap.live.kube.starting import PULL_FAILURES, no_image, one_line

if TYPE_CHECKING:
    from k8scap.live.kube.api import Api
    from k8scap.live.kube.settings import HelperSettings

CONTAINER = "k8scap"
SELECTOR = "app.kubernetes.io/managed-by=k8scap"
CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "NET_RAW", "SETUID", "SETGID")
"""setns(2); reading /proc/PID/ns; packet sockets; and tcpdump changes its user, to root as well."""

_EXPIRES = "k8scap.io/expires"
_START_SECONDS = 90.0  # an image has to be pulled, perhaps
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1  # not 0: that would forget the pod before its processes have ended
_LATE_SECONDS = 60.0  # an expired pod is left alone for so long: clocks differ
_FAILURES = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}


def manifest(node: str, *, namespace: str, settings: HelperSettings, seconds: int) -> dict[str, Any]:
    """The Pod, as it is sent; `seconds` is after how long it ends by itself."""
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    labels = {
        "app.kubernetes.io/name": "k8scap",
        "app.kubernetes.io/component": "capture-helper",
        "app.kubernetes.io/managed-by": "k8scap",
        "k8scap.io/owner": owner(),
        "sidecar.istio.io/inject": "false",
    }
    annotations = {
        _EXPIRES: expires.isoformat(timespec="seconds"),
        "sidecar.istio.io/inject": "false",
        "linkerd.io/inject": "disabled",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"k8scap-{secrets.token_hex(5)}",
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "nodeName": node,
            "hostPID": True,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "imagePullSecrets": [{"name": name} for name in settings.pull_secrets],
            "containers": [_container(settings.image, seconds)],
        },
    }


def _container(image: str, seconds: int) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", str(seconds)],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
            "appArmorProfile": {"type": "Unconfined"},
        },
    }


def owner() -> str:
    """Who captures, as a label's value may say it (63 characters of a few kinds)."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    text = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{user}.{socket.gethostname()}")[:63]
    return text.strip("-_.") or "unknown"


class HelperPod:
    """One that was made: ready when `wait` returns, gone after `delete`."""

    def __init__(self, api: Api, made: dict[str, Any]) -> None:
        self._api = api
        self.name = str(made["metadata"]["name"])
        self.namespace = str(made["metadata"]["namespace"])
        self._uid = str(made["metadata"].get("uid", ""))
        self._spec = made["spec"]

    def wait(self) -> None:
        """Return when its container runs; raises ToolMissingError (its image), CaptureBrokenError."""
        deadline = time.monotonic() + _START_SECONDS
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            status = self._api.get(self._path).get("status", {})
            if self._runs(status):
                return
            time.sleep(_POLL_SECONDS)
        raise CaptureBrokenError(
            f"The helper pod {self.namespace}/{self.name} did not start in {_START_SECONDS:.0f} s "
            f"({status.get('phase', 'no status')}).",
            next_step=f"kubectl get events -n {self.namespace}",
        )

    def delete(self) -> None:
        """Delete it at once; what cannot be is left to its deadline and to the next run."""
        with contextlib.suppress(K8scapError):
            self._api.delete(self._path, grace_seconds=_GRACE_SECONDS, uid=self._uid)

    @property
    def _path(self) -> str:
        return pod_path(self.namespace, self.name)

    def _runs(self, status: dict[str, Any]) -> bool:
        for container in status.get("containerStatuses", ()):
            state = container.get("state", {})
            if "running" in state:
                return True
            waiting = state.get("waiting", {})
            if waiting.get("reason") in PULL_FAILURES:
                raise no_image(self._spec["containers"][0]["image"], self._spec.get("nodeName", ""), waiting)
            if waiting.get("reason") in _FAILURES or "terminated" in state:
                raise self._failed(waiting or state["terminated"])
        if status.get("phase") == "Failed":
            raise self._failed(status)
        return False

    def _failed(self, why: dict[str, Any]) -> CaptureBrokenError:
        said = one_line(why.get("message") or why.get("reason") or "no word why")
        return CaptureBrokenError(
            f"The helper pod on {self._spec.get('nodeName')} did not run: {said}.",
            next_step="k8scap doctor TARGET",
        )


def create(
    api: Api, node: str, *, namespace: str, settings: HelperSettings, seconds: int, dry_run: bool = False
) -> HelperPod:
    """Make one; with `dry_run` only admission sees it. Raises NotPermittedError (RBAC, Pod Security)."""
    body = manifest(node, namespace=namespace, settings=settings, seconds=seconds)
    made = api.create(pods_path(namespace), body, dry_run=dry_run)
    return HelperPod(api, {**body, **made})


def delete_expired(api: Api, namespace: str) -> list[str]:
    """Delete the helper pods of anybody that have expired; their names. What is not allowed is not done."""
    try:
        found, _ = api.list(pods_path(namespace), label_selector=SELECTOR)
    except K8scapError:
        return []
    gone = []
    for pod in found:
        metadata = pod["metadata"]
        if has_expired(pod):
            with contextlib.suppress(K8scapError):
                where = pod_path(namespace, metadata["name"])
                if api.delete(where, grace_seconds=_GRACE_SECONDS, uid=metadata.get("uid", "")):
                    gone.append(str(metadata["name"]))
    return gone


def has_expired(pod: dict[str, Any]) -> bool:
    """Whether a helper pod is past its deadline: by its own status, or by its annotation and our clock."""
    if pod.get("status", {}).get("phase") in {"Failed", "Succeeded"}:
        return True
    told = pod["metadata"].get("annotations", {}).get(_EXPIRES, "")
    try:
        expires = datetime.fromisoformat(told)
        return datetime.now(UTC) > expires + timedelta(seconds=_LATE_SECONDS)
    except (ValueError, TypeError):
        return False


def pods_path(namespace: str) -> str:
    from k8scap.live.kube.api import path

    return path("api", "v1", "namespaces", namespace, "pods")


def pod_path(namespace: str, name: str) -> str:
    from k8scap.live.kube.api import path

    return path("api", "v1", "namespaces", namespace, "pods", name)
