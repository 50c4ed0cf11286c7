"""Which segments of a TLS conversation can be read: the hellos, the certificates, the alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.payloads import payloads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.parser.requests.conversations import Carriers

GREETING_SEGMENTS = 16
"""Of each side: a chain of certificates is at most some 16 KB, of which a segment holds 1.4 KB."""

_ALERT, _DATA = 21, 23
_MAJOR = 3


def greetings(segments: Carriers, files: Sequence[Path]) -> np.ndarray:
    """Rows of the segments before a side's first that begins with application data, and all with alerts.

    Record types are those of RFC 8446 (5.1). Raises BeyondThisEngineError.
    """
    kind = np.zeros(len(segments), np.uint8)
    for some in payloads(files, segments.number, segments.payload, segments.ports):
        beginnings = some.beginnings(2)
        kind[some.rows] = np.where(beginnings[:, 1] == _MAJOR, beginnings[:, 0], 0)
    order = np.argsort(segments.side, kind="stable")
    sides = segments.side[order]
    starts = np.flatnonzero(np.concatenate(([True], sides[1:] != sides[:-1])))
    group = np.cumsum(np.concatenate(([True], sides[1:] != sides[:-1]))) - 1
    place = np.arange(len(order)) - starts[group]
    data = np.cumsum(kind[order] == _DATA)
    data_before = data - np.where(starts > 0, data[starts - 1], 0)[group]
    early = (place < GREETING_SEGMENTS) & (data_before == 0)
    rows: np.ndarray = np.sort(order[early | (kind[order] == _ALERT)])
    return rows
