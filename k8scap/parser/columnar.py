"""The columnar engine: blocks of records → facts → numbers, in step, on two cores where there are two.

While one block is followed (in order, with the state of all conversations), the next one is read and decoded
in a thread of its own: kernels hold no lock.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.parser.decode.facts import SIZE
from k8scap.parser.decode.walk import ROWS_A_FRAME, decode, first_layers
from k8scap.parser.follow import follow
from k8scap.parser.places import PLACES
from k8scap.parser.record_reader import RecordReader
from k8scap.parser.state import new_state, reserve_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from k8scap.parser.record_reader import Block
    from k8scap.parser.state import State

MOST_FRAMES = 4096
"""Frames a step: their numbers stay in the processor's cache, and steps are few."""
_ROWS = MOST_FRAMES * 3 // 2 + ROWS_A_FRAME
_AHEAD = 2
_PADDING = 24
"""Columns that lie a power of two apart would share the few places of the processor's cache."""
_FIRST_LAYERS = first_layers()


class BeyondThisEngineError(Exception):
    """A file that this engine cannot read, and why: the other one is asked."""


@dataclass(frozen=True)
class Frames:
    """Some frames' numbers: `numbers` is int64[len(PLACES), frames], `ABSENT` where there is none.

    `begin` is how many frames came before them; `block` has their times and lengths.
    """

    block: Block
    numbers: np.ndarray
    begin: int


@dataclass(frozen=True)
class _Decoded:
    """Facts of some of a block's frames: `count` rows."""

    block: Block
    first: int
    end: int
    rows: np.ndarray
    count: int


class FrameReader:
    """Reads files of one point; `state` and `reader` tell what the numbers mean.

    May be iterated again after its end, for what has been written since. Raises BeyondThisEngineError.
    """

    def __init__(self, files: Sequence[Path], *, most_frames: int = MOST_FRAMES) -> None:
        self.reader = RecordReader(files, most_records=most_frames)
        self.state: State = new_state()
        self._most_frames = most_frames
        self._spare: list[np.ndarray] = []
        self._begin = 0

    def __iter__(self) -> Iterator[Frames]:
        """Frames, some thousand at a time; their `numbers` are overwritten by the next ones."""
        room = np.empty((len(PLACES), self._most_frames + _PADDING), np.int64)
        for some in _ahead(self._decode):
            count = some.end - some.first
            self.state = reserve_state(self.state, some.count)
            numbers = room[:, :count]
            follow(some.rows, some.count, some.block.time, some.first, numbers, self.state)
            self._spare.append(some.rows)
            yield Frames(_part(some.block, some.first, some.end), numbers, self._begin)
            self._begin += count
        if not self.reader.supported:
            raise BeyondThisEngineError("it is neither pcap nor pcapng")

    def close(self) -> None:
        """Let go of the files."""
        self.reader.close()

    def _decode(self) -> Iterator[_Decoded]:
        for block in self.reader:
            first_layer = self._first_layer(block)
            first, end = 0, len(block)
            while first < end:
                rows = self._spare.pop() if self._spare else np.empty((_ROWS, SIZE), np.int64)
                following, count = decode(
                    block.buffer, block.start, block.captured, block.length, first_layer, first, end, rows
                )
                yield _Decoded(block, first, following, rows, count)
                first = following

    def _first_layer(self, block: Block) -> np.ndarray:
        """The outermost layer's code by record."""
        links = np.array([interface.link_type for interface in self.reader.interfaces], np.int64)
        codes = np.where(links < len(_FIRST_LAYERS), _FIRST_LAYERS[links & 0xFFFF], -1)
        by_record: np.ndarray = codes[block.interface]
        if (by_record < 0).any():
            link = links[block.interface[by_record < 0][0]]
            raise BeyondThisEngineError(f"it has frames of link type {link}")
        return by_record


def _part(block: Block, first: int, end: int) -> Block:
    from dataclasses import replace

    if first == 0 and end == len(block):
        return block
    columns = ("start", "captured", "length", "time", "interface", "direction", "position")
    return replace(block, **{name: getattr(block, name)[first:end] for name in columns})


def _ahead(make: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """The iterator's items, made in a thread, a few ahead of the one who takes them."""
    items: queue.Queue[tuple[bool, Any]] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def produce() -> None:
        try:
            for item in make():
                if not _put(items, (True, item), stop):
                    return
            _put(items, (False, None), stop)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            _put(items, (False, error), stop)

    thread = threading.Thread(target=produce, name="k8scap-decode", daemon=True)
    thread.start()
    try:
        while True:
            more, item = items.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        stop.set()
        thread.join()


def _put(items: queue.Queue[Any], item: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            items.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
