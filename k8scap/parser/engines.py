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
    """The packets table; what the columnar engine cannot read goes to the other one, with a note."""
    if engine == "columnar" and not _changes_tunnels(selection):
        try:
            return _read_columnar(sources, selection)
        except BeyondThisEngineError as beyond:
            _note(sources, beyond)
    from k8scap.parser import pyshark_engine

    return pyshark_engine.read_packets(
        sources,
        columns=selection.columns,
        where=selection.display_filter,
        decode_as=selection.decode_as,
    )


def iter_packets(
    sources: Sequence[Source], chunk: int, selection: Selection, *, engine: str
) -> Iterator[pd.DataFrame]:
    """The packets table in pieces of `chunk` frames read each, one at the least.

    Where the columnar engine meets what it cannot read, the other one goes on behind the last piece.
    """
    given: dict[str, int] = {}
    if engine == "columnar" and not _changes_tunnels(selection):
        try:
            for source, piece in _iter_columnar(sources, chunk, selection):
                given[source.point] = int(piece.index[-1]) if len(piece) else given.get(source.point, 0)
                yield piece
        except BeyondThisEngineError as beyond:
            _note(sources, beyond)
        else:
            return
    table = read_packets(sources, selection, engine="pyshark")
    if given:
        table = table[table.index.to_numpy() > _last_given(table, given)]
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


def _last_given(table: pd.DataFrame, given: dict[str, int]) -> np.ndarray:
    """For each row, the number of its point's last frame that was given already."""
    import numpy as np

    if "point" not in table:
        return np.full(len(table), max(given.values()))
    return table["point"].astype("str").map(given).fillna(0).to_numpy()


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
    from k8scap.parser.dissect import read_fields

    frames = read_fields(source, [], where=selection.where, decode_as=selection.decode_as)
    return frames.index.to_numpy()


def _changes_tunnels(selection: Selection) -> bool:
    """Whether decode_as makes tunnels of what the columnar engine takes for payload."""
    return any(name in TUNNELS for name in selection.decode_as.values())


def _note(sources: Sequence[Source], beyond: Exception) -> None:
    for source in sources:
        source.notes[f"Read by tshark, slowly: {beyond}, and the columnar engine knows no such."] = None
