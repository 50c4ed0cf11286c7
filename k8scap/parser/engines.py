"""Which engine reads a capture's packets, and what a selection of them means to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8scap.errors import UsageError
from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.filters import both, within
from k8scap.parser.layers import TUNNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from k8scap.parser.source import Source
    from k8scap.parser.where import Where

ENGINES = ("columnar", "pyshark")


@dataclass(frozen=True)
class Selection:
    """What is read of a capture: `where` (a display filter), `between` (nanoseconds), `columns` (None: all).

    `decode_as` is tshark's.
    """

    where: str = ""
    between: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None
    decode_as: Mapping[str, str] = field(default_factory=dict)

    @property
    def display_filter(self) -> str:
        """Filter and times as one filter, for tshark."""
        return both(self.where, within(self.between))


def check_engine(engine: str) -> None:
    """Raise UsageError for an engine that there is not."""
    if engine not in ENGINES:
        raise UsageError(f"There is no engine {engine!r}.", next_step='load(..., engine="columnar")')


def read_packets(sources: Sequence[Source], selection: Selection, *, engine: str) -> pd.DataFrame:
    """The packets table; a point that the columnar engine cannot read goes to the other one, with a note."""
    if engine != "columnar" or _changes_tunnels(selection):
        return _read_by_tshark(sources, selection)
    try:
        return _read_columnar(sources, selection)
    except BeyondThisEngineError as beyond:
        if len(sources) == 1:
            _note(sources[0], beyond)
            return _read_by_tshark(sources, selection)
    from k8scap.parser.table.joining import joined

    return joined([read_packets([source], selection, engine=engine) for source in sources])


def iter_packets(
    sources: Sequence[Source], chunk: int, selection: Selection, *, engine: str
) -> Iterator[pd.DataFrame]:
    """The packets table in pieces of `chunk` frames read each, one at the least.

    Where the columnar engine meets what it cannot read, the other one goes on behind the last piece, with
    that point alone.
    """
    if engine != "columnar" or _changes_tunnels(selection):
        yield from _cut(_read_by_tshark(sources, selection), chunk)
    else:
        yield from _iter_behind({}, sources, chunk, selection)


def _iter_behind(
    given: dict[str, int], sources: Sequence[Source], chunk: int, selection: Selection
) -> Iterator[pd.DataFrame]:
    """Pieces of what comes behind the points' last frames that were `given`, which is kept up to date."""
    try:
        for source, piece in _iter_columnar(sources, chunk, selection):
            yield from _behind(given, source, piece)
    except BeyondThisEngineError as beyond:
        if len(sources) == 1:
            _note(sources[0], beyond)
            for piece in _cut(_read_by_tshark(sources, selection), chunk):
                yield from _behind(given, sources[0], piece)
            return
    else:
        return
    reached = max((i for i, source in enumerate(sources) if source.point in given), default=0)
    for source in sources[reached:]:
        yield from _iter_behind(given, [source], chunk, selection)


def _behind(given: dict[str, int], source: Source, piece: pd.DataFrame) -> Iterator[pd.DataFrame]:
    last = given.get(source.point, 0)
    if len(piece) and piece.index[0] <= last:
        piece = piece[piece.index > last]
        if not len(piece):
            return
    given[source.point] = int(piece.index[-1]) if len(piece) else last
    yield piece


def _cut(table: pd.DataFrame, chunk: int) -> Iterator[pd.DataFrame]:
    for first in range(0, max(len(table), 1), chunk):
        yield table.iloc[first : first + chunk]


def narrowed(
    table: pd.DataFrame, where: str, sources: Sequence[Source], selection: Selection
) -> pd.DataFrame | None:
    """Of a table that was read, what `where` lets pass; None where the files must be read again."""
    if selection.decode_as:
        return None
    from k8scap.parser import selecting

    return selecting.narrowed(table, where, sources)


def _read_by_tshark(sources: Sequence[Source], selection: Selection) -> pd.DataFrame:
    from k8scap.parser.reference import pyshark_engine

    return pyshark_engine.read_packets(
        sources,
        columns=selection.columns,
        where=selection.display_filter,
        decode_as=selection.decode_as,
    )


def _read_columnar(sources: Sequence[Source], selection: Selection) -> pd.DataFrame:
    from k8scap.parser import columnar_engine, selecting
    from k8scap.parser.warm_up import compile_if_needed

    compile_if_needed()
    if where := _compiled(selection):
        return selecting.read_selected(sources, where, columns=selection.columns, between=selection.between)
    return columnar_engine.read_packets(
        sources,
        columns=selection.columns,
        chosen=[_chosen(source, selection) for source in sources],
        between=selection.between,
    )


def _iter_columnar(
    sources: Sequence[Source], chunk: int, selection: Selection
) -> Iterator[tuple[Source, pd.DataFrame]]:
    from k8scap.parser import columnar_engine, selecting
    from k8scap.parser.warm_up import compile_if_needed

    compile_if_needed()
    if where := _compiled(selection):
        return selecting.iter_selected(
            sources, where, chunk, columns=selection.columns, between=selection.between
        )
    return columnar_engine.pieces(
        sources,
        chunk,
        columns=selection.columns,
        chosen=[_chosen(source, selection) for source in sources],
        between=selection.between,
    )


def _compiled(selection: Selection) -> Where | None:
    """The filter, where the packets table can answer it: what `decode_as` changes, only tshark knows."""
    if not selection.where or selection.decode_as:
        return None
    from k8scap.parser.where import compile_filter

    return compile_filter(selection.where)


def _chosen(source: Source, selection: Selection) -> np.ndarray | None:
    """The frames that the filter lets pass, as tshark numbers them; None where there is no filter."""
    if not selection.where:
        return None
    from k8scap.parser.reference.dissect import read_fields

    frames = read_fields(source, [], where=selection.where, decode_as=selection.decode_as)
    return frames.index.to_numpy()


def _changes_tunnels(selection: Selection) -> bool:
    """Whether decode_as makes tunnels of what the columnar engine takes for payload."""
    return any(name in TUNNELS for name in selection.decode_as.values())


def _note(source: Source, beyond: Exception) -> None:
    source.notes[
        f"{source.point} was read by tshark, slowly: {beyond}, and the columnar engine knows no such."
    ] = None
