"""Why SYNs are not answered: what names, evidence and checksums tell, the likeliest cause first."""

from __future__ import annotations

from datetime import UTC
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from k8scap.findings.flags import is_first_syn
from k8scap.findings.port_causes import is_exhausted, is_reused
from k8scap.model import delta

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import NameEntry

FAILING_PLACES = 3
_POD_NETWORK = {4: 24, 6: 64}  # a node's share of the pods' network, in most clusters
_NEVER = ("network-policy-drop", "stale-endpoint", "host-down", "missing-route")
_NEVER_FAR = ("host-down", "firewall-drop", "network-policy-drop", "missing-route")
_FROM_OUTSIDE = ("snat-port-race", "conntrack-full", "listen-queue-overflow", "lossy-path")
_FROM_INSIDE = ("listen-queue-overflow", "conntrack-full", "network-policy-drop", "lossy-path")
_SOME_SILENT = ("stale-endpoint", "network-policy-drop", "conntrack-full", "listen-queue-overflow")


def causes(case: Case, rows: pd.DataFrame, same: pd.DataFrame, *, only_new: bool) -> tuple[str, ...]:
    """For slow or silent attempts `rows` to one destination, among all attempts `same` to it.

    `only_new`: see `only_new_ones_fail`.
    """
    first = rows.iloc[0]
    entry = case.names.entry(str(first["dst"]), first["start"])
    never = bool(same["answered"].isna().all())
    told = [
        *(["hairpin"] if _to_itself(case, rows, entry) else []),
        *(["vxlan-checksum"] if _bad_checksums(case, rows) else []),
        *(["conntrack-full"] if only_new else []),
        *_by_ports(case, rows, same, entry),
        *_by_evidence(case),
        *(["stale-endpoint"] if never and _is_stale(case, first, entry) else []),
        *(["host-down"] if never and _is_silent_host(case, first, entry) else []),
    ]
    far = entry is None and ip_address(str(first["dst"])).is_global
    if never:
        return _ranked(told, _NEVER_FAR if far else _NEVER)
    if rows["answered"].isna().all():
        return _ranked(told, _FROM_OUTSIDE if far else _SOME_SILENT)
    return _ranked(told, _FROM_INSIDE if _is_inside(entry) else _FROM_OUTSIDE)


def only_new_ones_fail(case: Case, slow: pd.DataFrame) -> bool:
    """Several places that answered before answer no new connection at the same time, while old ones live.

    That is what a full conntrack table looks like from inside: it has no room for those who come now.
    """
    silent, attempts, tcp = slow[slow["answered"].isna()], case.attempts, case.tcp_conversations
    if silent.empty:
        return False
    since, until = silent["asked"].min(), silent["asked_last"].max()
    place = ["dst", "dst_port"]
    before = attempts.loc[attempts["answered"] < since, place].drop_duplicates()
    places = silent[place].drop_duplicates().merge(before)
    during = attempts[attempts["asked"].between(since, until)]
    old = (tcp["start"] < since) & (tcp["end"] > until) & (tcp["packets_received"] > 0)
    return len(places) >= FAILING_PLACES and bool(during["answered"].isna().all() and old.any())


def _by_ports(case: Case, rows: pd.DataFrame, same: pd.DataFrame, entry: NameEntry | None) -> list[str]:
    """A gateway's ports are for who leaves the cluster; what may be a Service may be IPVS'."""
    told = []
    if not _is_inside(entry) and is_exhausted(case, rows, same):
        told.append("snat-exhaustion")
    if (entry is None or entry.kind == "service") and is_reused(case, rows, same):
        told.append("ipvs-port-reuse")
    return told


def _is_inside(entry: NameEntry | None) -> bool:
    return entry is not None and entry.kind in {"pod", "service", "node"}


def _ranked(told: Iterable[str], usual: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*told, *usual)))[:5]


def _to_itself(case: Case, rows: pd.DataFrame, entry: NameEntry | None) -> bool:
    """From a pod to its own Service (which its workload is named after), or to its own address."""
    if (rows["src"] == rows["dst"]).all():
        return not ip_address(str(rows["dst"].iloc[0])).is_loopback
    if entry is None or entry.kind != "service":
        return False
    pairs = rows[["src", "start"]].drop_duplicates("src")
    clients = [case.names.entry(src, start) for src, start in zip(pairs["src"], pairs["start"], strict=True)]
    return all(client is not None and _is_backend(client, entry) for client in clients)


def _is_backend(client: NameEntry, service: NameEntry) -> bool:
    workload = client.workload.rpartition("/")[2]
    return client.kind == "pod" and client.namespace == service.namespace and workload == service.name


def _is_stale(case: Case, first: pd.Series, entry: NameEntry | None) -> bool:
    """The pod that had the address was gone; or nobody has it, beside addresses that pods do have."""
    if entry is not None:
        return entry.kind == "pod" and entry.end is not None and _ended(entry.end, first["start"])
    address = ip_address(str(first["dst"]))
    network = ip_network(f"{address}/{_POD_NETWORK[address.version]}", strict=False)
    return any(_is_within(e, network) for e in case.names.entries if e.kind == "pod")


def _ended(end: datetime, time: pd.Timestamp) -> bool:
    """A time without a zone is UTC."""
    return bool((end if end.tzinfo else end.replace(tzinfo=UTC)) <= time)


def _is_within(entry: NameEntry, network: object) -> bool:
    try:
        return ip_address(entry.address) in network  # type: ignore[operator]
    except ValueError:  # a name from a file may have no address
        return False


def _is_silent_host(case: Case, first: pd.Series, entry: NameEntry | None) -> bool:
    """A node, or a pod on one, from which nothing at all was captured."""
    if entry is None or entry.kind not in {"node", "host"}:
        return False
    spoke = case.conversations[case.conversations["packets_received"] > 0]
    return not (spoke["dst"].astype("object") == first["dst"]).any()


def _bad_checksums(case: Case, rows: pd.DataFrame) -> bool:
    """The repeated SYNs went into VXLAN with checksums that the receiver must refuse.

    Where SYNs with such checksums were answered too, the sender's network card fills them in (offload).
    """
    if not {"tunnel", "transport_checksum_ok"} <= set(case.handshakes.columns):
        return False
    syns = case.handshakes[case.handshakes["tunnel"].notna()]
    syns = syns[is_first_syn(syns)]
    if syns.empty:
        return False
    wrong = syns["transport_checksum_ok"].eq(other=False).fillna(value=False).astype(bool)
    wrong &= syns["tunnel"].astype("object").fillna("").astype(str).str.startswith("vxlan")
    mine = syns["stream"].isin(rows["stream"])
    attempts = case.attempts
    at_once = attempts[attempts["answered"].notna() & (attempts["syns"] == 1)]
    harmless = wrong & syns["stream"].isin(at_once["stream"])
    return bool(mine.any()) and float(wrong[mine].mean()) > 0.5 and not harmless.any()


def _by_evidence(case: Case) -> list[str]:
    """What the captured host's conntrack has counted meanwhile."""
    evidence = case.manifest.evidence if case.manifest else {}
    counted = {"snat-port-race": ("insert_failed",), "conntrack-full": ("drop", "early_drop")}
    return [
        cause
        for cause, names in counted.items()
        if any((delta(evidence, f"conntrack.{name}") or 0) > 0 for name in names)
    ]
