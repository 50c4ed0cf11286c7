"""Captures → the points that are correlated: their packets as traces, and when each recorded all it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from k8scap.correlation.leg import Point
from k8scap.correlation.trace import NEEDED, trace
from k8scap.errors import UnreadableFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.model import Manifest
    from k8scap.recording import Recording

    Words = npt.NDArray[np.uint64]

STARTING_NS = 500_000_000
"""Nanoseconds after `started`, and before `ended`, of a manifest in which tcpdump may not listen yet, or no
longer. Beyond the first and last frames, nothing is believed of these."""
_FILLED_UP = ("packets", "size", "disk-full")


class Captured(Protocol):
    """What is needed of a `Capture`."""

    @property
    def points(self) -> tuple[str, ...]: ...
    @property
    def recordings(self) -> tuple[Recording, ...]: ...
    @property
    def packets(self) -> pd.DataFrame: ...


def points_of(captures: Sequence[Captured]) -> tuple[list[Point], pd.Index]:
    """Every capture's points under names of their own, and the addresses that their traces count in.

    Raises UsageError where there are fewer than two, SchemaError, and UnreadableFileError.
    """
    import pandas as pd

    from k8scap.schema import require
    from k8scap.tables.segments import COLUMNS_NEEDED

    for capture in captures:
        require(capture.packets, (*COLUMNS_NEEDED, *NEEDED), what="correlate")
    tables = [
        (point, recording, packets[(packets["point"] == point).to_numpy(dtype=bool)])
        for capture in captures
        for packets in [capture.packets]
        for point, recording in zip(capture.points, capture.recordings, strict=True)
    ]
    if len(tables) < 2:
        raise UsageError(
            f"There is {len(tables) or 'no'} capture point, and two are compared.",
            next_step='k8scap.correlate(k8scap.load("client.pcap"), k8scap.load("server.pcap"))',
        )
    ends = [packets[end].astype("category") for _, _, packets in tables for end in ("src", "dst")]
    addresses = pd.Index(dict.fromkeys(address for end in ends for address in end.cat.categories))
    names: list[str] = []
    made = []
    for name, recording, packets in tables:
        names.append(_own_name(name, names))
        made.append(_point(names[-1], recording, packets, addresses))
    return made, addresses


def _own_name(name: str, taken: Sequence[str]) -> str:
    candidates = (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _point(name: str, recording: Recording, packets: pd.DataFrame, addresses: pd.Index) -> Point:
    found = trace(packets, lambda rows: _heads(recording, rows), addresses)
    begin, end = _recorded(packets, recording.manifest)
    dropped = recording.manifest.counters.dropped if recording.manifest else None
    used = recording.manifest.effective_filter if recording.manifest else None
    return Point(name, found, begin, end, dropped, used)


def _recorded(packets: pd.DataFrame, manifest: Manifest | None) -> tuple[int, int]:
    """From when to when it is known to have recorded, in ns by its own clock.

    A manifest tells more than the first and last frames, if its times are of the same clock (those of another
    machine's capture need not be), and all that was recorded is here.
    """
    from k8scap.tables.assembly import ABSENT, nanoseconds

    times = nanoseconds(packets["time"])
    times = times[times != ABSENT]
    if not len(times):
        return 0, 0
    first, last = int(times.min()), int(times.max())
    if manifest is None or manifest.started is None or manifest.ended is None:
        return first, last
    started, ended = (int(t.timestamp() * 1e6) * 1000 for t in (manifest.started, manifest.ended))
    counters = manifest.counters
    if not started <= first <= last <= ended or counters.on_disk != len(packets):
        return first, last
    begin = first if counters.rotated_away else min(first, started + STARTING_NS)
    end = last if manifest.ended_by in _FILLED_UP else max(last, ended - STARTING_NS)
    return begin, end


def _heads(recording: Recording, rows: pd.DataFrame) -> Words:
    """A hash of each datagram's first bytes; all the same where the file cannot be read by records."""
    import numpy as np

    from k8scap.parser.payload_heads import payload_heads
    from k8scap.tables.assembly import integers
    from k8scap.tables.endpoints import frame_numbers

    number = frame_numbers(rows)
    order = np.argsort(number, kind="stable")
    ports = np.stack([integers(rows[name], absent=-1) for name in ("src_port", "dst_port")], axis=1)
    length = integers(rows["payload_length"], absent=-1)
    heads = np.zeros(len(rows), dtype=np.uint64)
    if not len(rows):
        return heads
    try:
        heads[order] = payload_heads(
            recording.files, number=number[order], ports=ports[order], payload_length=length[order]
        )
    except OSError as error:
        raise UnreadableFileError(
            f"{error.filename} cannot be read: {error.strerror}.",
            path=str(error.filename),
            next_step="load it from where it is.",
        ) from None
    return heads
