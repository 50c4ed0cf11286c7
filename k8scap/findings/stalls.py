"""When a receive window held its sender up: closed (zero announced), or full and left so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.segments import FIN, RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]

_COLUMNS = ["stream", "reader", "reader_port", "sender", "start", "end", "kind", "frames"]
_MILLISECOND = 1_000_000


def closed_windows(case: Case, *, waiting_ms: float) -> pd.DataFrame:
    """One row a closed window that held a sender up.

    Columns: stream, reader, reader_port, sender, start (zero announced), end (opened again, or the
    conversation's last frame), kind ("closed"), frames (list of numbers).
    Only those for which something waited: the sender probed meanwhile (Wireshark calls Linux's probes
    keep-alives), or sent data within `waiting_ms` after the window opened.
    """
    import numpy as np

    found = case.replayed.segments
    mine, first, last = _spells(found)
    probing = _flags(case, "keep_alive", "zero_window_probe")
    probes = np.flatnonzero(probing)
    data = np.flatnonzero(~probing & (found.payload > 0))
    rows = []
    for begin, after in zip(first.tolist(), last.tolist(), strict=True):
        shut = mine[begin:after]
        opened = _next_of(found, mine, shut[-1], after)
        end = found.time[opened] if opened >= 0 else found.time[_last_of_flow(found, shut[0])]
        probed = _between(found, probes, shut[0], end)
        resumed = opened >= 0 and _soon(found, data, opened, waiting_ms * _MILLISECOND)
        if len(probed) or resumed:
            frames = [*found.number[shut], *found.number[probed], *found.number[[opened]][: opened >= 0]]
            rows.append((shut[0], int(end), [int(n) for n in frames]))
    return _table(case, rows, kind="closed", readers_segment=True)


def full_windows(case: Case, *, at_least_ms: float, rtt_factor: float) -> pd.DataFrame:
    """One row a window that was filled to its last byte and not acknowledged for long.

    Columns as of `closed_windows`, with the kind "full".
    Long is at least `at_least_ms`, and `rtt_factor` times the path's round trip (on a long path every
    full window waits one). A wait that ends with a retransmission is the path's, not the reader's.
    """
    import numpy as np

    found = case.replayed.segments
    filled = np.flatnonzero(_flags(case, "window_full"))
    order = found.by_side
    place = np.searchsorted(
        found.side[order] * len(found) + order, (found.side[filled] ^ 1) * len(found) + filled
    )
    answer = order[np.minimum(place, max(len(order) - 1, 0))] if len(order) else filled
    answered = (place < len(order)) & (found.side[answer] == found.side[filled] ^ 1)
    filled, answer = filled[answered], answer[answered]
    rtts = case.round_trips.groupby("stream")["rtt_ms"].median() * rtt_factor
    longest = rtts.reindex(case.replayed.stream[found.row[filled]]).fillna(0.0).to_numpy(dtype=np.float64)
    waited = (found.time[answer] - found.time[filled]) / _MILLISECOND
    events = case.replayed.events
    repeated = np.searchsorted(events, answer, "right") > np.searchsorted(events, filled, "left")
    kept = np.flatnonzero((waited >= np.maximum(longest, at_least_ms)) & ~repeated)
    rows = [
        (int(a), int(found.time[b]), [int(found.number[a]), int(found.number[b])])
        for a, b in zip(filled[kept].tolist(), answer[kept].tolist(), strict=True)
    ]
    return _table(case, rows, kind="full", readers_segment=False)


def _flags(case: Case, *verdicts: str) -> npt.NDArray[np.bool_]:
    """Which segments Wireshark gave one of these verdicts."""
    import numpy as np

    replay = case.replayed
    flags = [replay.packets[name].to_numpy(dtype=bool)[replay.segments.row] for name in verdicts]
    told: npt.NDArray[np.bool_] = np.logical_or.reduce(flags)
    return told


def _spells(found: Segments) -> tuple[Ints, Ints, Ints]:
    """Runs of announcements of zero by one side.

    Indices of the segments of the sides that announced it, side by side; from where to where each run goes.
    """
    import numpy as np

    marks = found.has(FIN) | found.has(SYN) | found.has(RST)
    shut = (found.window == 0) & ~marks
    closing = np.zeros(2 * found.flows, dtype=bool)
    closing[found.side[shut]] = True
    mine = found.by_side[closing[found.side[found.by_side]]]
    closed, side = shut[mine], found.side[mine]
    same = np.zeros(len(mine), dtype=bool)
    same[1:] = side[1:] == side[:-1]
    goes_on = same & np.concatenate((closed[:1] & False, closed[:-1]))
    first = np.flatnonzero(closed & ~goes_on)
    ends = np.append(~(same[1:] & closed[1:]), np.ones(min(len(mine), 1), dtype=bool))
    last = np.flatnonzero(closed & ends) + 1
    return mine, first, last


def _next_of(found: Segments, mine: Ints, segment: int, place: int) -> int:
    """The same side's next segment, which stands at `place`; -1 where it said nothing more."""
    there = place < len(mine) and found.side[mine[place]] == found.side[segment]
    return int(mine[place]) if there else -1


def _last_of_flow(found: Segments, segment: int) -> int:
    flow = int(found.flow[segment])
    return int(found.flow_start[flow + 1] if flow + 1 < found.flows else len(found)) - 1


def _between(found: Segments, candidates: Ints, start: int, end: int) -> Ints:
    """Those of the candidates that the other side sent after segment `start`, up to the time `end`."""
    import numpy as np

    low = np.searchsorted(candidates, start)
    high = np.searchsorted(candidates, _last_of_flow(found, start), "right")
    near = candidates[low:high]
    others: Ints = near[(found.side[near] == found.side[start] ^ 1) & (found.time[near] <= end)]
    return others


def _soon(found: Segments, data: Ints, opened: int, within: float) -> bool:
    """Whether the other side sent data so soon after the window had opened."""
    return len(_between(found, data, opened, int(found.time[opened] + within))) > 0


def _table(
    case: Case, rows: list[tuple[int, int, list[int]]], *, kind: str, readers_segment: bool
) -> pd.DataFrame:
    """`rows` are a segment (the reader's own, or one sent to it), when it ended, and the frames."""
    import numpy as np
    import pandas as pd

    replay = case.replayed
    found = replay.segments
    segment = np.array([row[0] for row in rows], dtype=np.int64)
    ends = pd.DataFrame(replay.ends.take(found.row[segment]).columns())
    reader, sender = ("src", "dst") if readers_segment else ("dst", "src")
    columns = {
        "stream": replay.stream[found.row[segment]],
        "reader": ends[reader].astype("object"),
        "reader_port": ends[f"{reader}_port"],
        "sender": ends[sender].astype("object"),
        "start": pd.to_datetime(found.time[segment], utc=True),
        "end": pd.to_datetime(np.array([row[1] for row in rows], dtype=np.int64), utc=True),
        "kind": kind,
        "frames": [row[2] for row in rows],
    }
    return pd.DataFrame(columns, columns=_COLUMNS).sort_values("start", kind="stable")
