"""Which way into each pod: the best that is allowed, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from k8scap.errors import K8scapError, NotPermittedError
from k8scap.live.kube.way_ephemeral import EphemeralWay
from k8scap.live.kube.way_exec import ExecWay
from k8scap.live.kube.way_local import LocalWay
from k8scap.live.kube.way_node_pod import NodePodWay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod
    from k8scap.live.kube.settings import HelperSettings
    from k8scap.live.ways import Inside
    from k8scap.runner import Runner

Refusals = dict[str, K8scapError]
"""The name of a way (or of a namespace) → why it is none."""

ORDER = ("local", "node-pod", "exec", "ephemeral")
"""Best first: what leaves no trace in the cluster, what works with any image, what stays in the pod."""


class Way(Protocol):
    """A way in: opens what it can of the pods, and holds what it made for that."""

    @property
    def name(self) -> str: ...
    def open(self, pods: Sequence[Pod]) -> Mapping[str, Inside | K8scapError]: ...
    def close(self) -> None: ...


class Ways:
    """The ways of one capture; `via` is one's name, or auto."""

    def __init__(
        self,
        api: Api,
        *,
        via: str,
        settings: HelperSettings,
        seconds: float | None,
        runner: Runner,
    ) -> None:
        every: dict[str, Way] = {
            "local": LocalWay(runner=runner),
            "node-pod": NodePodWay(api, settings=settings, seconds=seconds),
            "exec": ExecWay(api),
            "ephemeral": EphemeralWay(api, settings=settings, seconds=seconds, asked=via == "ephemeral"),
        }
        self._ways = [every[name] for name in (ORDER if via == "auto" else (via,))]

    def open(self, pods: Sequence[Pod]) -> tuple[dict[str, Inside], dict[str, Refusals]]:
        """Pod UID → its inside; and for those without one why each way is none."""
        opened: dict[str, Inside] = {}
        refused: dict[str, Refusals] = {pod.uid: {} for pod in pods}
        try:
            for way in self._ways:
                left = [pod for pod in pods if pod.uid not in opened]
                if not left:
                    break
                for uid, result in way.open(left).items():
                    if isinstance(result, K8scapError):
                        refused[uid][way.name] = result
                    else:
                        opened[uid] = result
        except BaseException:
            for inside in opened.values():
                inside.close()
            self.close()
            raise
        return opened, {uid: why for uid, why in refused.items() if uid not in opened}

    def close(self) -> None:
        """Remove what the ways made in the cluster."""
        for way in self._ways:
            way.close()


def refusal(pod: Pod, why: Refusals) -> K8scapError:
    """The error of a pod that cannot be entered."""
    if len(why) == 1:
        return next(iter(why.values()))
    said = "; ".join(f"{name}: {error.message.rstrip('.')}" for name, error in why.items())
    return NotPermittedError(
        f"There is no way into {pod.title} ({said}).",
        next_step=f"k8scap doctor pod/{pod.name} -n {pod.namespace}",
    )
