"""What a conversation's two sides said to each other, in the order in which it arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from k8scap.browser.context import companions
from k8scap.tables.assembly import integers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from k8scap.parser.source import Source

    Ints = npt.NDArray[np.int64]

MOST_BYTES = 256 << 10
MOST_DATAGRAMS = 2_000
MOST_EARLY = 1_024
"""Segments that wait for one before them; with more it is taken for lost to the capture."""


@dataclass(frozen=True)
class Piece:
    """Bytes that one side (0: who began, 1: the other) brought by frame `number`; `missing` ones before."""

    side: int
    number: int
    content: bytes
    missing: int = 0


@dataclass(frozen=True)
class Said:
    """All pieces of a conversation as far as `MOST_BYTES` go; `cut` says whether there is more."""

    pieces: list[Piece]
    cut: bool


def said(source: Source, packets: pd.DataFrame, position: int) -> Said:
    """The payload of the conversation of the row at `position`, each byte once.

    TCP's is put in order by its sequence numbers; what was never captured is counted (`Piece.missing`).
    Raises OSError, ToolMissingError, BeyondThisEngineError.
    """
    rows = packets.iloc[companions(packets, position)]
    carrying = rows[integers(rows["payload_length"], absent=0) > 0]
    client = _begins(rows)
    sides = ((carrying["src"] != client[0]) | (integers(carrying["src_port"]) != client[1])).to_numpy(int)
    if rows["protocol"].iloc[0] == "TCP":
        return _of_stream(source, carrying, sides)
    return _of_datagrams(source, carrying, sides)


def _begins(rows: pd.DataFrame) -> tuple[str, int]:
    """Address and port of who began: the SYN's sender, else the first frame's (of a SYN-ACK the other)."""
    first = rows.iloc[0]
    flags = first["tcp_flags"]
    answers = isinstance(flags, int | np.integer) and flags & 0x12 == 0x12
    end = "dst" if answers else "src"
    return first[end], integers(rows[f"{end}_port"].iloc[:1])[0]


def _of_datagrams(source: Source, rows: pd.DataFrame, sides: Ints) -> Said:
    from k8scap.parser.reference.few import read_fields_of

    few = rows.index.to_numpy(np.int64)[:MOST_DATAGRAMS]
    told = read_fields_of(source, few, ["udp.payload"])
    if told is None:
        return Said([], cut=False)
    contents = told["udp.payload"].reindex(few).fillna("").tolist()
    made = [
        Piece(int(side), int(number), _unhexed(str(content)))
        for side, number, content in zip(sides, few, contents, strict=False)
    ]
    return _bounded(iter(made), more=len(rows) > len(few))


def _unhexed(text: str) -> bytes:
    first = text.split(",", maxsplit=1)[0].replace(":", "")
    return bytes.fromhex(first) if len(first) % 2 == 0 else b""


def _of_stream(source: Source, rows: pd.DataFrame, sides: Ints) -> Said:
    from k8scap.parser.records.payloads import payloads

    numbers = rows.index.to_numpy(np.int64)
    lengths = integers(rows["payload_length"])
    ports = integers(rows["src_port"]) << 16 | integers(rows["dst_port"])
    seqs = integers(rows["seq_raw"])
    streams = (_Stream(), _Stream())

    def pieces() -> Iterator[Piece]:
        for found in payloads(source.files, numbers, lengths, ports):
            for which, row in enumerate(found.rows.tolist()):
                side = int(sides[row])
                content = found.bytes_of(which)
                yield from streams[side].add(side, int(numbers[row]), int(seqs[row]), content)
        for side, stream in enumerate(streams):
            yield from stream.rest(side)

    return _bounded(pieces(), more=False)


def _bounded(pieces: Iterator[Piece], *, more: bool) -> Said:
    kept: list[Piece] = []
    left = MOST_BYTES
    for piece in pieces:
        if left <= 0:
            return Said(kept, cut=True)
        kept.append(Piece(piece.side, piece.number, piece.content[:left], piece.missing))
        left -= len(piece.content)
    return Said(kept, cut=more or left < 0)


@dataclass
class _Stream:
    """One side's bytes: what is next (a raw sequence number), and what came too early."""

    next: int | None = None
    early: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, side: int, number: int, seq: int, content: bytes) -> Iterator[Piece]:
        if self.next is None:
            self.next = seq
        ahead = _ahead(seq, self.next)
        if ahead > 0:
            if len(content) > len(self.early.get(seq, (0, b""))[1]):
                self.early[seq] = (number, content)
            if len(self.early) > MOST_EARLY:
                yield from self.rest(side)
            return
        if fresh := content[-ahead:]:
            self.next = (self.next + len(fresh)) % 2**32
            yield Piece(side, number, fresh)
            yield from self._now_due(side)

    def _now_due(self, side: int) -> Iterator[Piece]:
        """What had come early and now follows."""
        assert self.next is not None  # noqa: S101 - set by the first segment
        while due := [seq for seq in self.early if _ahead(seq, self.next) <= 0]:
            for seq in due:
                number, content = self.early.pop(seq)
                if fresh := content[-_ahead(seq, self.next) :]:
                    self.next = (self.next + len(fresh)) % 2**32
                    yield Piece(side, number, fresh)

    def rest(self, side: int) -> Iterator[Piece]:
        """What waits for bytes that never came, in its order, and how many are missing before each."""
        while self.early and self.next is not None:
            begin = self.next
            seq = min(self.early, key=lambda early: _ahead(early, begin))
            number, content = self.early.pop(seq)
            missing = _ahead(seq, begin)
            self.next = (seq + len(content)) % 2**32
            yield Piece(side, number, content, max(missing, 0))
            yield from self._now_due(side)


def _ahead(seq: int, of: int) -> int:
    """How far a sequence number lies before another, in 32-bit arithmetic (RFC 9293, 3.4)."""
    return (seq - of + 2**31) % 2**32 - 2**31


def printable(content: bytes) -> str:
    """Bytes as text, UTF-8 where they are; what cannot be printed is a dot, line ends and tabs stay."""
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text)


def one_line(text: str) -> str:
    """What tshark prints of a field, harmless in a line."""
    return "".join(c if c.isprintable() else "·" for c in text[:1_000])
