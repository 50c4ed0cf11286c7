"""The far end of packet loss: connection attempts that were repeated and never answered at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.flags import is_first_syn
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.icmp import unreachable
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import in_kubernetes, inside, whose
from k8scap.findings.verdict import found, one_direction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding


_DESTINATION = ["dst", "dst_port"]
SILENT_SECONDS = 0.2
CRITICAL_SYNS = 3


def unanswered_connections(case: Case, rule: str, thresholds: Mapping[str, float]) -> list[Finding]:
    """One finding a destination that left SYNs unanswered, although they were repeated for a while.

    A lone SYN proves nothing (its answer may have come after the capture's end), nor does silence in a
    capture that may hold one direction only. An attempt that ICMP refused was answered.
    """
    errors = unreachable(case)
    told = errors.loc[errors["protocol"] == "TCP", "stream"]
    silent = case.tcp_conversations
    silent = silent[(silent["state"] == "S0") & ~silent["stream"].isin(told)]
    if silent.empty or one_direction(case):
        return []
    syns = case.tcp[case.tcp["stream"].isin(silent["stream"]) & is_first_syn(case.tcp)]
    times = syns.groupby("stream")["time"]
    lasted = (times.max() - times.min()).dt.total_seconds()
    repeated = silent[silent["stream"].isin(lasted[lasted >= SILENT_SECONDS].index)]
    groups, rest = largest(repeated, _DESTINATION)
    return [_finding(case, rule, thresholds, group, syns) for group in groups] + many_more(
        rule,
        case,
        rest,
        keys=_DESTINATION,
        deed="destinations answered no SYN",
        times=("start", "end"),
        frames=syns.index[syns["stream"].isin(rest["stream"])],
        thresholds=thresholds,
    )


def _finding(
    case: Case, rule: str, thresholds: Mapping[str, float], attempts: pd.DataFrame, syns: pd.DataFrame
) -> Finding:
    first = attempts.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    sent = syns[syns["stream"].isin(attempts["stream"])]
    tcp = case.tcp_conversations
    same = like(tcp, first, _DESTINATION)
    always = len(same) == len(attempts)
    destination = case.endpoint(address, port, time=first["start"])
    connections = "1 connection" if len(attempts) == 1 else f"{len(attempts):,} connections"
    answered = "" if always else f" ({len(same) - len(attempts):,} others were answered)"
    otherwise = f"{address_filter('dst', address)} && tcp.dstport == {port} && tcp.flags.syn == 1"
    return found(
        rule,
        case,
        title=f"{destination} answered none of {len(sent):,} SYNs, in {connections}{answered}",
        severity="critical" if always and len(sent) >= CRITICAL_SYNS else "warning",
        certainty=0.9,
        consistent_with=_CAUSES_ALWAYS if always else _CAUSES_SOMETIMES,
        source=case.clients(attempts["src"], time=first["start"]),
        destination=destination,
        span=(sent["time"].min(), sent["time"].max()),
        affected=len(sent),
        total=len(sent),
        seconds_lost=union_seconds(attempts["start"], attempts["end"]),
        thresholds=thresholds,
        frames=sent.index,
        display_filter=display_filter(sent.index, streams=attempts["stream"], otherwise=otherwise),
        next_step=_next_step(case, address, time=first["start"]),
    )


def _next_step(case: Case, address: str, *, time: datetime) -> str:
    if in_kubernetes(case):
        return whose(case, address, time=time)
    return inside(case, ["ip", "route", "get", address])


_CAUSES_ALWAYS = ("network-policy-drop", "stale-endpoint", "host-down", "missing-route")
_CAUSES_SOMETIMES = ("lossy-path", "snat-port-race", "listen-queue-overflow", "conntrack-full")
