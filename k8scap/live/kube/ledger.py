"""Who had which address, and from when to when: filled by objects as they come, change and go."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live.kube.owners import workload
from k8scap.model import NameEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_ENTRIES = 200_000  # a cluster of 5,000 nodes has 150,000 pods at most
_ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class _Open:
    entry: NameEntry
    since: datetime | None


class Ledger:
    """Entries by object; threads may share it. `full` is set where more came than are kept."""

    def __init__(self) -> None:
        self.full = False
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], dict[str, _Open]] = {}
        self._closed: list[NameEntry] = []
        self._zones: dict[str, str] = {}

    def see(self, resource: str, raw: Mapping[str, Any], *, at_start: bool) -> None:
        """An object as it is now; `at_start` where it was there before anybody looked."""
        now = datetime.now(UTC)
        entries = {entry.address: entry for entry in _ENTRIES[resource](raw)}
        with self._lock:
            if resource == "nodes":
                self._zones[raw["metadata"]["name"]] = (raw["metadata"].get("labels") or {}).get(_ZONE, "")
            known = self._open.setdefault(_key(resource, raw), {})
            for address in [a for a, held in known.items() if entries.get(a) != held.entry]:
                self._close(known.pop(address), now)
            for address, entry in entries.items():
                if address not in known:
                    known[address] = _Open(entry, None if at_start else _since(raw, now))

    def forget(self, resource: str, raw: Mapping[str, Any]) -> None:
        """An object that is gone."""
        now = datetime.now(UTC)
        with self._lock:
            for held in self._open.pop(_key(resource, raw), {}).values():
                self._close(held, now)

    def keep_only(
        self, resource: str, raws: Iterable[Mapping[str, Any]], *, namespace: str | None = None
    ) -> None:
        """After a list, of one namespace or (None) all: what is not in it went while nobody watched."""
        there = {_key(resource, raw) for raw in raws}
        now = datetime.now(UTC)
        with self._lock:
            for key in [key for key in self._open if key[0] == resource and key not in there]:
                if namespace is None or any(o.entry.namespace == namespace for o in self._open[key].values()):
                    for held in self._open.pop(key).values():
                        self._close(held, now)

    def entries(self) -> tuple[NameEntry, ...]:
        with self._lock:
            held = [
                replace(o.entry, start=o.since) for objects in self._open.values() for o in objects.values()
            ]
            return tuple(self._located(entry) for entry in [*self._closed, *held])

    def _located(self, entry: NameEntry) -> NameEntry:
        return replace(entry, zone=self._zones.get(entry.node, "")) if entry.node else entry

    def _close(self, held: _Open, now: datetime) -> None:
        if len(self._closed) < MOST_ENTRIES:
            self._closed.append(replace(held.entry, start=held.since, end=now))
        else:
            self.full = True


def _key(resource: str, raw: Mapping[str, Any]) -> tuple[str, str]:
    metadata = raw["metadata"]
    return resource, metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata['name']}"


def _since(raw: Mapping[str, Any], now: datetime) -> datetime:
    """When it got its address: a pod's start, by its kubelet; else when we heard of it."""
    told = raw.get("status", {}).get("startTime", "")
    try:
        return min(now, datetime.fromisoformat(told))
    except (ValueError, TypeError):
        return now


def _of_pod(raw: Mapping[str, Any]) -> list[NameEntry]:
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"}:
        return []  # its address is its node's, or is free again
    return [
        NameEntry(
            address=entry["ip"],
            name=metadata["name"],
            kind="pod",
            namespace=metadata.get("namespace", ""),
            workload=workload(metadata),
            node=spec.get("nodeName", ""),
            source="kubernetes",
        )
        for entry in status.get("podIPs") or ()
        if entry.get("ip")
    ]


def _of_service(raw: Mapping[str, Any]) -> list[NameEntry]:
    metadata, spec = raw["metadata"], raw.get("spec", {})
    balancer = (raw.get("status", {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = [
        *(spec.get("clusterIPs") or [spec.get("clusterIP")]),
        *(spec.get("externalIPs") or ()),
        *(ingress.get("ip") for ingress in balancer),
    ]
    return [
        NameEntry(
            address=address,
            name=metadata["name"],
            kind="service",
            namespace=metadata.get("namespace", ""),
            source="kubernetes",
        )
        for address in dict.fromkeys(addresses)
        if address and address != "None"
    ]


def _of_node(raw: Mapping[str, Any]) -> list[NameEntry]:
    name = raw["metadata"]["name"]
    return [
        NameEntry(address=a["address"], name=name, kind="node", node=name, source="kubernetes")
        for a in raw.get("status", {}).get("addresses") or ()
        if a.get("type") in {"InternalIP", "ExternalIP"}
    ]


def _of_slice(raw: Mapping[str, Any]) -> list[NameEntry]:
    """Endpoints that are no pods: what somebody entered by hand for a service without a selector."""
    metadata = raw["metadata"]
    service = (metadata.get("labels") or {}).get("kubernetes.io/service-name", metadata["name"])
    return [
        NameEntry(
            address=address,
            name=service,
            kind="external",
            namespace=metadata.get("namespace", ""),
            source="kubernetes",
        )
        for endpoint in raw.get("endpoints") or ()
        if not endpoint.get("targetRef")
        for address in endpoint.get("addresses") or ()
    ]


_ENTRIES = {"pods": _of_pod, "services": _of_service, "nodes": _of_node, "endpointslices": _of_slice}
