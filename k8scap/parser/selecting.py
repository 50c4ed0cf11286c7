"""Frames that a display filter lets pass, chosen from the packets table as it is read.

The table answers for nearly every frame; tshark is asked about those that it is unsure of, and about them
alone where that is enough.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser import columnar_engine
from k8scap.parser.records.extract import write_frames
from k8scap.parser.reference.dissect import read_fields
from k8scap.parser.source import Source
from k8scap.parser.table.joining import joined
from k8scap.parser.where import compile_filter
from k8scap.recording import Recording
from k8scap.schema import PACKET_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from k8scap.parser.where import Where

_PIECE = 1 << 20
_COLUMNS = [name for name in PACKET_COLUMNS if name != "number"]


def read_selected(
    sources: Sequence[Source],
    where: Where,
    *,
    columns: Sequence[str] | None = None,
    between: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """The rows of `columnar_engine.read_packets` that pass; memory is needed for these alone.

    Raises BeyondThisEngineError for a file that the columnar engine cannot read.
    """
    parts: list[pd.DataFrame] = []
    unsure: dict[Source, list[np.ndarray]] = {source: [] for source in sources}
    alone = True
    needed = _needed(where, columns)
    for source, piece in columnar_engine.pieces(sources, _PIECE, columns=needed, between=between):
        judgement = where.judge(piece)
        parts.append(piece[judgement.mask | judgement.unsure])
        unsure[source].append(piece.index.to_numpy()[judgement.unsure])
        alone &= judgement.alone
    table = joined(parts)
    kept = np.ones(len(table), bool)
    for source, some in unsure.items():
        if len(asked := np.concatenate([[], *some]).astype(np.int64)):
            refused = np.setdiff1d(asked, _passing(source, where.text, asked, alone=alone))
            kept &= ~(table.index.isin(refused) & (table["point"] == source.point).to_numpy())
    table = table if kept.all() else table[kept]
    return table[[name for name in _COLUMNS if columns is None or name in columns]]


def iter_selected(
    sources: Sequence[Source],
    where: Where,
    chunk: int,
    *,
    columns: Sequence[str] | None = None,
    between: tuple[int, int] | None = None,
) -> Iterator[tuple[Source, pd.DataFrame]]:
    """What passes of each `chunk` frames, and whose they are."""
    wanted = [name for name in _COLUMNS if columns is None or name in columns]
    needed = _needed(where, columns)
    settled = {source: _Settled(source, where, between) for source in sources}
    for source, piece in columnar_engine.pieces(sources, chunk, columns=needed, between=between):
        judgement = where.judge(piece)
        passed = judgement.mask.copy()
        if judgement.unsure.any():
            unsure = piece.index.to_numpy()[judgement.unsure]
            passed[judgement.unsure] = settled[source].passing(unsure)
        yield source, piece[passed][wanted]


class _Settled:
    """A source's unsure frames: tshark is asked once about all, and again where the file has grown."""

    def __init__(self, source: Source, where: Where, between: tuple[int, int] | None) -> None:
        self._source, self._where, self._between = source, where, between
        self._asked = np.empty(0, np.int64)
        self._passing = np.empty(0, np.int64)

    def passing(self, numbers: np.ndarray) -> np.ndarray:
        """Which of these unsure frames pass, bool."""
        if numbers[-1] > self._asked[-1:].max(initial=0):
            self._ask()
        return np.isin(numbers, self._passing)

    def _ask(self) -> None:
        unsure, alone = [self._asked[:0]], True
        columns = _needed(self._where, ())
        for _, piece in columnar_engine.pieces(
            [self._source], _PIECE, columns=columns, between=self._between
        ):
            judgement = self._where.judge(piece)
            unsure.append(piece.index.to_numpy()[judgement.unsure])
            alone &= judgement.alone
        self._asked = np.concatenate(unsure)
        self._passing = _passing(self._source, self._where.text, self._asked, alone=alone)


def passing(where: Where, sources: Sequence[Source], table: pd.DataFrame) -> np.ndarray:
    """Which rows of the sources' table pass, bool[rows]. Raises SchemaError for a missing column."""
    judgement = where.judge(table)
    passed = judgement.mask.copy()
    numbers, codes = table.index.to_numpy(), table["point"].cat.codes.to_numpy()
    points = list(table["point"].cat.categories)
    for source in sources:
        if source.point in points:
            rows = np.flatnonzero(judgement.unsure & (codes == points.index(source.point)))
            if len(rows):
                told = _passing(source, where.text, numbers[rows], alone=judgement.alone)
                passed[rows] = np.isin(numbers[rows], told)
    return passed


def narrowed(table: pd.DataFrame, text: str, sources: Sequence[Source]) -> pd.DataFrame | None:
    """The rows of the sources' table that pass; None where the table cannot tell."""
    where = compile_filter(text)
    if where is None or not {*where.columns, "point"} <= {"number", *table.columns}:
        return None
    return table[passing(where, sources, table)]


def _needed(where: Where, columns: Sequence[str] | None) -> list[str]:
    return _COLUMNS if columns is None else ["point", *where.columns, *columns]


def _passing(source: Source, text: str, numbers: np.ndarray, *, alone: bool) -> np.ndarray:
    """Numbers of the frames that tshark lets pass, of the whole capture where `numbers` are not enough."""
    if not alone:
        of_all: np.ndarray = read_fields(source, [], where=text).index.to_numpy()
        return of_all
    folder = Path(tempfile.mkdtemp(prefix="k8scap-"))
    try:
        few = folder / "few.pcapng"
        write_frames(few, source.files, numbers)
        places = read_fields(Source(Recording((few,))), [], where=text).index.to_numpy()
        passed: np.ndarray = np.unique(numbers)[places - 1]
        return passed
    finally:
        shutil.rmtree(folder, ignore_errors=True)
