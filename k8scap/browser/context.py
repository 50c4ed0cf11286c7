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
    behind it; see `companions`.
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
    """Positions (rising) of a row's conversation within its capture point, with its datagram's fragments.

    Of TCP and UDP it is the stream; else what the same two addresses exchange in the same protocol, as an
    echo request and its reply; of a frame without addresses the frame alone.
    """
    here = _same(packets["point"].cat.codes, position) & _same(packets["protocol"].cat.codes, position)
    stream = packets["stream"].to_numpy(np.int64, na_value=-1)
    src, dst = packets["src"].cat.codes.to_numpy(), packets["dst"].cat.codes.to_numpy()
    ends = src[position], dst[position]
    if stream[position] >= 0:
        same = here & (stream == stream[position])
    elif min(ends) >= 0:
        same = here & (((src == ends[0]) & (dst == ends[1])) | ((src == ends[1]) & (dst == ends[0])))
    else:
        same = np.arange(len(packets)) == position
    ip_id = packets["ip_id"].to_numpy(np.int64, na_value=-1)
    if ip_id[position] >= 0:
        datagram = (ip_id == ip_id[position]) & (src == ends[0]) & (dst == ends[1])
        datagram &= _same(packets["point"].cat.codes, position)
        offset = packets["fragment_offset"].to_numpy(np.int64, na_value=0)
        if (offset[datagram] > 0).any():
            same |= datagram
    return np.flatnonzero(same).astype(np.int64)


def _same(codes: pd.Series, position: int) -> npt.NDArray[np.bool_]:
    values = codes.to_numpy()
    same: npt.NDArray[np.bool_] = values == values[position]
    return same
