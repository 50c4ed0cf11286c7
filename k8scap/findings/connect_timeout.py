"""connect-timeout: SYNs that had to be repeated, and were answered late or never.

A SYN is repeated after 1, 3, 7, 15 … seconds (RFC 6298 with Linux' initial timer): one lost SYN costs a
second. What a full listen queue explains, SYNs that came in damaged, or a path that loses data as well, is
left to those rules.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from k8scap.findings.attempts import SILENT_SECONDS, answered_late, milliseconds, never_answered
from k8scap.findings.bad_checksums import damaged_syns
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import finder, largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.port_causes import (
    EXHAUSTED_FLOWS,
    EXHAUSTED_SHARE,
    FRESH_SHARE,
    REUSED_SHARE,
)
from k8scap.findings.scans import SCAN_PORTS, scan_finding, scans
from k8scap.findings.silent_causes import FAILING_PLACES, causes, only_new_ones_fail
from k8scap.findings.steps import endpoints_of, in_kubernetes, inside, policies_of, whose
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "connect-timeout"
WARNING_LATE = 3
CRITICAL_SYNS = 3
BY_CHANCE = 0.01
THRESHOLDS = {
    "silent_seconds": SILENT_SECONDS,
    "warning_late": WARNING_LATE,
    "critical_syns": CRITICAL_SYNS,
    "by_chance": BY_CHANCE,
    "exhausted_flows": EXHAUSTED_FLOWS,
    "exhausted_share": EXHAUSTED_SHARE,
    "reused_share": REUSED_SHARE,
    "fresh_share": FRESH_SHARE,
    "failing_places": FAILING_PLACES,
    "scan_ports": SCAN_PORTS,
}
_DESTINATION = ["dst", "dst_port"]


def connect_timeout(case: Case) -> list[Finding]:
    """One finding a destination to which connecting took repeated SYNs, or never came about."""
    attempts = case.attempts
    if attempts.empty:
        reason = "no connection attempt was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if reason := one_direction(case):
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(attempts))]
    slow = slow_attempts(case)
    if slow.empty:
        title = f"none of {len(attempts):,} connection attempts waited for a repeated SYN"
        return [ruled_out(RULE, case, title=title, total=len(attempts), thresholds=THRESHOLDS)]
    syns = _syns(case, slow)
    scanned, others = scans(slow)
    groups, rest = largest(others, _DESTINATION)
    same, only_new = finder(attempts, _DESTINATION), only_new_ones_fail(case, slow)
    findings = [_finding(case, group, same(group.iloc[0]), syns, only_new=only_new) for group in groups]
    findings += many_more(
        RULE,
        case,
        rest,
        keys=_DESTINATION,
        deed="destinations answered SYNs late or never",
        times=("asked", "until"),
        frames=syns.index[syns["stream"].isin(rest["stream"])],
        thresholds=THRESHOLDS,
    )
    return findings + [_scan(case, attempts, rows, syns) for rows in scanned]


def _scan(case: Case, attempts: pd.DataFrame, rows: pd.DataFrame, syns: pd.DataFrame) -> Finding:
    return scan_finding(
        RULE,
        case,
        rows,
        attempts=attempts,
        outcome="was not answered at",
        times=("asked", "until"),
        frames=syns.index[syns["stream"].isin(rows["stream"])].tolist(),
        thresholds=THRESHOLDS,
    )


def slow_attempts(case: Case) -> pd.DataFrame:
    """The attempts that this rule reports, with `until`: when the client was connected, or gave up.

    A SYN that got lost where as many data segments do is the path's loss.
    """
    rows = case.attempts
    never, late = never_answered(rows), answered_late(rows)
    rows = rows.assign(until=_until(rows), lost=(rows["syns"] - late).where(never | late, 0))
    slow = rows[(never | late) & ~rows["stream"].isin(case.held_up["stream"]) & ~_came_damaged(case, rows)]
    if slow.empty or one_direction(case):
        return slow[:0]
    chance = _chance_of_loss(case, slow["dst"])
    sums = rows.groupby(_DESTINATION)[["syns", "lost"]].sum()
    expected = {
        place: _explained(int(lost), int(syns) * chance[str(place[0])])
        for place, syns, lost in zip(sums.index, sums["syns"], sums["lost"], strict=True)
        if str(place[0]) in chance
    }
    places = zip(slow["dst"], slow["dst_port"], strict=True)
    return slow[[not expected.get(place, False) for place in places]]


def _came_damaged(case: Case, rows: pd.DataFrame) -> pd.Series:
    """Attempts all of whose lost SYNs had a wrong checksum (bool): bad-checksums speaks of them."""
    damaged = rows["stream"].map(damaged_syns(case)).fillna(0)
    lost = rows["syns"] - rows["answered"].notna()
    mask: pd.Series = (damaged > 0) & (damaged >= lost)
    return mask


def _until(rows: pd.DataFrame) -> pd.Series:
    connected = rows["asked"] + milliseconds(rows["connect_ms"])
    until: pd.Series = connected.fillna(rows["end"])
    return until


def _chance_of_loss(case: Case, addresses: pd.Series) -> dict[str, float]:
    """Of each address to which data segments got lost, the share that a SYN must expect (Laplace's rule)."""
    events = case.retransmissions
    lost = events[(events["payload_length"] > 0) & events["kind"].isin(("timeout", "fast"))]
    counts = lost["dst"].astype("object").value_counts()
    counts = counts[counts.index.isin(addresses)]
    tcp = case.tcp
    carries = tcp["payload_length"].fillna(0) > 0
    sent = tcp.loc[carries & tcp["dst"].isin(counts.index), "dst"].astype("object").value_counts()
    return {
        str(address): (count + 1) / (max(int(sent.get(address, 0)), count) + 2)
        for address, count in counts.items()
    }


def _explained(lost: int, expected: float) -> bool:
    """Whether so many or more SYNs get lost by chance where `expected` do in the mean (Poisson)."""
    fewer = math.fsum(
        math.exp(n * math.log(expected) - expected - math.lgamma(n + 1)) for n in range(min(lost, 10_000))
    )
    return 1.0 - fewer >= BY_CHANCE


def _syns(case: Case, slow: pd.DataFrame) -> pd.DataFrame:
    """The frames with SYN of these attempts: their requests, and the answers that came."""
    return case.handshakes[case.handshakes["stream"].isin(slow["stream"])]


def _finding(
    case: Case, slow: pd.DataFrame, same: pd.DataFrame, syns: pd.DataFrame, *, only_new: bool
) -> Finding:
    first = slow.iloc[0]
    address, port = str(first["dst"]), int(first["dst_port"])
    sent = syns[syns["stream"].isin(slow["stream"])]
    destination = case.endpoint(address, port, time=first["start"])
    otherwise = f"{address_filter('addr', address)} && tcp.port == {port} && tcp.flags.syn == 1"
    why = causes(case, slow, same, only_new=only_new)
    return found(
        RULE,
        case,
        title=_title(destination, slow, same),
        severity=_severity(slow, same),
        certainty=0.95,
        consistent_with=why,
        source=case.clients(slow["src"], time=first["start"]),
        destination=destination,
        span=(slow["asked"].min(), slow["until"].max()),
        affected=len(slow),
        total=len(same),
        seconds_lost=union_seconds(slow["asked"], slow["until"]),
        thresholds=THRESHOLDS,
        frames=sent.index,
        display_filter=display_filter(sent.index, streams=slow["stream"], otherwise=otherwise),
        next_step=_next_step(case, slow, why[0]),
    )


def _title(destination: str, slow: pd.DataFrame, same: pd.DataFrame) -> str:
    silent = slow[slow["answered"].isna()]
    late = slow[slow["answered"].notna()]
    others = len(same) - len(slow)
    parts = []
    if len(silent):
        count = "1 connection" if len(silent) == 1 else f"{len(silent):,} connections"
        parts.append(f"{destination} answered none of {silent['syns'].sum():,} SYNs, in {count}")
    if len(late):
        low, high = late["connect_ms"].min() / 1000, late["connect_ms"].max() / 1000
        took = f"{low:.1f} s" if high - low < 0.1 else f"{low:.1f} to {high:.1f} s"
        count = "1 connection" if len(late) == 1 else f"{len(late):,} connections"
        what = f"{count} to {destination} came about only after SYNs were repeated: connecting took {took}"
        parts.append(what)
    answered = f" ({others:,} {'was' if others == 1 else 'others were'} answered at once)" if others else ""
    return "; ".join(parts) + answered


def _severity(slow: pd.DataFrame, same: pd.DataFrame) -> Severity:
    silent = slow[slow["answered"].isna()]
    if len(silent) == len(same) and silent["syns"].sum() >= CRITICAL_SYNS:
        return "critical"
    return "warning" if len(silent) or len(slow) >= WARNING_LATE else "info"


def _next_step(case: Case, slow: pd.DataFrame, cause: str) -> str:
    first = slow.iloc[0]
    address, time = str(first["dst"]), first["start"]
    if cause in _ON_THE_NODE:
        return _ON_THE_NODE[cause]
    if cause == "listen-queue-overflow":
        return inside(case, ["ss", "-lnt", "sport", "=", f":{int(first['dst_port'])}"])
    step = endpoints_of(case, address, time=time)
    if not step and cause == "network-policy-drop":
        step = policies_of(case, address, time=time)
    if in_kubernetes(case):
        return step or whose(case, address, time=time)
    return inside(case, ["ip", "route", "get", address])


_ON_THE_NODE = {
    "snat-port-race": "conntrack -S",
    "snat-exhaustion": "conntrack -S",
    "conntrack-full": "conntrack -S",
    "ipvs-port-reuse": "sysctl net.ipv4.vs.conn_reuse_mode",
    "vxlan-checksum": "ethtool -K flannel.1 tx-checksum-ip-generic off",
}
