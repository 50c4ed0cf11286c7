"""The Kubernetes Events of what was captured: restarts, failed probes, evictions, pulls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError
from k8scap.live.kube.api import path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k8scap.live.kube.api import Api
    from k8scap.live.kube.pods import Pod

MOST_EVENTS = 500
_BEFORE = timedelta(minutes=10)  # what happened just before explains what is seen


def events_of(api: Api, pods: Iterable[Pod], *, since: datetime) -> tuple[tuple[dict[str, Any], ...], str]:
    """Those of the pods, their workloads and nodes from shortly before `since` on, oldest first; and a note.

    Each: `time` (ISO 8601), `type` (Normal, Warning), `reason`, `object` ("pod/web"), `namespace`, `message`,
    `count`. The note says why they are not known, "" where they are.
    """
    pods = list(pods)
    names = {pod.name for pod in pods} | {pod.node for pod in pods}
    names |= {pod.workload.partition("/")[2] for pod in pods if pod.workload}
    found, note = [], ""
    for namespace in sorted({pod.namespace for pod in pods if pod.namespace}):
        try:
            raws, _ = api.list(path("api", "v1", "namespaces", namespace, "events"))
        except K8scapError as error:
            note = f"The Events of {namespace} are not known: {error.message}"
            continue
        found += [_event(raw) for raw in raws if _concerns(raw, names, since - _BEFORE)]
    return tuple(sorted(found, key=lambda event: event["time"])[-MOST_EVENTS:]), note


def _concerns(raw: Mapping[str, Any], names: set[str], since: datetime) -> bool:
    name = str(raw.get("involvedObject", {}).get("name", ""))
    return _time(raw) >= since and any(name == known or name.startswith(f"{known}-") for known in names)


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
