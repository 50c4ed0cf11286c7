"""The Kubernetes Events of what was captured: restarts, failed probes, evictions, pulls."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError
from k8scap.live.kube.api import path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod

MOST_EVENTS = 500
_BEFORE = timedelta(minutes=10)  # what happened just before explains what is seen
_OF_NODES = "default"  # the namespace of Events about what has none
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"  # the letters of generated names: no vowels
_KIND_OF = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "ReplicaSet": "rs",
    "Job": "job",
    "CronJob": "cj",
}
_MADE_BY = {
    "deploy": {"ReplicaSet": rf"-{_SAFE}{{1,10}}", "Pod": rf"-{_SAFE}{{1,10}}-{_SAFE}{{5}}"},
    "sts": {"Pod": r"-\d+"},
    "ds": {"Pod": rf"-{_SAFE}{{5}}"},
    "rs": {"Pod": rf"-{_SAFE}{{5}}"},
    "job": {"Pod": rf"(-\d+)?-{_SAFE}{{5}}"},
    "cj": {"Job": r"-\d{8,9}", "Pod": rf"-\d{{8,9}}(-\d+)?-{_SAFE}{{5}}"},
}


def events_of(api: Api, pods: Iterable[Pod], *, since: datetime) -> tuple[tuple[dict[str, Any], ...], str]:
    """Those of the pods, their workloads and nodes from shortly before `since` on, oldest first; and a note.

    Each: `time` (ISO 8601), `type` (Normal, Warning), `reason`, `object` ("pod/web"), `namespace`, `message`,
    `count`. The note says why they are not known, "" where they are.
    """
    pods = list(pods)
    found, note = [], ""
    for namespace in sorted({pod.namespace for pod in pods if pod.namespace}):
        its = [pod for pod in pods if pod.namespace == namespace]
        try:
            raws, _ = api.list(_place(namespace))
        except K8scapError as error:
            note = f"The Events of {namespace} are not known: {error.message}"
            continue
        found += [_event(raw) for raw in raws if _concerns(raw, its) and _time(raw) >= since - _BEFORE]
    found += [_event(raw) for raw in _of_nodes(api, pods) if _time(raw) >= since - _BEFORE]
    return tuple(sorted(found, key=lambda event: event["time"])[-MOST_EVENTS:]), note


def _place(namespace: str) -> str:
    return path("api", "v1", "namespaces", namespace, "events")


def _of_nodes(api: Api, pods: Sequence[Pod]) -> list[dict[str, Any]]:
    """Those of the nodes themselves; seldom allowed, and then done without."""
    nodes = {pod.node for pod in pods}
    try:
        raws, _ = api.list(_place(_OF_NODES), field_selector="involvedObject.kind=Node")
    except K8scapError:
        return []
    return [raw for raw in raws if raw.get("involvedObject", {}).get("name") in nodes]


def _concerns(raw: Mapping[str, Any], pods: Sequence[Pod]) -> bool:
    """Whether it is about the pods, their workloads, or other pods of these."""
    about = raw.get("involvedObject", {})
    kind, name = str(about.get("kind", "")), str(about.get("name", ""))
    if kind == "Pod" and any(pod.name == name for pod in pods):
        return True
    for word, _, owner in {pod.workload.partition("/") for pod in pods if pod.workload}:
        if _KIND_OF.get(kind) == word and name == owner:
            return True
        ending = _MADE_BY.get(word, {}).get(kind)
        if ending and name.startswith(owner) and re.fullmatch(ending, name[len(owner) :]):
            return True
    return False


def _event(raw: Mapping[str, Any]) -> dict[str, Any]:
    about = raw.get("involvedObject", {})
    series = raw.get("series") or {}
    return {
        "time": _time(raw).isoformat(),
        "type": str(raw.get("type", "")),
        "reason": str(raw.get("reason", "")),
        "object": f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        "namespace": str(about.get("namespace", "")),
        "message": str(raw.get("message", ""))[:1000],
        "count": int(raw.get("count") or series.get("count") or 1),
    }


def _time(raw: Mapping[str, Any]) -> datetime:
    series = raw.get("series") or {}
    told = (
        series.get("lastObservedTime"),
        raw.get("lastTimestamp"),
        raw.get("eventTime"),
        raw.get("metadata", {}).get("creationTimestamp"),
    )
    for text in filter(None, told):
        try:
            return datetime.fromisoformat(str(text))
        except (ValueError, TypeError):
            continue
    return datetime.min.replace(tzinfo=UTC)
