"""ephemeral: one ephemeral container in the pod, in which tcpdump is run for as many captures as it lasts.

It can never be removed (kubernetes 84764): it ends by itself, is used again while it runs, and where it has
ended another one is added only for those who ask for this way by name.

What keeps it running is a tcpdump that lets nothing pass: as the container's PID 1 it ends on SIGTERM, which
`sleep` would not, and so does not hold up the pod's own end; and that it runs shows that captures will.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from k8scap.errors import CaptureBrokenError, NotPermittedError
from k8scap.live.kube.helper_pod import pod_path
from k8scap.live.kube.pod_inside import PodInside, remote_seconds
from k8scap.live.kube.pod_runner import PodRunner
from k8scap.live.kube.starting import PULL_FAILURES, no_image, one_line, open_each
from k8scap.live.kube.way_exec import inside, require_a_pod, require_tcpdump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.errors import K8scapError
    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod
    from k8scap.live.kube.settings import HelperSettings

PREFIX = "k8scap-"
CAPABILITIES = ("NET_RAW", "SETUID", "SETGID")

_EXPIRES = "K8SCAP_EXPIRES"
_LIFE_SECONDS = 3600
_START_SECONDS = 90.0
_POLL_SECONDS = 0.2


class EphemeralWay:
    """Ephemeral containers for one capture; `asked` says that the user wants this way by name."""

    name = "ephemeral"

    def __init__(self, api: Api, *, settings: HelperSettings, seconds: float | None, asked: bool) -> None:
        self._api = api
        self._settings = settings
        self._seconds = remote_seconds(seconds)
        self._asked = asked

    def open(self, pods: Sequence[Pod]) -> Mapping[str, PodInside | K8scapError]:
        """Pod UID → its inside, or why there is no way."""
        return open_each(pods, self._open)

    def close(self) -> None:
        """They end by themselves: nothing can end or remove them."""

    def _open(self, pod: Pod) -> PodInside:
        require_a_pod(pod)
        name = self._container(pod)
        runner = PodRunner(self._api, namespace=pod.namespace, pod=pod.name, container=name)
        require_tcpdump(runner)
        return inside(runner, pod, via=self.name)

    def _container(self, pod: Pod) -> str:
        """The name of one that runs; raises NotPermittedError, ToolMissingError, CaptureBrokenError."""
        now = self._api.get(pod_path(pod.namespace, pod.name))
        ours = [c for c in now["spec"].get("ephemeralContainers", ()) if c["name"].startswith(PREFIX)]
        running = _running(now)
        until = datetime.now(UTC) + timedelta(seconds=self._seconds)
        for container in ours:
            if container["name"] in running and _expires(container) > until:
                return str(container["name"])
        if ours and not self._asked:
            raise NotPermittedError(
                f"{pod.title} has had an ephemeral container of k8scap, which has ended, or "
                "will end too soon, and each one stays in the pod.",
                next_step="--via ephemeral adds another",
            )
        return self._add(pod)

    def _add(self, pod: Pod) -> str:
        name = f"{PREFIX}{secrets.token_hex(3)}"
        where = f"{pod_path(pod.namespace, pod.name)}/ephemeralcontainers"
        try:
            self._patch(where, manifest(name, settings=self._settings, seconds=self._seconds))
        except NotPermittedError as error:
            if "PodSecurity" not in error.message:
                raise
            # Baseline lets nothing be added, but what the runtime grants anyway may be enough.
            self._patch(where, manifest(name, settings=self._settings, seconds=self._seconds, add=()))
        self._wait(pod, name)
        return name

    def _patch(self, where: str, container: dict[str, Any]) -> None:
        self._api.patch(where, {"spec": {"ephemeralContainers": [container]}})

    def _wait(self, pod: Pod, name: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            state = _state(self._api.get(pod_path(pod.namespace, pod.name)), name)
            if "running" in state:
                return
            waiting = state.get("waiting", {})
            if waiting.get("reason") in PULL_FAILURES:
                raise no_image(self._settings.image, pod.node, waiting)
            if ended := state.get("terminated"):
                said = ended.get("message") or f"exit code {ended.get('exitCode')}"
                raise NotPermittedError(
                    f"tcpdump cannot run in an ephemeral container of {pod.title}: {one_line(said)}.",
                    next_step=f"kubectl logs -n {pod.namespace} {pod.name} -c {name}",
                )
            time.sleep(_POLL_SECONDS)
        raise CaptureBrokenError(
            f"The ephemeral container {name} of {pod.title} did not start in {_START_SECONDS:.0f} s.",
            next_step=f"kubectl describe pod -n {pod.namespace} {pod.name}",
        )


def manifest(
    name: str, *, settings: HelperSettings, seconds: int, add: Sequence[str] = CAPABILITIES
) -> dict[str, Any]:
    """The ephemeral container, as it is sent; it lasts for `seconds` and some time more."""
    life = max(_LIFE_SECONDS, seconds + int(_START_SECONDS))
    expires = datetime.now(UTC) + timedelta(seconds=life)
    idle = ["tcpdump", "-i", "lo", "-nn", "-Z", "root", "-w", "/dev/null", "--", "less 1"]
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["timeout", str(life), *idle],
        "env": [{"name": _EXPIRES, "value": expires.isoformat(timespec="seconds")}],
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": False,
            **({"capabilities": {"add": list(add)}} if add else {}),
        },
    }


def _running(pod: dict[str, Any]) -> set[str]:
    statuses = pod.get("status", {}).get("ephemeralContainerStatuses", ())
    return {status["name"] for status in statuses if "running" in status.get("state", {})}


def _state(pod: dict[str, Any], name: str) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("ephemeralContainerStatuses", ())
    return next((dict(status.get("state", {})) for status in statuses if status["name"] == name), {})


def _expires(container: dict[str, Any]) -> datetime:
    told = {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}
    try:
        return datetime.fromisoformat(told[_EXPIRES])
    except (KeyError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
