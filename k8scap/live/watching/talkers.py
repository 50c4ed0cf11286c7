"""Who talks most just now: counted as the frames come, a few numbers a conversation."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.decode.facts import ABSENT
from k8scap.parser.table import vocabulary
from k8scap.parser.table.places import PLACES

if TYPE_CHECKING:
    import numpy.typing as npt

    from k8scap.parser.columnar import Frames

    Ints = npt.NDArray[np.int64]

_SMOOTHED_SECONDS = 3.0
_MOST, _KEPT = 20_000, 10_000
_STREAM_BIT, _PROTOCOL_AT, _CODE_BITS = 1 << 51, 52, 24


@dataclass
class Talk:
    """One conversation so far: `src` sent its first frame here; bytes are those on the wire.

    `rate` is bytes/s of late, smoothed.
    """

    src: str
    src_port: int | None
    dst: str
    dst_port: int | None
    protocol: str
    packets: int = 0
    bytes: int = 0
    rate: float = 0.0
    fresh: int = 0


class Talkers:
    """The conversations of one point; of very many, those that are busy now are remembered."""

    def __init__(self) -> None:
        self._talks: dict[int, Talk] = {}
        self._addresses: list[str] = []
        self._protocols: list[str] = []

    def add(self, frames: Frames) -> None:
        """Count some frames."""
        count = len(frames.block)
        rows = {name: frames.numbers[PLACES[name], :count] for name in _ROWS}
        keys = _keys(rows)
        which, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        packets = np.bincount(inverse)
        sizes = np.bincount(inverse, weights=frames.block.length).astype(np.int64)
        self._learn(frames)
        for key, at, n, size in zip(
            which.tolist(), first.tolist(), packets.tolist(), sizes.tolist(), strict=True
        ):
            if key < 0:
                continue  # ARP and others without addresses
            talk = self._talks.get(key)
            if talk is None:
                talk = self._talks[key] = self._begin(rows, at)
            talk.packets += n
            talk.bytes += size
            talk.fresh += size

    def settle(self, seconds: float) -> None:
        """Take what came in the last `seconds` into the rates, and forget the quietest of very many."""
        weight = 1 - math.exp(-seconds / _SMOOTHED_SECONDS)
        for talk in self._talks.values():
            talk.rate += weight * (talk.fresh / seconds - talk.rate)
            talk.fresh = 0
        if len(self._talks) > _MOST:
            busiest = heapq.nlargest(_KEPT, self._talks.items(), key=lambda item: _rank(item[1]))
            self._talks = dict(busiest)

    def top(self, count: int) -> list[Talk]:
        """The busiest, as of the last `settle`; of those that are silent, the largest."""
        return heapq.nlargest(count, self._talks.values(), key=_rank)

    def forget(self) -> None:
        """What comes has numbers of its own."""
        self._talks, self._addresses, self._protocols = {}, [], []

    def _learn(self, frames: Frames) -> None:
        vocabulary.add_addresses(self._addresses, frames.known)
        vocabulary.add_protocols(self._protocols, frames.known)

    def _begin(self, rows: dict[str, Ints], at: int) -> Talk:
        src_port, dst_port = (int(rows[name][at]) for name in ("src_port", "dst_port"))
        protocol = int(rows["protocol"][at])
        return Talk(
            src=self._addresses[int(rows["src"][at])],
            src_port=None if src_port == ABSENT else src_port,
            dst=self._addresses[int(rows["dst"][at])],
            dst_port=None if dst_port == ABSENT else dst_port,
            protocol=self._protocols[protocol] if protocol >= 0 else "",
        )


_ROWS = ("protocol", "stream", "src", "dst", "src_port", "dst_port")


def _keys(rows: dict[str, Ints]) -> Ints:
    """A number for each frame's conversation: Wireshark's stream, or the pair of addresses; -1 without."""
    protocol, stream = np.maximum(rows["protocol"], -1), rows["stream"]
    low, high = np.minimum(rows["src"], rows["dst"]), np.maximum(rows["src"], rows["dst"])
    pair = (low << _CODE_BITS) | high
    keys: Ints = ((protocol + 1) << _PROTOCOL_AT) | np.where(stream >= 0, stream | _STREAM_BIT, pair)
    return np.where(low >= 0, keys, -1)


def _rank(talk: Talk) -> tuple[float, int]:
    return (round(talk.rate), talk.bytes)
