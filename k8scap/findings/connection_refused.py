"""connection-refused: somebody was there and said no, with a reset or an ICMP error.

Only the answer to a SYN counts (or ICMP's to a first side's datagrams): a reset later in a connection's
life is a way to close it.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.flags import RST, SYN, has_any, is_first_syn
from k8scap.findings.groups import largest, like, many_more
from k8scap.findings.icmp import unreachable
from k8scap.findings.intervals import union_seconds
from k8scap.findings.scans import SCAN_PORTS, scan_finding, scans
from k8scap.findings.steps import endpoints_of, in_kubernetes, inside, whose
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "connection-refused"
WARNING_COUNT = 3
WARNING_SHARE = 0.05
CRITICAL_COUNT = 3
FALLBACK_SECONDS = 1.0
THRESHOLDS = {
    "warning_count": WARNING_COUNT,
    "warning_share": WARNING_SHARE,
    "critical_count": CRITICAL_COUNT,
    "fallback_seconds": FALLBACK_SECONDS,
    "scan_ports": SCAN_PORTS,
}
_DESTINATION = ["protocol", "dst", "dst_port"]
_ACCEPTED = ("S1", "SF", "S2", "S3", "RSTO", "RSTR")


def connection_refused(case: Case) -> list[Finding]:
    """One finding a destination (protocol, address, port) that refused."""
    errors = unreachable(case)
    attempts = _attempts(case, errors)
    refused = attempts[attempts["how"] != ""]
    if attempts.empty:
        known = len(case.tcp_conversations)
        reason = "no connection attempt was captured" + (
            f" (all {known:,} connections are older than the capture)" if known else ""
        )
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    if refused.empty:
        return [_nothing(case, attempts)]
    scanned, others = scans(refused)
    groups, rest = largest(others, _DESTINATION)
    findings = [_finding(case, attempts, group, errors) for group in groups]
    findings += many_more(
        RULE,
        case,
        rest,
        keys=_DESTINATION,
        deed="destinations refused connections",
        times=("start", "end"),
        frames=case.tcp.index[case.tcp["stream"].isin(rest["stream"]) & has_any(case.tcp, SYN | RST)],
        thresholds=THRESHOLDS,
    )
    return findings + [_scan(case, attempts, rows, errors) for rows in scanned]


def _scan(case: Case, attempts: pd.DataFrame, refused: pd.DataFrame, errors: pd.DataFrame) -> Finding:
    return scan_finding(
        RULE,
        case,
        refused,
        attempts=attempts,
        outcome="was refused at",
        times=("start", "end"),
        frames=_frames(case, refused, errors),
        thresholds=THRESHOLDS,
    )


def _attempts(case: Case, errors: pd.DataFrame) -> pd.DataFrame:
    """Conversations whose beginning was captured, with `how` they were refused ("": they were not).

    UDP knows no attempts: its conversations count where ICMP refused some to the same place.
    """
    tcp = case.tcp
    rows = case.conversations.astype({"protocol": "object", "src": "object", "dst": "object"})
    told = errors.drop_duplicates(["protocol", "stream"], keep="last")
    rows = rows.merge(told[["protocol", "stream", "reason"]], on=["protocol", "stream"], how="left")
    is_tcp, is_udp = rows["protocol"] == "TCP", rows["protocol"] == "UDP"
    rows["how"] = rows["reason"].fillna("").mask(is_tcp & (rows["state"] == "REJ"), "reset")
    begun = is_tcp & rows["stream"].isin(tcp.loc[is_first_syn(tcp), "stream"].unique())
    place = rows["dst"].astype(str) + " " + rows["dst_port"].astype(str)
    attempts: pd.DataFrame = rows[begun | (is_udp & place.isin(place[is_udp & (rows["how"] != "")]))]
    return attempts


def _finding(case: Case, attempts: pd.DataFrame, refused: pd.DataFrame, errors: pd.DataFrame) -> Finding:
    first = refused.iloc[0]
    protocol, address, port = str(first["protocol"]), str(first["dst"]), int(first["dst_port"])
    same = like(attempts, first, _DESTINATION)
    always = not same["state"].isin(_ACCEPTED).any()
    elsewhere = _went_elsewhere(attempts, refused)
    destination = case.endpoint(address, port, time=first["start"])
    frames = _frames(case, refused, errors)
    return found(
        RULE,
        case,
        title=_title(destination, refused, same, always=always, elsewhere=elsewhere),
        severity="info" if elsewhere else _severity(len(refused), len(same), always=always),
        certainty=0.99 if (refused["how"] == "reset").all() else 0.9,
        consistent_with=_causes(case, refused, always=always),
        source=case.clients(refused["src"], time=first["start"]),
        destination=destination,
        span=(refused["start"].min(), refused["end"].max()),
        affected=len(refused),
        total=len(same),
        seconds_lost=union_seconds(refused["start"], refused["end"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(
            frames,
            streams=refused["stream"] if protocol == "TCP" else (),
            otherwise=f"{address_filter('addr', address)} && {protocol.lower()}.port == {port}",
        ),
        next_step=_next_step(case, address, port, protocol, time=first["start"]),
    )


def _title(
    destination: str, refused: pd.DataFrame, same: pd.DataFrame, *, always: bool, elsewhere: bool
) -> str:
    what = "connection" if refused["protocol"].iloc[0] == "TCP" else "UDP conversation"
    how = " and ".join(sorted(refused["how"].unique()))
    by = "with a reset" if how == "reset" else f"by {how}" if "reset" in how else f"by ICMP ({how})"
    count = f"all {len(same):,}" if len(refused) == len(same) else f"{len(refused):,} of {len(same):,}"
    what, count = (what, "the only") if len(same) == 1 else (f"{what}s", count)
    often = "" if always else ": sometimes, others were accepted"
    tail = "; the clients then connected over the other IP version" if elsewhere else often
    return f"{destination} refused {count} {what} {by}{tail}"


def _severity(count: int, total: int, *, always: bool) -> Severity:
    if always:
        return "critical" if count >= CRITICAL_COUNT else "warning"
    return "warning" if count >= WARNING_COUNT or count / total >= WARNING_SHARE else "info"


def _went_elsewhere(attempts: pd.DataFrame, refused: pd.DataFrame) -> bool:
    """Each refused client connected to that port over the other IP version at once: localhost is two."""
    import pandas as pd

    patience = pd.Timedelta(seconds=FALLBACK_SECONDS)
    other = _ip_version(attempts) != _ip_version(refused).iloc[0]
    accepted = attempts[other & attempts["state"].isin(_ACCEPTED)]
    accepted = accepted[accepted["dst_port"] == refused["dst_port"].iloc[0]]
    return all(
        bool(accepted["start"].between(start, end + patience).any())
        for start, end in zip(refused["start"], refused["end"], strict=True)
    )


def _ip_version(conversations: pd.DataFrame) -> pd.Series:
    return conversations["dst"].map(lambda address: ip_address(str(address)).version)


def _causes(case: Case, refused: pd.DataFrame, *, always: bool) -> tuple[str, ...]:
    """Likeliest first. A host without a listener answers TCP with a reset: ICMP is a firewall's REJECT.

    kube-proxy refuses in that way for a Service without endpoints, so does whoever enforces policies.
    """
    how = set(refused["how"])
    first = refused.iloc[0]
    entry = case.names.entry(str(first["dst"]), first["start"])
    kind = entry.kind if entry else ""
    if "prohibited" in how:
        inside = kind in {"pod", "service"}
        return ("network-policy-reject", "firewall-reject")[:: 1 if inside else -1]
    if "port unreachable" in how:
        return _causes_by_icmp(str(first["protocol"]), str(first["dst"]), kind)
    if always:
        return ("nothing-listening", "wrong-port", "pod-not-ready", "firewall-reject")
    return ("rollout", "one-backend-down", "listen-queue-overflow")


def _causes_by_icmp(protocol: str, address: str, kind: str) -> tuple[str, ...]:
    """Of a port that is unreachable: every host refuses datagrams in this way (RFC 1122, 4.1.3.1)."""
    if protocol == "UDP" and kind != "service":
        return ("nothing-listening", "service-without-endpoints", "firewall-reject")[:: 2 if kind else 1]
    if kind not in {"", "service"}:
        return ("firewall-reject", "network-policy-reject")
    if not kind and ip_address(address).is_global:
        return ("firewall-reject", "nothing-listening")
    return ("service-without-endpoints", "nothing-listening", "firewall-reject")


def _frames(case: Case, refused: pd.DataFrame, errors: pd.DataFrame) -> list[int]:
    """The SYNs (or datagrams) and what refused them."""
    tcp = case.tcp
    resets = refused[refused["how"] == "reset"]
    mine = tcp[tcp["stream"].isin(resets["stream"]) & has_any(tcp, SYN | RST)]
    protocol = refused["protocol"].iloc[0]
    told = errors[(errors["protocol"] == protocol) & errors["stream"].isin(refused["stream"])]
    return [*mine.index, *told["refused"], *told["icmp"]]


def _next_step(case: Case, address: str, port: int, protocol: str, *, time: datetime) -> str:
    if step := endpoints_of(case, address, time=time):
        return step
    if in_kubernetes(case):
        return whose(case, address, time=time)
    datagram = ["-u"] if protocol == "UDP" else []
    return inside(case, ["nc", "-v", "-z", "-w", "3", *datagram, address, str(port)])


def _nothing(case: Case, attempts: pd.DataFrame) -> Finding:
    if reason := one_direction(case):
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(attempts))
    title = f"none of {len(attempts):,} connection attempts was refused"
    return ruled_out(RULE, case, title=title, total=len(attempts), thresholds=THRESHOLDS)
