"""All points of a capture that runs, read on together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.live.watching.growing_table import PIECE, GrowingTable, stacked
from k8scap.live.watching.pace import Pace
from k8scap.live.watching.talkers import Talkers
from k8scap.parser.columnar import MOST_FRAMES
from k8scap.parser.table.joining import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from k8scap.live.session.recorder import Recorder
    from k8scap.live.watching.growing_table import Piece
    from k8scap.live.watching.talkers import Talk
    from k8scap.model import Manifest
    from k8scap.parser.columnar import Frames

MOST_ROWS = 1_000_000
"""Of all points together; about 200 bytes each."""


class Points:
    """Their tables, pace and busiest conversations; `MOST_ROWS` newest rows are kept of all together."""

    def __init__(self) -> None:
        self.pace = Pace()
        self._tables: list[GrowingTable] = []
        self._talkers: list[Talkers] = []

    def read(self, recorders: Sequence[Recorder], manifests: Sequence[Manifest]) -> None:
        """Take what has been written since; points that have appeared meanwhile stand behind the others."""
        for manifest in manifests[len(self._tables) :]:
            self._tables.append(GrowingTable(manifest))
            self._talkers.append(Talkers())
        for table, talkers, recorder in zip(self._tables, self._talkers, recorders, strict=False):

            def heard(frames: Frames, talkers: Talkers = talkers) -> None:
                talkers.add(frames)
                self.pace.add(frames.block.time, frames.block.length)

            if table.read(recorder.writer.sink.begun, heard, piece=self._piece):
                talkers.forget()
            table.keep(self._share)

    @property
    def rows(self) -> int:
        """All that were read, those that were let go of included."""
        return sum(table.rows for table in self._tables)

    @property
    def beyond(self) -> str:
        """What of the first point that this engine cannot read is to blame; empty where all can be read."""
        return next((table.beyond for table in self._tables if table.beyond), "")

    def settle(self, seconds: float) -> None:
        """Take what came in the last `seconds` into the conversations' rates."""
        for talkers in self._talkers:
            talkers.settle(seconds)

    def top(self, count: int) -> list[Talk]:
        """The busiest conversations of all points."""
        talks = [talk for talkers in self._talkers for talk in talkers.top(count)]
        return sorted(talks, key=lambda talk: (round(talk.rate), talk.bytes), reverse=True)[:count]

    def packets(self) -> pd.DataFrame:
        """The newest rows, point by point; as `load` has them where none was let go of."""
        tables = [stacked([piece.table for piece in table.newest(self._share)]) for table in self._tables]
        return joined([table.iloc[-self._share :] for table in tables])

    def windows(self, most: int) -> list[list[Piece]]:
        """About the newest `most` rows of each point."""
        return [table.newest(most) for table in self._tables]

    def close(self) -> None:
        for table in self._tables:
            table.close()

    @property
    def _share(self) -> int:
        return MOST_ROWS // max(1, len(self._tables))

    @property
    def _piece(self) -> int:
        """A point keeps a piece more than its share at the most: of many points, small ones."""
        return min(PIECE, max(MOST_FRAMES, self._share // 8))
