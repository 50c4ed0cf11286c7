"""packet-loss: segments that had to be sent again.

Connection attempts that only lack an answer are connect-timeout's, what a full listen queue let fall is
listen-queue-overflow's. Counted are segments that carry data, a SYN or a FIN. A repeat that the receiver had
no need of (spurious), and a packet that was captured or delivered twice, is no loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.attempts import repeated_in_vain
from k8scap.findings.bad_checksums import repeats_of_damaged
from k8scap.findings.connect_timeout import slow_attempts
from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.flags import FIN, SYN, has_any
from k8scap.findings.groups import largest
from k8scap.findings.intervals import union_seconds
from k8scap.findings.loss_causes import BURST_THRESHOLDS, causes
from k8scap.findings.steps import inside
from k8scap.findings.time_shares import whose_time
from k8scap.findings.unheard import unheard
from k8scap.findings.verdict import found, lost_packets, not_judged, ruled_out
from k8scap.tables.loss import LOST

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding, Severity

RULE = "packet-loss"
MIN_LOST = 3
WARNING_SHARE = 0.005
CRITICAL_LOST = 10
CRITICAL_SHARE = 0.05
STALLED_SHARE = 0.05
STALLED_SECONDS = 1.0
DUPLICATE_MS = 0.1
CROSSING_FIN_MS = 10.0
THRESHOLDS = {
    "min_lost": MIN_LOST,
    "warning_share": WARNING_SHARE,
    "critical_lost": CRITICAL_LOST,
    "critical_share": CRITICAL_SHARE,
    "stalled_share": STALLED_SHARE,
    "stalled_seconds": STALLED_SECONDS,
    "duplicate_ms": DUPLICATE_MS,
    "crossing_fin_ms": CROSSING_FIN_MS,
    **BURST_THRESHOLDS,
}
_NEVER_OPENED = ("S0", "REJ", "RSTOS0")
_OF_A_SEGMENT = ["time", "stream", "protocol", "src", "dst", "dst_port", "payload_length", "ip_id"]
_PATH = ["src", "dst", "service_port", "to_service"]
_SERVICE = ["service", "service_port", "to_service"]


def packet_loss(case: Case) -> list[Finding]:
    """One finding a path and direction on which segments were lost; what is left over, by service."""
    segments = _segments(case)
    if segments.empty:
        reason = "no TCP segment with data, SYN or FIN was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    events = _events(case, segments)
    return _by_path(case, events[events["loss_class"].isin(LOST)], segments) or [
        _nothing(case, events, segments)
    ]


def _segments(case: Case) -> pd.DataFrame:
    """What can get lost and be sent again, with the service of its conversation."""
    tcp = case.tcp
    carries = (tcp["payload_length"].fillna(0) > 0).astype(bool) | has_any(tcp, SYN | FIN)
    probes = tcp["keep_alive"] | tcp["zero_window_probe"]
    return _with_service(case, tcp.loc[carries & ~probes, _OF_A_SEGMENT].reset_index())


def _with_service(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    """Adds service, service_port (who was connected to) and to_service (the row went there)."""
    began = case.tcp_conversations.drop_duplicates("stream").set_index("stream")
    addresses = rows["dst"].astype("category").dtype
    services = began["dst"].astype("object").astype(addresses)
    joined = rows.assign(
        service=services.reindex(rows["stream"]).array,
        service_port=began["dst_port"].reindex(rows["stream"]).array,
    )
    address = joined["dst"].astype(addresses).cat.codes == joined["service"].cat.codes
    port = (joined["dst_port"] == joined["service_port"]).fillna(value=False).astype(bool)
    return joined.assign(to_service=address & port)


def _events(case: Case, segments: pd.DataFrame) -> pd.DataFrame:
    """The retransmissions of connections that came about, less those that are one packet seen twice.

    A segment that TCP sends again gets an IP identification of its own; the same identification is the
    same packet, captured at two places or doubled on the way. Without one (IPv6, or 0), nearness in
    time decides: no sender repeats a segment within 100 µs. And where both sides close at once, BSD and
    macOS say FIN again with their ACK of the other's: no timer is that short.
    """
    conversations = case.tcp_conversations
    never = conversations.loc[conversations["state"].isin(_NEVER_OPENED), "stream"]
    events = _with_service(case, case.retransmissions[~case.retransmissions["stream"].isin(never)])
    same_packet = events["loss_class"] == "duplicate_capture"
    ids = segments.set_index("number")["ip_id"]
    at_once = (events["number"].map(ids).fillna(0) == 0) & (events["waited_ms"] < DUPLICATE_MS)
    crossing = (events["kind"] == "fin") & (events["waited_ms"] < CROSSING_FIN_MS)
    return events[~(same_packet | at_once | crossing | _explained(case, events)).astype(bool)]


def _explained(case: Case, events: pd.DataFrame) -> pd.Series:
    """What other rules report, or what is not known to be loss.

    SYNs that were repeated for themselves, a full listen queue, segments too large for the path or damaged on
    it, a peer that fell silent, and what was said to somebody who was not heard any more.
    """
    alone: pd.Series = (events["kind"] == "syn") & events["stream"].isin(slow_attempts(case)["stream"])
    held_up = events["stream"].isin(case.held_up["stream"])
    too_large = events["number"].isin(list(case.oversized))
    silent = events["number"].isin([n for frames in case.silences["frames"] for n in frames])
    in_vain = repeated_in_vain(case.attempts, events)
    damaged = repeats_of_damaged(case, events)
    return alone | held_up | in_vain | too_large | damaged | silent | unheard(case, events)


def _by_path(case: Case, lost: pd.DataFrame, segments: pd.DataFrame) -> list[Finding]:
    """A lossy path is found by itself; losses too thin on each are judged by service, then all together."""
    import pandas as pd

    findings, rest = [], lost
    for keys in (_PATH, _SERVICE):
        groups, thin = largest(rest, keys)
        kept = [thin]
        for events in groups:
            sent = _sent_on(segments, events, keys)
            if _severity(events, sent) == "info":
                kept.append(events)
            else:
                findings.append(_finding(case, events, sent))
        rest = pd.concat(kept)
    if rest.empty:
        return findings
    single = len(rest[_PATH].drop_duplicates()) == 1
    return [*findings, _finding(case, rest, _sent_on(segments, rest, _PATH) if single else segments)]


def _sent_on(segments: pd.DataFrame, events: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """All segments that have the same `keys` as these events."""
    mask = segments["protocol"].notna()
    for key in keys:
        mask &= (segments[key] == events[key].iloc[0]).astype(bool)
    return segments[mask]


def _severity(events: pd.DataFrame, sent: pd.DataFrame) -> Severity:
    share = len(events) / max(len(sent), 1)
    wall = (sent["time"].max() - sent["time"].min()).total_seconds()
    stalled = _stalled(events)
    if len(events) < MIN_LOST:
        return "info"
    if share >= CRITICAL_SHARE and len(events) >= CRITICAL_LOST:
        return "critical"
    if share >= WARNING_SHARE or stalled >= max(STALLED_SECONDS, STALLED_SHARE * wall):
        return "warning"
    return "info"


def _stalled(events: pd.DataFrame) -> float:
    return union_seconds(_sent_first(events), events["time"])


def _sent_first(events: pd.DataFrame) -> pd.Series:
    import pandas as pd

    waited: pd.Series = pd.to_timedelta(events["waited_ms"], unit="ms")
    return events["time"] - waited


def _finding(case: Case, events: pd.DataFrame, sent: pd.DataFrame) -> Finding:
    frames = [*events["number"], *events["repeats"].dropna()]
    source, destination = _side(case, events, "src"), _side(case, events, "dst")
    address, port = str(events["service"].iloc[0]), int(events["service_port"].iloc[0])
    seen = events["repeats"].notna()
    title = (
        f"{len(events):,} of {len(sent):,} segments ({len(events) / len(sent):.2%}) from {source} to "
        f"{destination} had to be sent again{_where(seen)}"
    )
    alone = len(events[_SERVICE[:2]].drop_duplicates()) == 1
    otherwise = f"{address_filter('addr', address)} && tcp.port == {port}" if alone else ""
    return found(
        RULE,
        case,
        title=title,
        severity=_severity(events, sent),
        certainty=0.95 if seen.all() else 0.85,
        consistent_with=causes(events, sent),
        source=source,
        destination=destination,
        span=(_sent_first(events).fillna(events["time"]).min(), events["time"].max()),
        affected=len(events),
        total=len(sent),
        seconds_lost=_stalled(events),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=events["stream"], otherwise=otherwise),
        next_step=_next_step(case, address, port),
    )


def _side(case: Case, events: pd.DataFrame, column: str) -> str:
    """Who sent (`column` src) or should have received (dst): the one there is, or how many."""
    is_service = events["to_service"] == (column == "dst")
    first = events.iloc[0]
    who = {
        (address, port)
        for address, port in zip(events[column], events["service_port"].where(is_service, 0), strict=True)
    }
    if len(who) == 1:
        port = first["service_port"] if is_service.iloc[0] else None
        return case.endpoint(first[column], port, time=first["time"])
    noun = "services" if is_service.all() else "hosts" if is_service.any() else "clients"
    return f"{len(who):,} {noun}"


def _where(seen: pd.Series) -> str:
    """On which side of the capture point the segments went missing: seen once before means beyond it."""
    if seen.all():
        return "; they were lost after they had passed the capture point"
    if not seen.any():
        return "; they were lost before they reached the capture point"
    return ", lost on both sides of the capture point"


def _next_step(case: Case, address: str, port: int) -> str:
    probe = ["mtr", "--tcp", "--port", str(port), "--no-dns", "--report", "--report-cycles", "100", address]
    return inside(case, probe)


def _nothing(case: Case, events: pd.DataFrame, segments: pd.DataFrame) -> Finding:
    """No loss was seen: a capture at the receiver may still show holes that were filled late."""
    doubtful = events[events["loss_class"] == "ambiguous"]
    title = f"no segment of {len(segments):,} was lost and sent again"
    if spurious := int((events["loss_class"] == "spurious").sum()):
        title += f" ({spurious:,} repeated without need)"
    if whose := whose_time(case):
        title += f"; {whose}"
    if doubtful.empty:
        return ruled_out(RULE, case, title=title, total=len(segments), thresholds=THRESHOLDS)
    many = len(doubtful) >= MIN_LOST and len(doubtful) / len(segments) >= WARNING_SHARE
    if many or lost_packets(case):
        reason = f"{len(doubtful):,} segments came out of order: reordering, or loss before this point"
        return not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(segments))
    title += f"; {len(doubtful):,} came out of order"
    return ruled_out(RULE, case, title=title, total=len(segments), thresholds=THRESHOLDS, certainty=0.9)
