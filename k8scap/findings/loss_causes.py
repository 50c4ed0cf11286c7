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

    Bools = npt.NDArray[np.bool_]

MIN_PAIRS = 4
BURST_DEVIATIONS = 5.0
TAIL_SHARE = 0.5
BURST_THRESHOLDS = {
    "min_pairs": MIN_PAIRS,
    "burst_deviations": BURST_DEVIATIONS,
    "tail_share": TAIL_SHARE,
}
_TAIL_PAUSE_S = 0.005
_LOSSY = ("lossy-path", "congestion", "rate-limit", "queue-overflow")
_BURSTS = ("congestion", "queue-overflow", "rate-limit", "lossy-path")


def causes(events: pd.DataFrame, sent: pd.DataFrame) -> tuple[str, ...]:
    """Likeliest first, for `events` of the retransmissions table among the segments `sent` (by frame)."""
    if (events["kind"] == "syn").all():
        return ("snat-port-race", "listen-queue-overflow", "lossy-path")
    data = sent[(sent["payload_length"] > 0).fillna(value=False)].sort_values(["stream", "src", "number"])
    lost = _lost_copies(events, data)
    if not lost.any():
        return _LOSSY
    late = _lost_copies(events[events["kind"] == "timeout"], data)
    if (late & _tails(data)).sum() > TAIL_SHARE * lost.sum():
        return ("tail-loss", *_LOSSY)
    return _BURSTS if in_bursts(data, lost) else _LOSSY


def _lost_copies(events: pd.DataFrame, data: pd.DataFrame) -> Bools:
    """Which segments got lost: those that were repeated; where the first was not captured, their repeats."""
    numbers = events["repeats"].fillna(events["number"])
    lost: Bools = data["number"].isin(numbers).to_numpy(dtype=bool)
    return lost


def _tails(data: pd.DataFrame) -> Bools:
    """Which segments had nothing behind them: the sender fell silent, for a while or for good."""
    same = (data["stream"] == data["stream"].shift(-1)) & (data["src"] == data["src"].shift(-1))
    pause = (data["time"].shift(-1) - data["time"]).dt.total_seconds()
    tails: Bools = (~same | (pause > _TAIL_PAUSE_S)).to_numpy(dtype=bool)
    return tails


def in_bursts(data: pd.DataFrame, lost: Bools) -> bool:
    """Whether losses follow one another more often than chance would have it.

    `data` are segments in the order they were sent, by connection and direction. Of n lost among N, a
    random path loses (n-1)·n/N next to one another, give or take the root of that (Poisson: they are rare).
    """
    import numpy as np

    same = (data["stream"] == data["stream"].shift()) & (data["src"] == data["src"].shift())
    pairs = int(np.count_nonzero(lost[1:] & lost[:-1] & same.to_numpy(dtype=bool)[1:]))
    count = int(np.count_nonzero(lost))
    expected = count * (count - 1) / max(len(data), 1)
    return pairs >= MIN_PAIRS and pairs > expected + BURST_DEVIATIONS * float(np.sqrt(max(expected, 1e-9)))
