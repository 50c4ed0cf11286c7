"""The packets table from the columnar engine: `read_packets` whole, `pieces` one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.errors import UnreadableFileError
from k8scap.parser import growing, vocabulary
from k8scap.parser.columnar import MOST_FRAMES, FrameReader
from k8scap.parser.decode.facts import ABSENT
from k8scap.parser.places import PLACES
from k8scap.parser.progress import counting
from k8scap.schema import PACKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from k8scap.parser.columnar import Frames
    from k8scap.parser.source import Source
    from k8scap.schema import Column

_VERDICTS = tuple(column.name for column in PACKETS if column.dtype == "bool")
_ADDRESSES = ("src", "dst", "outer_src", "outer_dst")
_DIRECTIONS = ["in", "out"]
_COOKED_2 = 276


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
    builder, given = Builder(columns, sources, most=chunk + MOST_FRAMES), False
    for source, numbers in zip(sources, chosen or [None] * len(sources), strict=True):
        for frames in _frames(source, builder, most_frames=chunk):
            builder.add(frames, _rows(frames, numbers, between))
            if builder.frames >= chunk:
                yield source, builder.piece()
                given = True
        if builder.frames or (source is sources[-1] and not given):
            yield source, builder.piece()
            given = True


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


class Builder:
    """Grows the wanted columns; several sources get one set of categories."""

    def __init__(
        self, columns: Sequence[str] | None, sources: Sequence[Source], *, most: int | None = None
    ) -> None:
        self._wanted = [c for c in PACKETS if c.name != "number" and (columns is None or c.name in columns)]
        self._number = growing.Numbers()
        self._most = most
        self._bytes = sum(_size(path) for source in sources for path in source.files)
        self._words: dict[str, dict[str, int]] = {}
        self._source: Source
        self._reader: FrameReader
        self._known = vocabulary.Known()
        self._interfaces: dict[str, int] = {}
        self._columns: growing.Columns | None = None
        self.frames = 0
        """Frames taken since the last piece."""

    def begin_source(self, source: Source, reader: FrameReader) -> None:
        self._source, self._reader = source, reader
        self._interfaces = {}
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
                words = self._vocabulary(column.name)
                known = self._words.setdefault(_family(column.name), {})
                codes = np.array([known.setdefault(word, len(known)) for word in words], np.int32)
                columns.renumber(column.name, codes)
        columns.end_source()

    def table(self) -> pd.DataFrame:
        """The packets table so far, indexed by `number`."""
        import pandas as pd

        columns = self._columns or self._begin_columns(0)
        arrays = {c.name: columns.column(c.name, self._dtype(c)) for c in self._wanted}
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

    def _dtype(self, column: Column) -> Any:
        import pandas as pd

        if column.dtype != "category":
            return None
        words = list(self._words.get(_family(column.name), {}))
        return pd.CategoricalDtype(pd.Index(words, dtype="str"))

    def _fill_given(self, frames: Frames) -> None:
        """What the records say, beside what was found out of their packets."""
        block, count, numbers = frames.block, len(frames.block), frames.numbers
        numbers[PLACES["time"], :count] = block.time
        numbers[PLACES["length"], :count] = block.length
        numbers[PLACES["captured_length"], :count] = block.captured
        numbers[PLACES["point"], :count] = 0
        numbers[PLACES["interface"], :count] = self._interface_codes(frames)
        told = block.direction > 0
        if told.any():
            told &= block.direction <= len(_DIRECTIONS)
            direction = numbers[PLACES["direction"], :count]
            direction[told] = block.direction[told] - 1

    def _vocabulary(self, name: str) -> list[str]:
        known = self._known
        if name in _ADDRESSES:
            return vocabulary.addresses(known)
        if name in ("src_mac", "dst_mac"):
            return vocabulary.macs(known)
        if name == "tunnel":
            return vocabulary.tunnels(known)
        if name == "protocol":
            return vocabulary.protocols(known)
        if name == "direction":
            return _DIRECTIONS
        return list(self._interfaces) if name == "interface" else [self._source.point]

    def _interface_codes(self, frames: Frames) -> np.ndarray:
        """Pcapng's name; a cooked capture's index by the manifest's table; the one interface captured on."""
        only = self._interface_code(self._source.only_interface)
        given = [self._interface_code(i.name) for i in self._reader.reader.interfaces]
        if len(given) == 1 and self._reader.reader.interfaces[0].link_type != _COOKED_2:
            return np.full(1, only if given[0] < 0 else given[0])
        codes: np.ndarray = np.array([only if code < 0 else code for code in given], np.int64)
        codes = codes[frames.block.interface]
        if all(i.link_type != _COOKED_2 for i in self._reader.reader.interfaces):
            return codes
        indices = frames.numbers[PLACES["ifindex"], : len(codes)]
        for index in np.unique(indices):
            if index != ABSENT and (name := self._source.interface_names.get(str(index))):
                codes[indices == index] = self._interface_code(name)
        return codes

    def _interface_code(self, name: str | None) -> int:
        return self._interfaces.setdefault(name, len(self._interfaces)) if name else -1


def _size(path: Path) -> int:
    """Bytes; 0 where it is gone, which reading it will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _family(name: str) -> str:
    """Columns of one family share their categories."""
    if name in _ADDRESSES:
        return "address"
    return "mac" if name in ("src_mac", "dst_mac") else name
