"""Frames, streams and times as they count in the whole capture, where tshark saw a piece of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    import numpy.typing as npt

_FRAME = re.compile(r"\d+")
_STREAMS = frozenset({"tcp.stream", "udp.stream"})


@dataclass(frozen=True)
class Numbering:
    """What a frame is called in its capture: `number`, `stream` (-1: none), and its times in nanoseconds.

    `delta` is since the frame before it, `relative` since the first; both of its capture point.
    """

    number: int
    stream: int
    delta: int
    relative: int

    def own(self, name: str, text: str, show: str, numbers: npt.NDArray[Any]) -> tuple[str, str]:
        """A field's text and value in the capture's own counting.

        `numbers` are those of the frames that tshark counted from 1; empty where it saw the whole.
        """
        if not len(numbers):
            return text, show
        if name == "frame":
            return re.sub(r"^Frame \d+:", f"Frame {self.number}:", text), show
        told = self._told(name)
        if told is not None:
            return (text.replace(show, told) if show else text), told
        if show.isdigit() and name in frame_fields() and 0 < int(show) <= len(numbers):
            own = str(numbers[int(show) - 1])
            return _FRAME.sub(lambda m: own if m[0] == show else m[0], text), own
        return text, show

    def _told(self, name: str) -> str | None:
        if name == "frame.number":
            return str(self.number)
        if name in _STREAMS and self.stream >= 0:
            return str(self.stream)
        if name == "frame.time_delta":
            return _seconds(self.delta)
        return _seconds(self.relative) if name == "frame.time_relative" else None


def _seconds(nanoseconds: int) -> str:
    whole, rest = divmod(abs(nanoseconds), 10**9)
    return f"{'-' if nanoseconds < 0 else ''}{whole}.{rest:09d}"


@cache
def frame_fields() -> frozenset[str]:
    """Fields whose value is a frame's number, as this tshark has them."""
    listed = LocalRunner().run(["tshark", "-G", "fields"]).stdout.decode("utf-8", "replace")
    rows = (line.split("\t") for line in listed.splitlines() if line.startswith("F\t"))
    return frozenset(row[2] for row in rows if len(row) > 3 and row[3] == "FT_FRAMENUM")
