"""The packets table as it grows: numbers of frames in, pandas columns out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.table import growing, vocabulary
from k8scap.parser.table.categories import Categories, family
from k8scap.parser.table.interface_codes import InterfaceCodes
from k8scap.parser.table.places import PLACES
from k8scap.schema import PACKETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from k8scap.parser.columnar import FrameReader, Frames
    from k8scap.parser.source import Source

_VERDICTS = tuple(column.name for column in PACKETS if column.dtype == "bool")
_DIRECTIONS = ["in", "out"]
_ADD = {
    "address": vocabulary.add_addresses,
    "mac": vocabulary.add_macs,
    "tunnel": vocabulary.add_tunnels,
    "protocol": vocabulary.add_protocols,
}


class Builder:
    """Grows the wanted columns; several sources get one set of categories."""

    def __init__(
        self, columns: Sequence[str] | None, sources: Sequence[Source], *, most: int | None = None
    ) -> None:
        self._wanted = [c for c in PACKETS if c.name != "number" and (columns is None or c.name in columns)]
        self._number = growing.Numbers()
        self._most = most
        self._bytes = sum(_size(path) for source in sources for path in source.files)
        self._categories = Categories()
        self._source: Source
        self._interfaces: InterfaceCodes
        self._known = vocabulary.Known()
        self._columns: growing.Columns | None = None
        self.frames = 0
        """Frames taken since the last piece."""

    def begin_source(self, source: Source, reader: FrameReader) -> None:
        self._source = source
        self._interfaces = InterfaceCodes(source, reader.reader.interfaces)
        self._categories.begin_source()
        self._known = vocabulary.Known()

    def add(self, frames: Frames, rows: np.ndarray | None) -> None:
        """Take some frames' numbers, those of `rows` only where it is given."""
        columns = self._columns or self._begin_columns(self._expected(frames) if rows is None else len(rows))
        count = len(frames.block)
        self.frames += count
        self._known = frames.known
        self._number.add(frames.begin + 1, count, rows)
        self._fill_given(frames)
        if rows is None:
            columns.add(frames.numbers, count)
        else:
            columns.add(np.ascontiguousarray(frames.numbers[:, rows]), len(rows))

    def end_source(self) -> None:
        """Number the source's addresses, names and so on as the table does."""
        columns = self._columns or self._begin_columns(0)
        for column in self._wanted:
            if column.dtype == "category":
                name = family(column.name)
                columns.renumber(column.name, self._categories.codes(name, partial(self._add_words, name)))
        columns.end_source()

    def table(self) -> pd.DataFrame:
        """The packets table so far, indexed by `number`."""
        import pandas as pd

        columns = self._columns or self._begin_columns(0)
        arrays = {
            c.name: columns.column(
                c.name, self._categories.dtype(family(c.name)) if c.dtype == "category" else None
            )
            for c in self._wanted
        }
        return pd.DataFrame(arrays, index=self._number.index(), copy=False)

    def piece(self) -> pd.DataFrame:
        """The table of what came since the last piece."""
        self.end_source()
        table = self.table()
        self._columns = None
        self._number = growing.Numbers()
        self.frames = 0
        return table

    def _begin_columns(self, capacity: int) -> growing.Columns:
        names = ["verdicts" if column.name in _VERDICTS else column.name for column in self._wanted]
        bits = [1 << _VERDICTS.index(c.name) if c.name in _VERDICTS else 0 for c in self._wanted]
        self._columns = growing.Columns(self._wanted, [PLACES[name] for name in names], bits, capacity)
        return self._columns

    def _expected(self, frames: Frames) -> int:
        """How many frames there will be, if all are as long as these; a table takes no more than `most`."""
        block = frames.block
        read = int(block.position[-1] - block.position[0] + block.captured[-1]) if len(block) else 0
        expected = int(1.02 * self._bytes * len(block) / read) if read else 0
        return max(len(block), expected if self._most is None else min(expected, self._most))

    def _fill_given(self, frames: Frames) -> None:
        """What the records say, beside what was found out of their packets."""
        block, count, numbers = frames.block, len(frames.block), frames.numbers
        numbers[PLACES["time"], :count] = block.time
        numbers[PLACES["length"], :count] = block.length
        numbers[PLACES["captured_length"], :count] = block.captured
        numbers[PLACES["point"], :count] = 0
        numbers[PLACES["interface"], :count] = self._interfaces.codes(frames)
        told = block.direction > 0
        if told.any():
            told &= block.direction <= len(_DIRECTIONS)
            direction = numbers[PLACES["direction"], :count]
            direction[told] = block.direction[told] - 1

    def _add_words(self, name: str, words: list[str]) -> None:
        """Append what the source's numbers of a family stand for, as far as `words` lacks it."""
        if name in _ADD:
            _ADD[name](words, self._known)
        elif name == "interface":
            self._interfaces.add_words(words)
        else:
            words += (_DIRECTIONS if name == "direction" else [self._source.point])[len(words) :]


def _size(path: Path) -> int:
    """Bytes; 0 where it is gone, which reading it will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
