"""Zeek's conn_state of each TCP connection: how it was opened and ended, in one short word people know.

The states are those of Zeek's documentation (base/protocols/conn/main.zeek, `conn_state`):
S0 attempt, no reply · S1 established, not ended · SF normal end · REJ rejected · S2, S3 closed by originator,
responder only · RSTO, RSTR aborted by originator, responder · RSTOS0 SYN, then RST, no SYN-ACK seen · RSTRH
SYN-ACK, then RST, no SYN seen · SH, SHR half-open with FIN · OTH midstream.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import pairwise
from typing import TYPE_CHECKING

from k8scap.tables.segments import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Step = tuple[int, int, int]

STATES = ("S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH")


class End(Enum):
    """What one end of a connection has done so far."""

    SILENT = auto()
    MIDSTREAM = auto()
    ASKED = auto()
    OPEN = auto()
    CLOSED = auto()
    RESET = auto()


def states(segments: Segments) -> list[str]:
    """The state of each connection at the end of the capture, by connection number.

    Walks only the segments that can change it: those with SYN, FIN or RST, and each side's first.
    """
    import numpy as np

    rows = np.flatnonzero(_telling(segments))
    bounds = np.searchsorted(segments.flow[rows], np.arange(segments.flows + 1)).tolist()
    steps = list(
        zip(
            (segments.side[rows] % 2).tolist(),
            segments.flags[rows].tolist(),
            segments.payload[rows].tolist(),
            strict=True,
        )
    )
    talked = np.zeros(segments.flows, dtype=bool)
    talked[segments.flow[segments.payload > 0]] = True
    parts = zip(pairwise(bounds), talked.tolist(), strict=True)
    return [_verdict(steps[low:high], talked=some) for (low, high), some in parts]


def _telling(segments: Segments) -> Bools:
    import numpy as np

    telling: Bools = segments.flags & (SYN | FIN | RST) != 0
    for rows in (np.arange(len(segments)), np.flatnonzero(segments.payload > 0)):
        first = np.full(2 * segments.flows, -1, dtype=np.int64)
        first[segments.side[rows[::-1]]] = rows[::-1]  # of several for one side the last written stays
        telling[first[first >= 0]] = True
    return telling


def _verdict(steps: Iterable[Step], *, talked: bool) -> str:
    ends = [End.SILENT, End.SILENT]
    past = [End.SILENT, End.SILENT]
    asked_only = True
    for side, flags, payload in steps:
        before = tuple(ends)
        _advance(ends, past, side, flags, payload)
        for end in (0, 1):
            if ends[end] is not before[end]:
                past[end] = before[end]
        asked_only = asked_only and side == 0 and (flags & (SYN | ACK) == SYN or flags & RST != 0)
    return _name(ends[0], ends[1], talked=talked, asked_only=asked_only)


def _advance(ends: list[End], past: list[End], side: int, flags: int, payload: int) -> None:
    me, peer = ends[side], ends[1 - side]
    if flags & RST:
        if not (me is End.CLOSED and peer is End.CLOSED):
            ends[side] = End.RESET
    elif flags & FIN:
        if me is not End.RESET:
            ends[side] = End.CLOSED
        if peer is End.RESET and past[1 - side] is End.CLOSED:
            ends[1 - side] = End.CLOSED
    elif me is End.SILENT:
        _begin(ends, side, flags, payload)
    elif me is End.MIDSTREAM and peer is End.SILENT and flags & (SYN | ACK) == SYN:
        ends[side] = End.ASKED


def _begin(ends: list[End], side: int, flags: int, payload: int) -> None:
    peer = ends[1 - side]
    if flags & SYN and side == 0:
        ends[0] = End.ASKED
    elif flags & SYN:
        ends[1] = End.OPEN
        if peer is End.ASKED:
            ends[0] = End.OPEN
    elif peer is End.OPEN and flags & ACK:
        ends[side] = End.OPEN
    elif not (side == 1 and peer is End.ASKED and not payload):
        ends[side] = End.MIDSTREAM


def _name(client: End, server: End, *, talked: bool, asked_only: bool) -> str:
    no_client, no_server = (end in (End.SILENT, End.MIDSTREAM) for end in (client, server))
    if server is End.RESET:
        refused = client is End.ASKED or (client is End.RESET and not talked)
        return "REJ" if refused else "RSTRH" if no_client else "RSTR"
    if client is End.RESET:
        return "RSTO" if not no_server else "RSTOS0" if asked_only else "OTH"
    if client is End.CLOSED:
        return "SF" if server is End.CLOSED else "SH" if no_server else "S2"
    if server is End.CLOSED:
        return "SHR" if no_client else "S3"
    return {(End.ASKED, End.SILENT): "S0", (End.OPEN, End.OPEN): "S1"}.get((client, server), "OTH")
