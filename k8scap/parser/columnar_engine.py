"""The packets table from the columnar engine: `read_packets` whole, `pieces` one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.errors import UnreadableFileError
from k8scap.parser.columnar import MOST_FRAMES, FrameReader
from k8scap.parser.progress import counting
from k8scap.parser.table.builder import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from k8scap.parser.columnar import Frames
    from k8scap.parser.source import Source


def read_packets(
    sources: Sequence[Source],
    *,
    columns: Sequence[str] | None = None,
    chosen: Sequence[np.ndarray | None] | None = None,
    between: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """The packets table of `schema.PACKETS` (or those of its `columns`), indexed by `number`.

    `chosen` are, for each source, the numbers of the frames that are wanted (None: all), `between` two times
    in nanoseconds, both included. Raises BeyondThisEngineError for a file that this engine cannot read.
    """
    builder = Builder(columns, sources)
    with counting(None) as count:
        for source, numbers in zip(sources, chosen or [None] * len(sources), strict=True):
            for frames in _frames(source, builder):
                builder.add(frames, _rows(frames, numbers, between))
                count(len(frames.block))
            builder.end_source()
    return builder.table()


def pieces(
    sources: Sequence[Source],
    chunk: int,
    *,
    columns: Sequence[str] | None = None,
    chosen: Sequence[np.ndarray | None] | None = None,
    between: tuple[int, int] | None = None,
) -> Iterator[tuple[Source, pd.DataFrame]]:
    """The rows of `read_packets`, in tables of `chunk` frames read each, or what is selected of them.

    A piece's categories are those met so far: a word keeps its code. There is one piece at the least.
    """
    builder, given = Builder(columns, sources, most=chunk), False
    for source, numbers in zip(sources, chosen or [None] * len(sources), strict=True):
        for frames in _frames(source, builder, most_frames=chunk):
            for some in _up_to(frames, chunk - builder.frames, chunk):
                builder.add(some, _rows(some, numbers, between))
                if builder.frames == chunk:
                    yield source, builder.piece()
                    given = True
        if builder.frames or (source is sources[-1] and not given):
            yield source, builder.piece()
            given = True


def _up_to(frames: Frames, room: int, chunk: int) -> Iterator[Frames]:
    """The frames, cut so that the first ones fill `room`, and the others `chunk` each."""
    while len(frames.block) > room:
        first, frames = frames.cut(room)
        yield first
        room = chunk
    yield frames


def _frames(source: Source, builder: Builder, *, most_frames: int = MOST_FRAMES) -> Iterator[Frames]:
    """One source's frames; what the reader found out is told to the source."""
    reader = FrameReader(source.files, most_frames=min(most_frames, MOST_FRAMES))
    builder.begin_source(source, reader)
    try:
        yield from reader
    except FileNotFoundError as gone:
        raise UnreadableFileError(
            f"{gone.filename} is no longer there.",
            path=str(gone.filename),
            next_step="load it from where it is.",
        ) from None
    except OSError as error:
        raise UnreadableFileError(
            f"{error.filename} cannot be read: {error.strerror}.", path=str(error.filename), next_step="ls -l"
        ) from None
    finally:
        reader.close()
    source.remember_reading(reader.reader)


def _rows(frames: Frames, numbers: np.ndarray | None, between: tuple[int, int] | None) -> np.ndarray | None:
    """Which of the frames are wanted; None for all."""
    if numbers is None and between is None:
        return None
    wanted = np.ones(len(frames.block), bool)
    if between is not None:
        wanted &= (frames.block.time >= between[0]) & (frames.block.time <= between[1])
    if numbers is not None:
        first, end = np.searchsorted(numbers, [frames.begin + 1, frames.begin + 1 + len(wanted)])
        passed = np.zeros(len(wanted), bool)
        passed[numbers[first:end] - frames.begin - 1] = True
        wanted &= passed
    return None if wanted.all() else np.flatnonzero(wanted)
