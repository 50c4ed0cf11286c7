"""The segments that carry something, as arrays, and which protocol each of their conversations speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.payloads import payloads
from k8scap.parser.requests.signatures import BY_PORT, LOOKED_AT, METHODS, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

NEEDED = (
    "number", "point", "protocol", "stream", "src", "dst", "src_port", "dst_port", "seq_raw",
    "payload_length",
)  # fmt: skip

_FIRST_BYTES = np.array(sorted({*b"\x00\x16*PH", *(method[0] for method in METHODS)}), np.uint8)
"""Of all protocols but two, whose fourth byte is 0: the upper one of a length."""
_OPENINGS = re.compile(
    b"|".join(b"(?P<p%d>%s)" % (i, p.opens.pattern) for i, p in enumerate(PROTOCOLS)), re.DOTALL
)


@dataclass(frozen=True, eq=False)
class Carriers:
    """Segments with payload of one point, in capture order; one array element a segment (int64).

    `side` is 2·stream, or 2·stream+1 for the other of the two directions: which one sent first is not told.
    """

    number: np.ndarray
    stream: np.ndarray
    side: np.ndarray
    payload: np.ndarray
    src_port: np.ndarray
    dst_port: np.ndarray
    sequence: np.ndarray

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: np.ndarray) -> Carriers:
        """Some of them."""
        return Carriers(
            self.number[rows], self.stream[rows], self.side[rows], self.payload[rows], self.src_port[rows],
            self.dst_port[rows], self.sequence[rows],
        )  # fmt: skip

    @property
    def ports(self) -> np.ndarray:
        """The two ports of each in one number."""
        both: np.ndarray = self.src_port << 16 | self.dst_port
        return both

    @property
    def new(self) -> np.ndarray:
        """Rows of those whose bytes no earlier one of them carried, from first to last."""
        order = np.lexsort((self.number, self.payload, self.sequence, self.side))
        again = np.zeros(len(self), bool)
        keys = [key[order] for key in (self.payload, self.sequence, self.side)]
        again[order[1:]] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
        return np.flatnonzero(~again)


def carriers(packets: pd.DataFrame) -> Carriers:
    """Those of one point's packets; an RST carries nothing that anybody reads."""
    payload = packets["payload_length"].to_numpy(np.int32, na_value=0)
    stream = packets["stream"].to_numpy(np.int32, na_value=-1)
    tcp = packets["protocol"].eq("TCP").to_numpy(bool)
    rows = np.flatnonzero(tcp & (payload > 0) & (stream >= 0))
    ports = [packets[name].to_numpy(np.int32, na_value=0)[rows] for name in ("src_port", "dst_port")]
    wide = stream[rows].astype(np.int64)
    return Carriers(
        packets.index.to_numpy(np.int64)[rows],
        wide,
        2 * wide + upward(packets)[rows],
        payload[rows].astype(np.int64),
        ports[0].astype(np.int64),
        ports[1].astype(np.int64),
        packets["seq_raw"].to_numpy(np.int64, na_value=0)[rows],
    )


def upward(packets: pd.DataFrame) -> np.ndarray:
    """Which of the two directions of its conversation each frame has: nothing else is meant by it."""
    src, dst = (packets[name].cat.codes.to_numpy() for name in ("src", "dst"))
    ports = [packets[name].to_numpy(np.int32, na_value=0) for name in ("src_port", "dst_port")]
    up: np.ndarray = (src < dst) | ((src == dst) & (ports[0] < ports[1]))
    return up


def spoken(segments: Carriers, files: Sequence[Path], told: Mapping[int, str]) -> dict[str, np.ndarray]:
    """The streams of each protocol, by its name; a conversation that speaks none is in no list.

    How either side begins decides, then the port; a port in `told` decides alone. Raises
    BeyondThisEngineError.
    """
    if not len(segments):
        return {}
    first = segments.take(_first_of_each_side(segments))
    found: dict[int, str] = {}
    for row, name in _by_beginning(first, files):
        found.setdefault(int(first.stream[row]), name)
    for row, name in _by_port(first, told):
        stream = int(first.stream[row])
        if stream not in found or int(first.src_port[row]) in told or int(first.dst_port[row]) in told:
            found[stream] = name
    return {
        protocol.name: np.array(streams, np.int64)
        for protocol in PROTOCOLS
        if (streams := sorted(stream for stream, name in found.items() if name == protocol.name))
    }


def _by_beginning(first: Carriers, files: Sequence[Path]) -> Iterator[tuple[int, str]]:
    """(row, protocol) of the segments that begin as one does."""
    for some in payloads(files, first.number, first.payload, first.ports):
        beginnings = some.beginnings(LOOKED_AT)
        likely = np.isin(beginnings[:, 0], _FIRST_BYTES) | (beginnings[:, 3] == 0)
        for place in np.flatnonzero(likely).tolist():
            match = _OPENINGS.match(beginnings[place].tobytes())
            if match and match.lastgroup:
                yield int(some.rows[place]), PROTOCOLS[int(match.lastgroup[1:])].name


def _by_port(first: Carriers, told: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """(row, protocol) of the segments from or to a port of which one is known, or told."""
    known = {**BY_PORT, **told}
    ports = np.array(sorted(known), np.int64)
    for row in np.flatnonzero(np.isin(first.src_port, ports) | np.isin(first.dst_port, ports)).tolist():
        both = int(first.src_port[row]), int(first.dst_port[row])
        yield row, next(known[port] for port in both if port in known)


def _first_of_each_side(segments: Carriers) -> np.ndarray:
    """Row of the first segment of each side that speaks, rising."""
    first = np.full(int(segments.side.max()) + 1, -1, np.int64)
    first[segments.side[::-1]] = np.arange(len(segments))[::-1]
    return np.sort(first[first >= 0])
