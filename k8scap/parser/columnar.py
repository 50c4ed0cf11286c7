"""The columnar engine: blocks of records → facts → numbers, in step, on two cores where there are two.

While one block's numbers are taken, the next one is followed (in order, with the state of all conversations)
in a thread of its own, and the one after that is read and decoded in another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.ahead import ahead, in_step
from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.conversations.follow import follow
from k8scap.parser.conversations.state import new_state, reserve_state
from k8scap.parser.decode.facts import SIZE
from k8scap.parser.decode.walk import ROWS_A_FRAME, decode, first_layers
from k8scap.parser.records.reader import RecordReader
from k8scap.parser.table.places import PLACES
from k8scap.parser.table.vocabulary import Known, known

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.conversations.state import State
    from k8scap.parser.records.reader import Block

MOST_FRAMES = 4096
"""Frames a step: their numbers stay in the processor's cache, and steps are few."""
_ROWS = MOST_FRAMES * 3 // 2 + ROWS_A_FRAME
_PADDING = 24
"""Columns that lie a power of two apart would share the few places of the processor's cache."""
_FIRST_LAYERS = first_layers()


@dataclass(frozen=True)
class Frames:
    """Some frames' numbers: `numbers` is int64[len(PLACES), frames or more], `ABSENT` where there is none.

    `begin` is how many frames came before them; `block` has what their records say, `known` what the numbers
    of addresses and so on stand for. The rows of places.GIVEN are for who takes the frames to fill.
    """

    block: Block
    numbers: np.ndarray
    begin: int
    known: Known

    def cut(self, count: int) -> tuple[Frames, Frames]:
        """The first `count` of them, and the others."""
        first = replace(self, block=self.block.part(0, count))
        others = replace(
            self,
            block=self.block.part(count, len(self.block)),
            numbers=np.ascontiguousarray(self.numbers[:, count:]),
            begin=self.begin + count,
        )
        return first, others


@dataclass(frozen=True)
class _Decoded:
    """Facts of some of a block's frames: `count` rows, `announcing` of them of frames with announcements."""

    block: Block
    first: int
    end: int
    rows: np.ndarray
    count: int
    announcing: int


class FrameReader:
    """Reads files of one point; `reader` tells of their interfaces.

    May be iterated again after its end, for what has been written since. Raises BeyondThisEngineError.
    Without `threads` all is done in the caller's.
    """

    def __init__(
        self, files: Sequence[Path], *, most_frames: int = MOST_FRAMES, threads: bool = True
    ) -> None:
        self.reader = RecordReader(files, most_records=most_frames)
        self._made = ahead if threads else in_step
        self._state: State = new_state()
        self._most_frames = most_frames
        self._spare_rows: list[np.ndarray] = []
        self._spare_numbers: list[np.ndarray] = []
        self._links = self._layers = np.empty(0, np.int64)
        self._begin = 0

    def __iter__(self) -> Iterator[Frames]:
        """Frames, some thousand at a time; their `numbers` are good until the next ones are asked for."""
        for frames in self._made(self._follow):
            yield frames
            self._spare_numbers.append(frames.numbers)
        if self.reader.beyond:
            raise BeyondThisEngineError(self.reader.beyond)

    def go_on_with(self, path: Path, *, begin: int) -> None:
        """Read one more file, before which the capture had `begin` frames: those not read are left out.

        To be called when all before it has been read, and without `threads`.
        """
        self.reader.add(path)
        self._begin = begin

    @property
    def conversations(self) -> int:
        """How many are remembered."""
        return int(self._state.pairs.count[0])

    def forget(self) -> None:
        """Begin anew with what comes: conversations, addresses and so on are numbered from 0 again."""
        self._state = new_state()

    def close(self) -> None:
        """Let go of the files."""
        self.reader.close()

    def _follow(self) -> Generator[Frames, None, None]:
        for some in self._made(self._decode):
            count = some.end - some.first
            self._state = reserve_state(self._state, some.count, some.announcing)
            numbers = self._spare_numbers.pop() if self._spare_numbers else self._room()
            follow(some.rows, some.count, some.block.moment, some.first, self._begin, numbers, self._state)
            self._spare_rows.append(some.rows)
            yield Frames(some.block.part(some.first, some.end), numbers, self._begin, known(self._state))
            self._begin += count

    def _room(self) -> np.ndarray:
        return np.empty((len(PLACES), self._most_frames + _PADDING), np.int64)

    def _decode(self) -> Generator[_Decoded, None, None]:
        for block in self.reader:
            first_layer = self._first_layer(block)
            first, end = 0, len(block)
            while first < end:
                rows = self._spare_rows.pop() if self._spare_rows else np.empty((_ROWS, SIZE), np.int64)
                following, count, announcing = decode(
                    block.buffer, block.start, block.captured, block.length, first_layer, first, end, rows
                )
                yield _Decoded(block, first, following, rows, count, announcing)
                first = following

    def _first_layer(self, block: Block) -> np.ndarray:
        """The outermost layer's code by record."""
        new = [interface.link_type for interface in self.reader.interfaces[len(self._links) :]]
        if new:
            self._links = np.append(self._links, np.array(new, np.int64))
            known = self._links < len(_FIRST_LAYERS)
            self._layers = np.where(known, _FIRST_LAYERS[self._links & 0xFFFF], -1)
        by_record: np.ndarray = self._layers[block.interface]
        if (by_record < 0).any():
            link = self._links[block.interface[by_record < 0][0]]
            raise BeyondThisEngineError(f"it has frames of link type {link}")
        return by_record
