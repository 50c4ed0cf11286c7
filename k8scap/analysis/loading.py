"""Files → a `Capture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.analysis.capture import Capture
from k8scap.errors import UsageError
from k8scap.names import Names, names_given
from k8scap.parser.engines import Selection, check_engine
from k8scap.parser.filters import check_filter, span
from k8scap.parser.learnt_names import LearntNames
from k8scap.parser.source import Source
from k8scap.recording import open_recordings
from k8scap.schema import PACKET_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from k8scap.names import Given
    from k8scap.recording import Recording


def load(
    *files: str | Path,
    names: Given | Sequence[Given] | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    between: tuple[datetime | str, datetime | str] | None = None,
    engine: str = "columnar",
    decode_as: Mapping[str, str] | None = None,
) -> Capture:
    """Open capture files (pcap, pcapng, either compressed with gzip or zstd, and whatever else tshark reads).

    Rotated files of one name in one folder are one capture point, their frames numbered on; a file that has
    hardly begun, as that of a ring which is still being written, is left out with a note. `columns` are
    those of the packets table that will be needed (all); `where` is a Wireshark display filter; `between` two
    times with a zone (datetimes, or text in ISO 8601). `decode_as` is tshark's: {"tcp.port==8888": "http"}.
    `engine` makes the packets table: "columnar" is ours, "pyshark" asks tshark for every column, thousands of
    times slower, with the same answers.

    `names` say who the addresses were, before what a manifest beside the file says: a file as `kubectl get
    pods,svc,nodes -A -o json` writes it, a hosts file, a CSV (address,name,…), another recording's manifest;
    several of them, the strongest first; {"10.0.0.7": "redis"}; a `Names`. "capture" learns them from DNS
    answers, TLS server names and a pcapng's name resolution blocks when they are first needed (by tshark,
    which is handed those frames), for addresses that nobody else names. Raises UnreadableFileError,
    FilterError, UsageError, ToolMissingError.
    """
    check_engine(engine)
    if not files:
        raise UsageError("load needs a capture file.", next_step='k8scap.load("capture.pcap")')
    _check_columns(columns)
    told, learning = names_given(names)
    sources = _sources(open_recordings(files))
    for source in sources:
        source.check()
    check_filter(where or "")
    known = [entry for source in sources for entry in source.recording.names]
    selection = Selection(
        where=where or "",
        between=span(between),
        columns=None if columns is None else tuple(columns),
        decode_as=decode_as or {},
    )
    return Capture(
        sources,
        names=told.over(Names(known)),
        learnt=LearntNames(sources, selection.decode_as) if learning else None,
        selection=selection,
        engine=engine,
    )


def _sources(recordings: Iterable[Recording]) -> list[Source]:
    """One source a recording; a second point of the same name becomes NAME-2."""
    sources: list[Source] = []
    for recording in recordings:
        taken = {source.point for source in sources}
        names = (recording.point, *(f"{recording.point}-{n}" for n in range(2, len(taken) + 3)))
        sources.append(Source(recording, point=next(name for name in names if name not in taken)))
    return sources


def _check_columns(columns: Sequence[str] | None) -> None:
    unknown = [name for name in columns or () if name not in PACKET_COLUMNS]
    if unknown:
        raise UsageError(
            f"The packets table has no column {', '.join(unknown)}.", next_step="k8scap.schema.PACKET_COLUMNS"
        )
