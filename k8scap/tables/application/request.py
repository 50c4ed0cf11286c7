"""What every protocol's reader is given, and gives: one conversation's frames, and the requests in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UNANSWERED = -1


@dataclass(frozen=True)
class Frame:
    """One frame of a conversation, in which Wireshark found something.

    `upward` tells its two directions apart, and no more. `fields` are Wireshark's, with all occurrences of
    each, in the frame's order; those that the frame lacks are missing.
    """

    number: int
    upward: bool
    fields: Mapping[str, list[str]] = field(default_factory=dict)

    def all(self, name: str) -> list[str]:
        return self.fields.get(name, [])

    def first(self, name: str) -> str:
        """The first occurrence of a field, "" where there is none."""
        return next(iter(self.fields.get(name, ())), "")

    def paired(self, name: str, count: int, which: int) -> str:
        """A field's value in message `which` of the frame's `count`; "" where none can tell whose it is."""
        values = self.all(name)
        return values[which] if len(values) == count else ""

    @property
    def begins(self) -> int:
        """The first frame of the message that this one completes."""
        return int(self.first("tcp.segment") or self.number)


@dataclass(slots=True)
class Request:
    """A request and what came of it; as in the columns of the requests table, not yet masked.

    `response` is `UNANSWERED` where there is none; times are nanoseconds since 1970, None where there are
    none. `turned` says that the frame is the answerer's: it answers what nobody asked.
    """

    protocol: str
    number: int
    method: str = ""
    target: str = ""
    host: str = ""
    response: int = UNANSWERED
    status: str = ""
    error: str = ""
    not_before: int | None = None
    not_after: int | None = None
    retries: int = 0
    wasted: int = 0
    turned: bool = False

    def answer(self, frame: int, status: str, error: str = "") -> None:
        self.response, self.status, self.error = frame, status, error
