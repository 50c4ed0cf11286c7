"""One point's packets table while its files are written: every byte is read once, and old rows are let go.

The columnar engine's state is carried on from one reading to the next, so that the rows are those that
`load` makes of the finished files, TCP analysis and all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.columnar import MOST_FRAMES, FrameReader
from k8scap.parser.source import Source
from k8scap.parser.table.builder import Builder
from k8scap.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.model import Manifest
    from k8scap.parser.columnar import Frames

PIECE = 1 << 16
"""Rows that are let go of together, at the most."""
MOST_CONVERSATIONS = 500_000
"""Remembered by the engine, at about 1 kB each; then it begins anew."""


@dataclass(frozen=True)
class Place:
    """Where the records of some frames lie: `position` in the file `path`, int64, one a frame."""

    path: Path
    position: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Some rows of the table, and where their records lie."""

    table: pd.DataFrame
    places: tuple[Place, ...]


class GrowingTable:
    """Reads on in the files of one point.

    Attributes
    ----------
    rows: how many there have been, those that were let go of included.
    beyond: what of the files only tshark could read, where there is such; nothing is read then.
    """

    def __init__(self, manifest: Manifest, *, most_conversations: int = MOST_CONVERSATIONS) -> None:
        self._source = Source(Recording((), manifest), point=manifest.point)
        self._reader = FrameReader((), threads=False)
        self._builder = Builder(None, [self._source], most=PIECE + MOST_FRAMES)
        self._builder.begin_source(self._source, self._reader)
        self._most_conversations = most_conversations
        self._pieces: deque[Piece] = deque()
        self._places: list[Place] = []
        self._paths: list[Path] = []
        self._newest = -1
        self.rows = 0
        self.beyond = ""

    def read(
        self, begun: Iterable[tuple[Path, int]], heard: Callable[[Frames], None], *, piece: int = PIECE
    ) -> bool:
        """Take what has been written since; `begun` are the files that are there, and the frames before each.

        `heard` is told of the frames, some thousand at a time; about `piece` rows are let go of together.
        What a ring has let go of before it could be read is missing: the numbers go on behind it. Returns
        whether the engine began anew after this, as there had been too many conversations to remember.
        """
        if self.beyond:
            return False
        try:
            self._go_on(heard, piece)
            for path, begin in begun:
                if begin > self._newest:
                    self._newest = begin
                    self._paths.append(path)
                    self._reader.go_on_with(path, begin=begin)
                    self._go_on(heard, piece)
        except BeyondThisEngineError as beyond:
            self.beyond = str(beyond)
        return self._begin_anew() if self._reader.conversations > self._most_conversations else False

    def keep(self, most: int) -> None:
        """Let go of the oldest rows, a piece at a time, as long as `most` are left."""
        while self._pieces and self._kept - len(self._pieces[0].table) >= most:
            self._pieces.popleft()

    def newest(self, most: int) -> list[Piece]:
        """The newest rows, `most` and up to a piece more of them, oldest first; one piece at the least."""
        pieces = [self._open_piece()] if self._builder.frames or not self._pieces else []
        there = sum(len(piece.table) for piece in pieces)
        for piece in reversed(self._pieces):
            if there >= most:
                break
            pieces.append(piece)
            there += len(piece.table)
        return pieces[::-1]

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()

    @property
    def _kept(self) -> int:
        return sum(len(piece.table) for piece in self._pieces) + self._builder.frames

    def _go_on(self, heard: Callable[[Frames], None], piece: int) -> None:
        try:
            for frames in self._reader:
                self._builder.add(frames, None)
                self._places.append(Place(self._paths[frames.block.file], frames.block.position.copy()))
                self.rows += len(frames.block)
                heard(frames)
                if self._builder.frames >= piece:
                    self._close_piece()
        except FileNotFoundError:
            self._reader.reader.pass_over()

    def _open_piece(self) -> Piece:
        """What has come since the last whole piece; its arrays are shared, and grow behind it."""
        self._builder.end_source()
        return Piece(self._builder.table(), tuple(self._places))

    def _close_piece(self) -> None:
        self._pieces.append(Piece(self._builder.piece(), tuple(self._places)))
        self._places = []

    def _begin_anew(self) -> bool:
        if self._builder.frames:
            self._close_piece()
        self._reader.forget()
        self._builder.begin_source(self._source, self._reader)
        return True


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of one point as one, under the newest one's categories: a word keeps its code."""
    import pandas as pd

    if len(tables) == 1:
        return tables[0]
    dtypes = {name: dtype for name, dtype in tables[-1].dtypes.items() if dtype == "category"}
    recoded = [
        table.assign(
            **{
                str(name): pd.Categorical.from_codes(table[name].cat.codes, dtype=dtype, validate=False)
                for name, dtype in dtypes.items()
            }
        )
        for table in tables
    ]
    return pd.concat(recoded)
