"""What a pattern of losses is consistent with: strewn at random, in bursts, or at the end of what was sent.

A bad cable or a radio loses segments one by one, wherever they are. A queue that overflows loses what
comes one after the other while it is full. And where the last segments of a message are lost nothing comes
after them by which the receiver could tell: they wait for a timer, which makes few losses cost much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

MIN_PAIRS = 4
BURST_DEVIATIONS = 5.0
TAIL_SHARE = 0.5
BURST_THRESHOLDS = {
    "min_pairs": MIN_PAIRS,
    "burst_deviations": BURST_DEVIATIONS,
    "tail_share": TAIL_SHARE,
}
_TAIL_PAUSE = 5_000_000  # nanoseconds without another segment of that direction
_LOSSY = ("lossy-path", "congestion", "rate-limit", "queue-overflow")
_BURSTS = ("congestion", "queue-overflow", "rate-limit", "lossy-path")


def causes(events: pd.DataFrame, sent: pd.DataFrame) -> tuple[str, ...]:
    """Likeliest first, for `events` of the retransmissions table among the segments `sent`, by frame.

    `sent` needs number, time, stream, to_service and payload_length, in the order of capture.
    """
    import numpy as np

    if (events["kind"] == "syn").all():
        return ("snat-port-race", "listen-queue-overflow", "lossy-path")
    number, time, side = _by_direction(events, sent)
    lost = np.isin(number, _lost(events), kind="table")
    if not lost.any():
        return _LOSSY
    late = np.isin(number, _lost(events[events["kind"] == "timeout"]), kind="table")
    follows = side[1:] == side[:-1]
    if late.any():
        tails = np.append(~follows | (np.diff(time) > _TAIL_PAUSE), True)
        if np.count_nonzero(late & tails) > TAIL_SHARE * np.count_nonzero(lost):
            return ("tail-loss", *_LOSSY)
    return _BURSTS if _in_bursts(lost, follows) else _LOSSY


def _by_direction(events: pd.DataFrame, sent: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
    """Number, time and direction of the data segments of connections with losses, by direction."""
    import numpy as np

    from k8scap.tables.assembly import integers, nanoseconds

    stream, lossy = integers(sent["stream"]), np.unique(integers(events["stream"]))
    highest = max(int(stream.max(initial=0)), int(lossy.max(initial=0)))
    known = np.full(highest + 1, -1, dtype=np.int64)
    known[lossy] = np.arange(len(lossy))
    code = known[stream]
    chosen = np.flatnonzero((code >= 0) & (integers(sent["payload_length"], absent=0) > 0))
    side = 2 * code[chosen] + sent["to_service"].to_numpy(dtype=bool)[chosen]
    small = np.uint16 if 2 * len(lossy) < 2**16 else np.int64  # few values are sorted by their digits
    order = np.argsort(side.astype(small), kind="stable")
    chosen = chosen[order]
    return integers(sent["number"])[chosen], nanoseconds(sent["time"])[chosen], side[order]


def _lost(events: pd.DataFrame) -> Ints:
    """The segments that got lost: those that were repeated; their repeats, where those were not captured."""
    import numpy as np

    return events["repeats"].fillna(events["number"]).to_numpy(dtype=np.int64)


def _in_bursts(lost: Bools, follows: Bools) -> bool:
    """Whether losses follow one another more often than chance would have it.

    `lost` is of segments in the order they were sent, by direction of each connection; `follows` says of
    all but the first whether they are of the same direction as the one before. Of n lost among N, a random
    path loses (n-1)·n/N next to one another, give or take the root of that (Poisson: they are rare).
    """
    import numpy as np

    pairs = int(np.count_nonzero(lost[1:] & lost[:-1] & follows))
    count = int(np.count_nonzero(lost))
    expected = count * (count - 1) / len(lost)
    return pairs >= MIN_PAIRS and pairs > expected + BURST_DEVIATIONS * float(np.sqrt(expected))
