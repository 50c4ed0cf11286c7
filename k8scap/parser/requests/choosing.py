"""Which frames of a capture tshark has to read for the requests in it, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.payloads import brings_secrets
from k8scap.parser.requests.conversations import carriers, spoken
from k8scap.parser.requests.greetings import greetings
from k8scap.parser.requests.heads import heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

from k8scap.parser.requests.conversations import Carriers

MOST_FRAMES = 200_000
"""Of one point; tshark reads some 10,000 a second."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Frames of conversations in one protocol: their numbers, streams, and likely servers' ports.

    `bodies` says that all of a conversation is there, so that messages may be put together from several
    frames; else only their heads are.
    """

    protocol: str
    number: np.ndarray
    stream: np.ndarray
    ports: np.ndarray
    bodies: bool = True


@dataclass(frozen=True, eq=False)
class Choices:
    """What was chosen, and how many frames had to be left out: those behind the first `MOST_FRAMES`."""

    parts: tuple[Choice, ...]
    left_out: int = 0


def choose(packets: pd.DataFrame, files: Sequence[Path], told: Mapping[int, str]) -> Choices:
    """The frames of one point's packets that matter; raises BeyondThisEngineError, and OSError.

    The capture's payloads are looked at, not read through: its conversations' beginnings, then those of the
    segments of HTTP/1 and TLS ones. Segments whose very bytes came before are left out.
    """
    segments = carriers(packets)
    parts = [
        part
        for name, streams in spoken(segments, files, told).items()
        for part in _parts(name, _of_streams(segments, streams), files)
    ]
    wanted = np.sort(np.concatenate([part.number for part in parts])) if parts else np.zeros(0, np.int64)
    if len(wanted) <= MOST_FRAMES:
        return Choices(tuple(parts))
    last = int(wanted[MOST_FRAMES - 1])
    return Choices(tuple(_up_to(part, last) for part in parts), len(wanted) - MOST_FRAMES)


def _of_streams(segments: Carriers, streams: np.ndarray) -> Carriers:
    wanted = np.zeros(int(segments.stream.max()) + 1, bool)
    wanted[streams] = True
    chosen = segments.take(np.flatnonzero(wanted[segments.stream]))
    return chosen.take(chosen.new)


def _parts(name: str, segments: Carriers, files: Sequence[Path]) -> Iterator[Choice]:
    if name == "TLS":
        readable = brings_secrets(files)
        yield _choice(name, segments, np.arange(len(segments)) if readable else greetings(segments, files))
    elif name == "HTTP/1":
        found = heads(segments, files)
        found.rows |= _greeted(segments, files, found.tunnels)
        irregular = np.isin(segments.stream, np.array(sorted(found.irregular), np.int64))
        rows = np.array(sorted(found.rows), np.int64)
        yield _choice(name, segments, rows[~irregular[rows]], bodies=False)
        yield _choice(name, segments, np.flatnonzero(irregular))
    else:
        yield _choice(name, segments, np.arange(len(segments)))


def _greeted(segments: Carriers, files: Sequence[Path], streams: set[int]) -> set[int]:
    """Rows of what may be read of TLS in these streams."""
    rows = np.flatnonzero(np.isin(segments.stream, np.array(sorted(streams), np.int64)))
    return set(rows[greetings(segments.take(rows), files)].tolist()) if len(rows) else set()


def _choice(name: str, segments: Carriers, rows: np.ndarray, *, bodies: bool = True) -> Choice:
    ports = np.minimum(segments.src_port[rows], segments.dst_port[rows])
    return Choice(name, segments.number[rows], segments.stream[rows], ports, bodies)


def _up_to(part: Choice, last: int) -> Choice:
    there = part.number <= last
    return Choice(part.protocol, part.number[there], part.stream[there], part.ports[there], part.bodies)
