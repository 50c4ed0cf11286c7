"""The frames that Wireshark must see to dissect one: those of its conversation around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

FIRST = 16
"""Frames from a conversation's beginning: the handshake, and what was agreed on."""
BEFORE = 600
BEFORE_BYTES = 1 << 20
AFTER = 64
"""Frames behind it: where an answer, or the rest of a message, may stand."""
LAST = 8
"""Frames from a conversation's end: whether it was closed."""


def context(packets: pd.DataFrame, position: int) -> npt.NDArray[np.int64]:
    """Numbers (rising) of the frames of the same point to dissect with the one at `position`, it among them.

    Its conversation's first and last ones, those before it (as far as 600 frames and 1 MiB go) and some
    behind it; of a fragment its datagram's other fragments; else the frame alone.
    """
    of_it = companions(packets, position)
    numbers = packets.index.to_numpy()
    place = int(np.searchsorted(of_it, position))
    sizes = packets["captured_length"].to_numpy()[of_it[:place][::-1]].astype(np.int64)
    fitting = int(np.searchsorted(np.cumsum(sizes), BEFORE_BYTES, side="right"))
    begin = place - min(fitting, BEFORE)
    around = of_it[begin : place + 1 + AFTER]
    chosen = np.concatenate([of_it[: min(FIRST, begin)], around, of_it[-LAST:]])
    return np.unique(numbers[chosen]).astype(np.int64)


def companions(packets: pd.DataFrame, position: int) -> npt.NDArray[np.int64]:
    """Positions (rising) of a row's conversation or datagram, within its capture point."""
    here = _same(packets["point"].cat.codes, position)
    stream = packets["stream"].to_numpy(np.int64, na_value=-1)
    if stream[position] >= 0:
        protocol = packets["protocol"].cat.codes.to_numpy()
        same = (stream == stream[position]) & (protocol == protocol[position])
        return np.flatnonzero(here & same).astype(np.int64)
    ip_id = packets["ip_id"].to_numpy(np.int64, na_value=-1)
    offset = packets["fragment_offset"].to_numpy(np.int64, na_value=0)
    if ip_id[position] >= 0 and offset[position] > 0:
        src, dst = packets["src"].cat.codes.to_numpy(), packets["dst"].cat.codes.to_numpy()
        same = (ip_id == ip_id[position]) & (src == src[position]) & (dst == dst[position])
        return np.flatnonzero(here & same).astype(np.int64)
    return np.array([position], np.int64)


def _same(codes: pd.Series, position: int) -> npt.NDArray[np.bool_]:
    values = codes.to_numpy()
    same: npt.NDArray[np.bool_] = values == values[position]
    return same
