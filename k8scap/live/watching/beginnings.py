"""How payloads begin, read by the records' places: not by going through files that grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.beginnings import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from k8scap.live.watching.growing_table import Place

_RECORD_HEADER = 16


class LiveBeginnings:
    """Asked with positions in `packets`, it answers how each frame's TCP payload begins.

    `places` are those of all its rows, in their order. Where a ring's file is gone the answer is empty.
    """

    def __init__(self, packets: pd.DataFrame, places: Sequence[Place]) -> None:
        self._packets = packets
        self._paths = [place.path for place in places]
        self._file = np.repeat(np.arange(len(places)), [len(place.position) for place in places])
        self._position = np.concatenate([place.position for place in places] or [np.zeros(0, np.int64)])

    def __call__(self, rows: npt.NDArray[np.int64]) -> list[bytes]:
        frames = self._packets[["length", "captured_length", "payload_length"]].iloc[rows]
        length, captured = (frames[name].to_numpy(np.int64) for name in ("length", "captured_length"))
        payload = frames["payload_length"].fillna(0).to_numpy(np.int64)
        first = length - payload
        end = np.minimum(captured, first + np.minimum(payload, MOST_BYTES))
        start = self._position[rows] + _RECORD_HEADER
        words = [b""] * len(rows)
        for file in np.unique(self._file[rows]):
            mine = np.flatnonzero((self._file[rows] == file) & (end > first))
            told = _read(self._paths[file], start[mine] + first[mine], (end - first)[mine])
            for at, word in zip(mine.tolist(), told, strict=True):
                words[at] = word
        return words


def _read(path: Path, offsets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> list[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            return [_at(file, at, n) for at, n in zip(offsets.tolist(), lengths.tolist(), strict=True)]
    except OSError:
        return [b""] * len(offsets)


def _at(file: FileIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
