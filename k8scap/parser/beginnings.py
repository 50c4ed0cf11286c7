"""How the payloads of chosen frames begin: the few bytes that tell a protocol, without a dissector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.parser.source import Source

MOST_BYTES = 2048
"""A TLS ClientHello with post-quantum keys has about 1,800 bytes, in two segments or one super-packet."""


class Beginnings:
    """Asked with positions in `packets`, it answers how each frame's TCP payload begins.

    At most `MOST_BYTES` of it; empty where nothing of it was captured, and where the file is of a format
    that only tshark reads. The files are streamed through once for each call.
    """

    def __init__(self, sources: Sequence[Source], packets: pd.DataFrame) -> None:
        self._sources = {source.point: source for source in sources}
        self._packets = packets

    def __call__(self, rows: npt.NDArray[np.int64]) -> list[bytes]:
        import numpy as np

        from k8scap.parser.records.first_bytes import payloads

        words = [b""] * len(rows)
        if not len(rows):
            return words
        frames = self._packets[["point", "length", "payload_length"]].iloc[rows].reset_index()
        for point, mine in frames.groupby(frames["point"].astype("object"), sort=False):
            source = self._sources.get(str(point))
            if source is None:
                continue
            mine = mine.sort_values("number", kind="stable")  # noqa: PLW2901 - as the file has them
            numbers = mine["number"].to_numpy(np.int64)
            lengths = mine["payload_length"].fillna(0).to_numpy(np.int64)
            told = payloads(source.files, numbers, lengths, most=MOST_BYTES)
            for place, word in zip(mine.index.tolist(), told, strict=True):
                words[place] = word
        return words
