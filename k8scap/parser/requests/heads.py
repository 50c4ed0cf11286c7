"""Which segments of an HTTP/1 conversation hold the heads of its messages: bodies are nobody's business."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.payloads import payloads
from k8scap.parser.requests.signatures import HTTP1_REQUEST, HTTP1_RESPONSE, METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.parser.records.payloads import Payloads
    from k8scap.parser.requests.conversations import Carriers

HEAD_BYTES = 1 << 20
"""A head longer than this is not followed on: Go's net/http, the most patient of servers, stops there too."""

_WORDS = np.array(
    sorted({int.from_bytes((word + b" ")[:4], "little") for word in (*METHODS, b"HTTP")}), np.uint32
)
_REQUEST_LINE_END = b" HTTP/1."
_UPGRADE = b"h2c"
_LONGEST_WORD = 12


@dataclass
class Heads:
    """Rows of the segments that heads of messages are in, and the streams where that is not enough.

    Those are they where requests follow one another without waiting (RFC 9112, 9.3.2), so that an answer may
    begin anywhere in a segment, and those which go on in another protocol.
    """

    rows: set[int] = field(default_factory=set)
    irregular: set[int] = field(default_factory=set)
    clients: dict[int, int] = field(default_factory=dict)
    """Of each stream the side that asks: a body may hold what looks like messages."""
    tunnels: set[int] = field(default_factory=set)
    """Streams that CONNECT (RFC 9110, 9.3.6) makes tunnels of, mostly for TLS."""

    def is_message(self, stream: int, side: int, *, asks: bool) -> bool:
        """Whether this side sends such messages; the first one in a stream decides."""
        client = self.clients.setdefault(stream, side if asks else side ^ 1)
        return (client == side) == asks


def heads(segments: Carriers, files: Sequence[Path]) -> Heads:
    """Read through the payloads of HTTP/1 conversations; raises BeyondThisEngineError."""
    found = Heads()
    following = _next_of_its_side(segments)
    unfinished: dict[int, tuple[bytes, int]] = {}
    for some in payloads(files, segments.number, segments.payload, segments.ports):
        starts = [
            row
            for row, asks in _starts(some)
            if found.is_message(int(segments.stream[row]), int(segments.side[row]), asks=asks)
        ]
        waiting = [row for row in unfinished if row <= some.rows[-1]]
        todo = [*starts, *waiting]
        heapq.heapify(todo)
        while todo:
            row = heapq.heappop(todo)
            before, seen = unfinished.pop(row, (b"", 0))
            if row in found.rows and not seen:
                continue
            found.rows.add(row)
            data = before + some.bytes_of(row - int(some.rows[0]))
            if found.clients.get(int(segments.stream[row])) == segments.side[row]:
                _note_irregular(data, int(segments.stream[row]), found)
            after = int(following[row])
            if not _ended(data) and after >= 0 and seen < HEAD_BYTES:
                unfinished[after] = data[-3:], seen + len(data)
                if after <= some.rows[-1]:
                    heapq.heappush(todo, after)
    return found


def _starts(some: Payloads) -> list[tuple[int, bool]]:
    """Rows whose payload begins as a message does, and whether as a request."""
    beginnings = some.beginnings(_LONGEST_WORD)
    word = np.ascontiguousarray(beginnings[:, :4]).view("<u4")[:, 0]
    likely = np.flatnonzero(np.isin(word, _WORDS))
    starts = []
    for i in likely.tolist():
        beginning = beginnings[i].tobytes()
        asks = bool(HTTP1_REQUEST.match(beginning))
        if asks or HTTP1_RESPONSE.match(beginning):
            starts.append((int(some.rows[i]), asks))
    return starts


def _ended(data: bytes) -> bool:
    """Whether an empty line is in it: RFC 9112 (2.2) lets a recipient take a bare LF for a line's end."""
    return b"\n\r\n" in data or b"\n\n" in data


def _note_irregular(data: bytes, stream: int, found: Heads) -> None:
    if data.startswith(b"CONNECT "):
        found.tunnels.add(stream)
    first = data.find(_REQUEST_LINE_END)
    if first >= 0 and (data.find(_REQUEST_LINE_END, first + 1) >= 0 or _UPGRADE in data):
        found.irregular.add(stream)


def _next_of_its_side(segments: Carriers) -> np.ndarray:
    """For each segment the row of its side's next one, -1 for the last."""
    order = np.argsort(segments.side, kind="stable")
    following = np.full(len(segments), -1, np.int64)
    same = segments.side[order[1:]] == segments.side[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    return following
