"""slow-sender: a transfer crawls because its sender has nothing to send ("out of data" in web100's triage).

A message of an exchange, large enough to be a transfer, that is interrupted again and again while all that
was sent is acknowledged and the receiver has room: neither the path nor the reader holds it up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.evidence import address_filter, display_filter
from k8scap.findings.groups import largest, many_more
from k8scap.findings.intervals import union_seconds
from k8scap.findings.sender_silences import large_messages, silences
from k8scap.findings.steps import in_pod, inside
from k8scap.findings.verdict import found, not_judged, one_direction, ruled_out

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

RULE = "slow-sender"
SILENT_MS = 50.0
RTT_FACTOR = 2.0
MIN_SILENCES = 5
MIN_BURST_BYTES = 16_384
MIN_SECONDS = 1.0
MIN_SHARE = 0.5
LOST_SHARE = 0.1
REGULAR_SPREAD = 0.25
THRESHOLDS = {
    "silent_ms": SILENT_MS,
    "rtt_factor": RTT_FACTOR,
    "min_silences": MIN_SILENCES,
    "min_burst_bytes": MIN_BURST_BYTES,
    "min_seconds": MIN_SECONDS,
    "min_share": MIN_SHARE,
    "lost_share": LOST_SHARE,
    "regular_spread": REGULAR_SPREAD,
}
_LEAST_BYTES = (MIN_SILENCES + 1) * MIN_BURST_BYTES
_SENDER = ["src", "service", "service_port", "upload"]


def slow_sender(case: Case) -> list[Finding]:
    """One finding a sender (a service, or a client at one) silent for most of its transfers' time."""
    answered = int(case.exchanges["response_start"].notna().sum())
    if not answered:
        reason = one_direction(case) or "no TCP conversation with a request and its answer was captured"
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS)]
    large = large_messages(case, least_bytes=_LEAST_BYTES, least_seconds=MIN_SECONDS)
    rows = silences(case, large, silent_ms=SILENT_MS, rtt_factor=RTT_FACTOR)
    if rows.empty and len(large):
        reason = (
            f"the handshakes of all {len(large):,} transfers are missing, and with them their round trips"
        )
        return [not_judged(RULE, case, reason=reason, thresholds=THRESHOLDS, total=len(large))]
    slow = _interrupted(rows)
    if slow.empty:
        kilobytes = _LEAST_BYTES // 1000
        title = (
            f"of {2 * answered:,} requests and answers {len(rows):,} are {kilobytes} kB or more and took "
            f"{MIN_SECONDS:g} s or more; none of these was interrupted by its sender for most of its time"
        )
        return [ruled_out(RULE, case, title=title, total=len(rows), thresholds=THRESHOLDS)]
    groups, rest = largest(slow, _SENDER)
    return [_finding(case, group, rows) for group in groups] + many_more(
        RULE,
        case,
        rest,
        keys=_SENDER,
        deed="senders interrupted their transfers",
        times=("start", "end"),
        frames=[n for numbers in rest["frames"] for n in numbers],
        thresholds=THRESHOLDS,
    )


def _interrupted(rows: pd.DataFrame) -> pd.DataFrame:
    """Messages for most of whose time their sender was silent; adds `silent_s`, `seconds` and `regular`."""
    silent = [sum(end - start for start, end in spans) / 1e9 for spans in rows["silent"]]
    times = [len(spans) for spans in rows["silent"]]
    rows = rows.assign(silent_s=silent, times=times, seconds=(rows["end"] - rows["start"]).dt.total_seconds())
    rows = rows[
        (rows["times"] >= MIN_SILENCES)
        & (rows["burst"] >= MIN_BURST_BYTES)
        & (rows["silent_s"] >= MIN_SECONDS)
        & (rows["silent_s"] >= MIN_SHARE * rows["seconds"])
        & (rows["lost"] <= LOST_SHARE * rows["times"])
    ]
    return rows.assign(regular=[_is_regular(spans) for spans in rows["silent"]])


