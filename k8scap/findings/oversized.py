"""Segments that were too large for their path: sent again and again, or cut smaller once ICMP had said so.

Whoever speaks of loss leaves them out: nothing is wrong with the path but its width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case

MIN_COPIES = 3
NARROWEST_BYTES = 1000
ADAPTED_SECONDS = 1.0
_TIMESTAMPS = 12  # bytes of a segment that the timestamps option takes (RFC 7323, appendix A)
_TOO_BIG = {("ICMP", 3, 4), ("ICMPv6", 2, 0)}
_PATH = ["src", "dst"]


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """A path (`src` to `dst`) that large segments did not pass.

    `failed` are its data segments of at least `smallest_failed` bytes that did not arrive, a row a copy;
    `largest_passed` is the largest payload that did (0: none was sent). `told` are the ICMP errors (number,
    time, icmp_mtu) that told `src` meanwhile, `ignored` whether it sent on as before. `claimed` are the
    frames that repeat something for that reason.
    """

    src: str
    dst: str
    failed: pd.DataFrame
    smallest_failed: int
    largest_passed: int
    told: pd.DataFrame
    ignored: bool
    claimed: list[int] = field(default_factory=list)


def black_holes(case: Case) -> list[Narrow]:
    """The paths on which large segments were repeated at least three times, and never came through.

    In the same direction smaller ones did, or the other side showed otherwise that it was there: a host
    that is away answers nothing, whatever the size. A sender may notice by itself, and say the same in
    smaller segments (RFC 4821; Windows' black hole detection).
    """
    again = _data_events(case)
    stuck = (again["copy"] > MIN_COPIES) & (again["payload_length"] >= NARROWEST_BYTES)
    pairs = again.loc[stuck | _cut_smaller(case, again), _PATH].drop_duplicates()
    found = (_narrow(case, str(src), str(dst), again) for src, dst in pairs.itertuples(index=False))
    return [narrow for narrow in found if narrow is not None]


def _cut_smaller(case: Case, again: pd.DataFrame) -> pd.Series:
    """Which repeats say in a smaller segment what was sent in vain in a large one, more than once (bool)."""
    before = again["repeats"].map(case.tcp["payload_length"]).fillna(0)
    smaller: pd.Series = (again["payload_length"] < before) & (before >= NARROWEST_BYTES)
    return smaller & (again["copy"] >= MIN_COPIES)


def adapted(case: Case) -> pd.DataFrame:
    """The repeats with which senders obeyed ICMP: rows of the retransmissions table (path MTU discovery).

    What they repeat was sent before the error came, on a connection with segments larger than it allows
    (RFC 1191, 4), and within a second they sent it again.
    """
    import pandas as pd

    errors, again = _errors(case), _data_events(case)
    again = again[again["src"].isin(errors["dst"])]
    if errors.empty or again.empty:
        return again.iloc[:0]
    errors = errors.sort_values("time", kind="stable").rename(columns={"dst": "src", "time": "told"})
    tolerance = pd.Timedelta(seconds=ADAPTED_SECONDS)
    joined = pd.merge_asof(
        again.sort_values("time", kind="stable"),
        errors[["src", "told", "icmp_mtu"]],
        left_on="time",
        right_on="told",
        by="src",
        tolerance=tolerance,
    )
    before = joined["time"] - pd.to_timedelta(joined["waited_ms"], unit="ms")
    obeys = joined["payload_length"] + 40 <= joined["icmp_mtu"].astype(float)
    joined = joined[(before <= joined["told"]) & joined["told"].notna() & obeys]
    sent = _data(case, case.tcp["stream"].isin(joined["stream"]))
    largest = sent.groupby(["stream", "src"], observed=True)["payload_length"].max()
    keys = pd.MultiIndex.from_frame(joined[["stream", "src"]])
    too_large = largest.reindex(keys).to_numpy(dtype=float) + 40 > joined["icmp_mtu"].astype(float)
    return joined[too_large]


def claimed(case: Case) -> set[int]:
    """The frames that repeat something because of its size: no loss."""
    numbers = {number for narrow in black_holes(case) for number in narrow.claimed}
    return numbers | set(adapted(case)["number"].tolist())


def _data_events(case: Case) -> pd.DataFrame:
    events = case.retransmissions
    data = events[(events["payload_length"] > 0) & (events["kind"] != "spurious")]
    return data.astype({"src": "object", "dst": "object"})


def _errors(case: Case) -> pd.DataFrame:
    """ICMP's fragmentation needed (RFC 1191), and packet too big (RFC 4443): number, time, dst, icmp_mtu."""
    packets = case.packets
    icmp = packets[packets["icmp_type"].notna()].reset_index()
    kinds = zip(icmp["protocol"].astype("object"), icmp["icmp_type"], icmp["icmp_code"], strict=True)
    chosen = [kind in _TOO_BIG for kind in kinds]
    return icmp.loc[chosen, ["number", "time", "dst", "icmp_mtu"]].astype({"dst": "object"})


def _data(case: Case, chosen: pd.Series) -> pd.DataFrame:
    """The chosen TCP rows with new payload; `payload_length` is that of a segment on the wire.

    A sender's capture may show many segments as one (segmentation offload).
    """
    tcp = case.tcp
    probes = tcp["keep_alive"] | tcp["zero_window_probe"]
    columns = ["time", "stream", "src", "dst", "seq", "payload_length", "tsval"]
    rows = tcp.loc[(tcp["payload_length"] > 0).fillna(value=False) & ~probes & chosen, columns].reset_index()
    syns = tcp[tcp["mss"].notna() & tcp["stream"].isin(rows["stream"])]
    largest = rows["stream"].map(syns.groupby("stream")["mss"].min()).astype(float)
    largest = largest.fillna(1460.0) - _TIMESTAMPS * rows["tsval"].notna()
    rows["payload_length"] = rows["payload_length"].astype(float).clip(upper=largest)
    return rows.astype({"src": "object", "dst": "object", "seq": "int64"})


def _narrow(case: Case, src: str, dst: str, events: pd.DataFrame) -> Narrow | None:
    """What is known of one path; None where size does not tell what passed from what did not."""
    tcp = case.tcp
    forth = _data(case, (tcp["src"] == src) & (tcp["dst"] == dst))
    back = tcp[(tcp["src"] == dst) & (tcp["dst"] == src)]
    events = events[(events["src"] == src) & (events["dst"] == dst)]
    heard = _heard(forth, back)
    again = forth["number"].isin(events["repeats"].dropna())
    lost = forth[again | ~heard]
    passed = forth[heard & ~again]
    limit = passed["payload_length"].max() if len(passed) else 0.0
    failed = lost[lost["payload_length"] > max(limit, NARROWEST_BYTES - 1)]
    copies = failed.groupby(["stream", "seq"]).size()
    if copies.empty or copies.max() < MIN_COPIES or not _was_there(failed, passed, back):
        return None
    since = failed["time"].min()
    told = _errors(case)
    told = told[(told["dst"] == src) & told["time"].between(since, failed["time"].max())]
    ignored = len(told) > 0 and int((failed["time"] > told["time"].min()).sum()) >= MIN_COPIES
    streams = events["stream"].isin(failed["stream"]) & (events["time"] >= since)
    return Narrow(
        src=src,
        dst=dst,
        failed=failed,
        smallest_failed=int(failed["payload_length"].min()),
        largest_passed=int(limit),
        told=told,
        ignored=ignored,
        claimed=events.loc[streams, "number"].tolist(),
    )


def _heard(forth: pd.DataFrame, back: pd.DataFrame) -> pd.Series:
    """Which segments the other side acknowledged in the end, all or selectively (RFC 2018)."""
    import numpy as np

    highest = back.groupby("stream")["ack"].max()
    ends = forth["seq"] + forth["payload_length"]
    at_last = (ends <= forth["stream"].map(highest).astype(float)).to_numpy(dtype=bool)
    blocks = back.loc[back["sack_left"].notna(), ["stream", "sack_left", "sack_right"]].astype("int64")
    blocks = blocks.sort_values(["stream", "sack_left"])
    if blocks.empty:
        return forth["seq"].notna() & at_last
    lefts, rights = (_key(blocks["stream"], blocks[name]) for name in ("sack_left", "sack_right"))
    place = np.searchsorted(lefts, _key(forth["stream"], forth["seq"]), "right") - 1
    reached = np.maximum.accumulate(rights)[np.maximum(place, 0)]
    selectively = (place >= 0) & (reached >= _key(forth["stream"], ends))
    return forth["seq"].notna() & (at_last | selectively)


def _key(stream: pd.Series, position: pd.Series) -> npt.NDArray[np.int64]:
    """A connection and a place in its sequence space as one number, which sorts like both."""
    import numpy as np

    return np.asarray(stream, dtype=np.int64) * 2**33 + np.asarray(position, dtype=np.int64)


def _was_there(failed: pd.DataFrame, passed: pd.DataFrame, back: pd.DataFrame) -> bool:
    """Whether something else passed, or was heard, between the first and the last copy that failed."""
    since, until = failed["time"].min(), failed["time"].max()
    answers = back.loc[(back["time"] > since) & (back["time"] <= until), "time"]
    return bool(passed["time"].between(since, until).any() or len(answers) > 0)
