"""Kubernetes' objects, as its API and `kubectl -o json` write them → who has which address.

Nothing in them is trusted to be there, or to be what it should: what is not is passed over.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from k8scap.model import NameEntry
from k8scap.names.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SOURCE = "kubernetes"
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SHORT = {"StatefulSet": "sts", "DaemonSet": "ds", "ReplicationController": "rc", "ReplicaSet": "rs"}
_CRON_JOBS_JOB = re.compile(r"(?P<cron_job>.+)-(?P<minute>[0-9]{8,9})")
"""A CronJob's controller names its jobs NAME-MINUTES, of the scheduled time since 1970."""
_FIRST_MINUTE = 23_600_000  # end of 2014, before there were CronJobs: a date such as 20261126 is less


def kubernetes_entries(objects: Iterable[Any]) -> tuple[NameEntry, ...]:
    """Who has which address, of Pods, Services, Nodes, EndpointSlices and Lists of them; of others nobody.

    A hostNetwork pod's address is its node's and named after the node. A pod has its address from its start,
    and to the end of its last container where it is over.
    """
    return tuple(chain.from_iterable(map(_entries, _unlisted(objects))))


def workload(pod: Mapping[str, Any]) -> str:
    """What made a pod, as kubectl writes it (`deploy/checkout`, `cj/backup`); empty where nothing did."""
    metadata = _object(pod.get("metadata"))
    owners = [_object(owner) for owner in _list(metadata.get("ownerReferences"))]
    owner = next((o for o in owners if o.get("controller") is True), owners[0] if owners else {})
    kind, name = _text(owner.get("kind")), _text(owner.get("name"))
    if not name or kind == "Node":  # a static pod, which the node's kubelet made
        return ""
    template = _text(_object(metadata.get("labels")).get("pod-template-hash"))
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"deploy/{name.removesuffix(f'-{template}')}"
    if kind == "Job":
        scheduled = _CRON_JOBS_JOB.fullmatch(name)
        is_minute = scheduled is not None and int(scheduled["minute"]) > _FIRST_MINUTE
        return f"cj/{scheduled['cron_job']}" if scheduled and is_minute else f"job/{name}"
    return f"{_SHORT.get(kind, kind.lower())}/{name}"


def _unlisted(objects: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for given in objects:
        found = _object(given)
        kind = _text(found.get("kind"))
        if kind.endswith("List") and isinstance(found.get("items"), list):
            for item in map(_object, found["items"]):  # a PodList's items need not say that they are Pods
                yield {"kind": kind.removesuffix("List"), **item}
        else:
            yield found


def _entries(found: Mapping[str, Any]) -> Iterator[NameEntry]:
    known: dict[str, Callable[..., Iterator[NameEntry]]] = {
        "Pod": _pod,
        "Service": _service,
        "Node": _node,
        "EndpointSlice": _endpoint_slice,
    }
    metadata = _object(found.get("metadata"))
    name = _text(metadata.get("name"))
    entries = known.get(_text(found.get("kind")))
    return entries(found, name, _text(metadata.get("namespace"))) if entries and name else iter(())


def _pod(pod: Mapping[str, Any], name: str, namespace: str) -> Iterator[NameEntry]:
    spec, status = _object(pod.get("spec")), _object(pod.get("status"))
    node = _text(spec.get("nodeName"))
    addresses = [status.get("podIP"), *(_object(ip).get("ip") for ip in _list(status.get("podIPs")))]
    for address in _usable(addresses):
        if spec.get("hostNetwork") is True:
            if node:
                yield NameEntry(address=address, name=node, kind="node", source=SOURCE)
            continue
        yield NameEntry(
            address=address,
            name=name,
            kind="pod",
            namespace=namespace,
            start=_time(status.get("startTime")),
            end=_ended(status),
            workload=workload(pod),
            node=node,
            source=SOURCE,
        )


def _ended(status: Mapping[str, Any]) -> datetime | None:
    """When the last container of a pod that is over ended."""
    if status.get("phase") not in ("Succeeded", "Failed"):
        return None
    states = (_object(_object(c).get("state")) for c in _list(status.get("containerStatuses")))
    ends = [_time(_object(state.get("terminated")).get("finishedAt")) for state in states]
    return max((end for end in ends if end), default=_time(status.get("startTime")))


def _service(service: Mapping[str, Any], name: str, namespace: str) -> Iterator[NameEntry]:
    spec = _object(service.get("spec"))
    balancer = _object(_object(service.get("status")).get("loadBalancer"))
    addresses = [
        spec.get("clusterIP"),
        *_list(spec.get("clusterIPs")),
        *_list(spec.get("externalIPs")),
        *(_object(ingress).get("ip") for ingress in _list(balancer.get("ingress"))),
    ]
    for address in _usable(addresses):
        yield NameEntry(address=address, name=name, kind="service", namespace=namespace, source=SOURCE)


def _node(node: Mapping[str, Any], name: str, _: str) -> Iterator[NameEntry]:
    labels = _object(_object(node.get("metadata")).get("labels"))
    zone = next((_text(labels[label]) for label in ZONE_LABELS if label in labels), "")
    listed = map(_object, _list(_object(node.get("status")).get("addresses")))
    for address in _usable(entry.get("address") for entry in listed):
        yield NameEntry(address=address, name=name, kind="node", zone=zone, source=SOURCE)


def _endpoint_slice(endpoints: Mapping[str, Any], name: str, namespace: str) -> Iterator[NameEntry]:
    """Pods, where the endpoints say that they are; else outsiders that a Service stands for."""
    labels = _object(_object(endpoints.get("metadata")).get("labels"))
    service = _text(labels.get("kubernetes.io/service-name")) or name
    for endpoint in map(_object, _list(endpoints.get("endpoints"))):
        target = _object(endpoint.get("targetRef"))
        pod = _text(target.get("name")) if target.get("kind") == "Pod" else ""
        for address in _usable(_list(endpoint.get("addresses"))):
            yield NameEntry(
                address=address,
                name=pod or service,
                kind="pod" if pod else "external",
                namespace=_text(target.get("namespace")) or namespace,
                node=_text(endpoint.get("nodeName")),
                zone=_text(endpoint.get("zone")),
                source=SOURCE,
            )


def _usable(addresses: Iterable[Any]) -> list[str]:
    """The addresses among them, each once: a headless Service has "None"."""
    return list(dict.fromkeys(a for a in addresses if isinstance(a, str) and is_address(a)))


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
