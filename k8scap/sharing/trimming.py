"""A manifest without what is none of the reader's business: only what is known to be harmless stays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from k8scap.model import Counters, Manifest, RecordingFile

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from k8scap.model import NameEntry

_TARGET = ("text", "kind", "name", "namespace")
_DATAPLANE = ("cni", "kube_proxy", "kube_proxy_replacement", "socket_load_balancing", "ambient_mesh")
_LIMITS = ("seconds", "packets", "size", "snaplen")
_COUNTERS = frozenset(
    {
        *("Ip", "IpExt", "Icmp", "IcmpMsg", "Tcp", "TcpExt", "MPTcpExt", "Udp", "UdpLite", "snmp6"),
        *("sockets", "sockstat", "conntrack", "cpu"),
    }
)
_DEVICE = "dev"
_FILTER_WORDS = frozenset(
    {
        *("tcp", "udp", "icmp", "icmp6", "ip", "ip6", "arp", "and", "or", "not"),
        *("port", "portrange", "src", "dst", "host", "net", "inbound", "outbound"),
    }
)
_WORD = re.compile(r"[^\s()]+")


def trimmed(
    manifest: Manifest,
    *,
    file: Path,
    records: int,
    names: Iterable[NameEntry],
    addresses: Container[str],
    interfaces: frozenset[str],
    note: str,
) -> Manifest:
    """What may go along of one point's manifest, for the trimmed `file` of so many records.

    `addresses` and `interfaces` are those of its frames; `names` theirs. Counters tell of the trimmed file
    where the whole one was complete.
    """
    counters = manifest.counters
    if counters.complete:
        counters = Counters(captured=records, received=records, dropped=0, on_disk=records)
    return Manifest(
        name=file.stem,
        point=manifest.point,
        target={key: manifest.target[key] for key in _TARGET if key in manifest.target},
        via=manifest.via,
        interface=manifest.interface,
        interfaces={k: v for k, v in manifest.interfaces.items() if v in interfaces},
        link_type=manifest.link_type,
        filter=_harmless(manifest.filter, addresses),
        effective_filter=_harmless(manifest.effective_filter, addresses),
        limits={key: manifest.limits[key] for key in _LIMITS if key in manifest.limits},
        versions=manifest.versions,
        started=manifest.started,
        ended=manifest.ended,
        state=manifest.state,
        ended_by=manifest.ended_by,
        files=(RecordingFile(name=file.name, bytes=file.stat().st_size, records=records),),
        counters=counters,
        names=tuple(names),
        evidence=_counters_only(manifest.evidence, {manifest.interface, *interfaces}),
        notes=(note,),
        dataplane={k: v for k, v in manifest.dataplane.items() if k in _DATAPLANE and _is_plain(v)},
    )


def _counters_only(evidence: Mapping[str, Any], interfaces: Container[str]) -> dict[str, Any]:
    """The kernel's counters at the start, the end and between; no sockets, which tell of other peers.

    Of interfaces only those that were captured on: a node's bear the marks of its pods.
    """
    kept: dict[str, Any] = {}
    for key in ("start", "end"):
        if isinstance(evidence.get(key), dict):
            kept[key] = _numbers(evidence[key], interfaces)
    if isinstance(evidence.get("samples"), list):
        samples = [sample for sample in evidence["samples"] if isinstance(sample, dict)]
        kept["samples"] = [_numbers(sample, interfaces) for sample in samples]
    if isinstance(evidence.get("interval"), int | float):
        kept["interval"] = evidence["interval"]
    return kept


def _numbers(account: Mapping[str, Any], interfaces: Container[str]) -> dict[str, Any]:
    told = {key: value for key, value in account.items() if isinstance(value, int | float)}
    kept = {key: value for key, value in told.items() if _may_be_named(key, interfaces)}
    return {**({"time": str(account["time"])} if "time" in account else {}), **kept}


def _may_be_named(counter: str, interfaces: Container[str]) -> bool:
    family, _, name = counter.partition(".")
    return name.rpartition(".")[0] in interfaces if family == _DEVICE else family in _COUNTERS


def _harmless(text: str, addresses: Container[str]) -> str:
    """A filter with pcap's own words, numbers, and addresses that are in the bundle anyway; else with dots.

    Which direction it keeps must still be seen: what is missing would be taken for lost.
    """

    def shown(match: re.Match[str]) -> str:
        word = match[0]
        if word in _FILTER_WORDS or word in addresses or word.isdecimal():
            return word
        return "[…]" if "[" in word else "…"

    return _WORD.sub(shown, text)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)
