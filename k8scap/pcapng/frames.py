"""One capture point's frames as pcapng blocks, batch by batch: memory is bounded by the batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from k8scap.errors import UnreadableFileError
from k8scap.parser.records.kernels import NO_TIME
from k8scap.parser.records.reader import RecordReader
from k8scap.pcapng import blocks
from k8scap.pcapng.packet_options import options_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8scap.parser.records.pcapng_blocks import Interface
    from k8scap.parser.records.reader import Block

_HEAD, _TAIL = 28, 4

Keep = Callable[[memoryview, int], int]
"""A frame's captured bytes and its link type → how many of them are kept, from the first on."""


@dataclass(frozen=True, kw_only=True)
class PointFrames:
    """What is written of one capture point.

    `numbers` are the frames' (from 1, over all `files`; None: all). `interface` is the name of one that the
    file does not name. `comments` are those to add, by number. `secrets`, `names` and `foreign_comments` say
    whether the files' own decryption secrets, names and comments go along; `keep` how much of a frame does
    (None: all). `named` are (packed) addresses whose names the files shall not tell, `interfaces` the only
    interfaces whose names they may (None: all).
    """

    point: str
    files: Sequence[Path]
    numbers: np.ndarray | None = None
    interface: str = ""
    comments: Mapping[int, Sequence[str]] = field(default_factory=dict)
    secrets: bool = True
    names: bool = True
    foreign_comments: bool = True
    named: frozenset[bytes] = frozenset()
    keep: Keep | None = None
    interfaces: frozenset[str] | None = None


@dataclass(frozen=True)
class Batch:
    """Blocks of some frames, block i being data[ends[i - 1]:ends[i]]; `head` comes before them all.

    `order` (int64) never falls, over all batches of a point: the latest time (ns) so far.
    """

    head: bytes
    data: memoryview
    ends: np.ndarray
    order: np.ndarray


def batches(what: PointFrames, new_interface: Iterator[int]) -> Iterator[Batch]:
    """The point's frames, in the order of its files; `new_interface` gives numbers that are free.

    A batch's `head` must be written before the next batch, of whatever point, is made. Raises OSError where
    a file cannot be read, and UnreadableFileError where it holds what is no packet.
    """
    reader = RecordReader(what.files)
    wanted = None if what.numbers is None else np.unique(np.asarray(what.numbers, np.int64))
    ids: list[int] = []
    others, latest = 0, NO_TIME
    try:
        for whole in reader:
            before = reader.frames - len(whole)
            chosen = _chosen(wanted, before, reader.frames)
            fresh = reader.interfaces[len(ids) :]
            ids.extend(itertools.islice(new_interface, len(fresh)))
            head = b"".join(_interface(each, what) for each in fresh)
            head += b"".join(_other(block, what) for block in reader.kept_blocks[others:])
            others = len(reader.kept_blocks)
            order = np.maximum.accumulate(np.maximum(whole.time[chosen], latest))
            latest = int(order[-1]) if len(order) else latest
            links = [each.link_type for each in reader.interfaces]
            numbers = np.asarray(ids, np.int64)[whole.interface[chosen]]
            data, ends = _written(
                whole,
                chosen,
                interface=numbers,
                links=links,
                what=what,
                options=options_of(whole, chosen, before, what),
            )
            yield Batch(head, data, ends, order)
            if wanted is not None and (not len(wanted) or reader.frames >= wanted[-1]):
                return
        if reader.beyond:
            raise UnreadableFileError(
                f"{what.files[0].name} cannot be written again: {reader.beyond}.",
                path=str(what.files[0]),
                next_step=f"wireshark {what.files[0]}",
            )
    finally:
        reader.close()


def _chosen(wanted: np.ndarray | None, before: int, until: int) -> np.ndarray:
    """Which of the records behind frame `before` are wanted: places in the block."""
    if wanted is None:
        return np.arange(until - before)
    first, end = np.searchsorted(wanted, [before + 1, until + 1])
    return wanted[first:end] - before - 1


def _interface(interface: Interface, what: PointFrames) -> bytes:
    told = interface.name if what.interfaces is None or interface.name in what.interfaces else ""
    name = told or what.interface or what.point
    return blocks.interface(interface.link_type, interface.snaplen, name=name, description=what.point)


def _other(kept: bytes, what: PointFrames) -> bytes:
    """Names and secrets of the file, as far as they go along."""
    if int.from_bytes(kept[:4], "little") == blocks.SECRETS:
        return kept if what.secrets else b""
    return blocks.names_without(kept, set(what.named)) if what.names else b""


def _written(
    whole: Block,
    chosen: np.ndarray,
    *,
    interface: np.ndarray,
    links: Sequence[int],
    what: PointFrames,
    options: Mapping[int, bytes],
) -> tuple[memoryview, np.ndarray]:
    """The blocks of the chosen records, and where each ends."""
    view = memoryview(whole.buffer.data).cast("B")
    captured = _kept(whole, chosen, view, links, what.keep)
    room = captured + (-captured % 4)
    size = _HEAD + room + _TAIL
    for i, told in options.items():
        size[i] += len(told)
    ends = np.cumsum(size)
    begins = ends - size
    out = np.zeros(int(size.sum()), np.uint8)
    time = whole.time[chosen]
    ticks = np.where(time == NO_TIME, 0, time).view(np.uint64)  # without a time: 1970
    heads = (
        np.full(len(size), blocks.PACKET), size, interface,
        ticks >> np.uint64(32), ticks & np.uint64(0xFFFFFFFF), captured, whole.length[chosen],
    )  # fmt: skip
    _scatter(out, begins, heads)
    _scatter(out, ends - _TAIL, (size,))
    target = memoryview(out.data).cast("B")
    starts = whole.start[chosen].tolist()
    for to, at, length in zip((begins + _HEAD).tolist(), starts, captured.tolist(), strict=True):
        target[to : to + length] = view[at : at + length]
    for i, told in options.items():
        at = int(begins[i]) + _HEAD + int(room[i])
        target[at : at + len(told)] = told
    return target, ends


def _kept(
    whole: Block, chosen: np.ndarray, view: memoryview, links: Sequence[int], keep: Keep | None
) -> np.ndarray:
    """How many bytes of each chosen record are written."""
    captured: np.ndarray = whole.captured[chosen]
    if keep is None:
        return captured
    columns = (whole.start[chosen].tolist(), captured.tolist(), whole.interface[chosen].tolist())
    kept = [
        min(size, keep(view[at : at + size], links[interface]))
        for at, size, interface in zip(*columns, strict=True)
    ]
    return np.array(kept, np.int64)


def _scatter(out: np.ndarray, at: np.ndarray, words: Sequence[np.ndarray]) -> None:
    """Write 32-bit words, one column each, behind one another from each of some places on."""
    columns = np.stack([word.astype("<u4") for word in words], axis=1)
    out[at[:, None] + np.arange(4 * len(words))] = columns.view(np.uint8)