def _is_regular(spans: list[tuple[int, int]]) -> bool:
    """Whether nearly all silences are equally long, or end at equal intervals, as a timer's do."""
    import numpy as np

    lengths = np.array([end - start for start, end in spans], dtype=np.float64)
    periods = np.diff([end for _, end in spans]).astype(np.float64)
    for values in (lengths, periods):
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        if high - low <= REGULAR_SPREAD * middle:
            return True
    return False


def _finding(case: Case, group: pd.DataFrame, rows: pd.DataFrame) -> Finding:
    suspicious = group[group["whole"] & ~group["regular"]]
    shown = group if suspicious.empty else suspicious
    first = shown.iloc[0]
    sender, receiver = _ends(case, first)
    same = rows[(rows[_SENDER] == first[_SENDER]).all(axis=1)]
    spans = _spans(shown)
    frames = [n for numbers in shown["frames"] for n in numbers]
    service = f"{address_filter('addr', first['service'])} && tcp.port == {first['service_port']}"
    return found(
        RULE,
        case,
        title=_title(sender, shown, spans),
        severity="info" if suspicious.empty else "warning",
        certainty=0.6 if suspicious.empty else 0.85,
        consistent_with=_causes(shown),
        source=sender,
        destination=receiver,
        span=(shown["start"].min(), shown["end"].max()),
        affected=len(shown),
        total=len(same),
        seconds_lost=union_seconds(spans["start"], spans["end"]),
        thresholds=THRESHOLDS,
        frames=frames,
        display_filter=display_filter(frames, streams=shown["stream"], otherwise=service),
        next_step=_next_step(case, first),
    )


def _ends(case: Case, first: pd.Series) -> tuple[str, str]:
    """Sender and receiver: the service with its port, the client by its address."""
    service = case.endpoint(first["service"], first["service_port"], time=first["start"])
    client = case.host(first["src"] if first["upload"] else first["dst"], time=first["start"])
    return (client, service) if first["upload"] else (service, client)


def _spans(shown: pd.DataFrame) -> pd.DataFrame:
    """All silences: `start`, `end` (times)."""
    import pandas as pd

    both = [span for spans in shown["silent"] for span in spans]
    begun, ended = (pd.to_datetime([span[end] for span in both], utc=True) for end in (0, 1))
    return pd.DataFrame({"start": begun, "end": ended})


def _title(sender: str, shown: pd.DataFrame, spans: pd.DataFrame) -> str:
    silent, seconds = float(shown["silent_s"].sum()), float(shown["seconds"].sum())
    median = (spans["end"] - spans["start"]).dt.total_seconds().median() * 1000
    what = "an upload" if shown["upload"].iloc[0] else "an answer"
    what = (
        what if len(shown) == 1 else f"{len(shown):,} {'uploads' if shown['upload'].iloc[0] else 'answers'}"
    )
    title = (
        f"{sender} had nothing to send for {silent / seconds:.0%} of the {seconds:,.1f} s that {what} of "
        f"{int(shown['bytes'].sum()) / 1e6:,.1f} MB took: {len(spans):,} silences (median {median:,.0f} ms) "
        "with all acknowledged and the window open"
    )
    if shown["regular"].all():
        title += "; they are as regular as a timer's (paced on purpose, or a CPU quota)"
    elif not shown["whole"].any():
        title += "; its end was not seen (it may be a stream)"
    return title


def _causes(shown: pd.DataFrame) -> tuple[str, ...]:
    if shown["regular"].all():
        return ("paced-on-purpose", "rate-limit", "cpu-throttling")
    if not shown["whole"].any():
        return ("stream", "slow-source")
    return ("slow-source", "slow-storage", "cpu-throttling", "blocked-application")


def _next_step(case: Case, first: pd.Series) -> str:
    """The sender's throttling where its pod is known; else its sockets (`app_limited`)."""
    if step := in_pod(case, first["src"], ["cat", "/sys/fs/cgroup/cpu.stat"], time=first["start"]):
        return step
    return inside(case, ["ss", "-tin", "dst", first["src"], "or", "src", first["src"]])
