"""Redis (RESP): commands and replies, in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from k8scap.tables.application.request import Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUCCESS = "OK"
"""Of any reply that is no error."""

_LONGEST_COMMAND = 20


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The commands of one conversation; `error` is the error's first word, as ERR, WRONGTYPE or MOVED.

    `target` holds a command's arguments, a blank between them. Where several replies share a segment and some
    are errors, nobody can tell whose they are: those commands have a response, and no status.
    """
    waiting: deque[Request] = deque()
    client: bool | None = None
    for frame in frames:
        commands = _commands(frame) if client is None or client == frame.upward else []
        if commands:
            client = frame.upward
            for name, arguments in commands:
                asked = Request("Redis", frame.number, name, arguments)
                waiting.append(asked)
                yield asked
        elif client is not None and client != frame.upward:
            _answered(waiting, frame)


def _commands(frame: Frame) -> list[tuple[str, str]]:
    """Arrays of bulk strings, the first of which is a word."""
    sizes = [int(size) for size in frame.all("resp.array.length")]
    lengths = [int(length) for length in frame.all("resp.bulk_string.length")]
    values = iter(frame.all("resp.bulk_string.value"))
    words = [_text(next(values, "")) if length > 0 else "" for length in lengths]
    found = []
    at = 0
    for size in sizes:
        command = words[at : at + max(size, 0)]
        at += max(size, 0)
        if command and command[0].isascii() and command[0].isalpha() and len(command[0]) <= _LONGEST_COMMAND:
            found.append((command[0].upper(), " ".join(command[1:])))
    return found


def _text(hexadecimal: str) -> str:
    """Bytes as Wireshark prints them; it ends long ones with an ellipsis."""
    digits = hexadecimal.replace(":", "").rstrip("….")
    try:
        return bytes.fromhex(digits[: len(digits) & ~1]).decode("utf-8", "replace")
    except ValueError:
        return ""


def _answered(waiting: deque[Request], frame: Frame) -> None:
    errors = frame.all("resp.error")
    sizes = [max(int(size), 0) for size in frame.all("resp.array.length")]
    kinds = ("resp.string", "resp.error", "resp.integer", "resp.bulk_string.length", "resp.array.length")
    replies = min(sum(len(frame.all(kind)) for kind in kinds) - sum(sizes), len(waiting))
    for _ in range(replies):
        request = waiting.popleft()
        if not errors:
            request.answer(frame.begins, SUCCESS)
        elif replies == 1 or len(errors) == replies:
            request.answer(
                frame.begins, errors[0].split(maxsplit=1)[0], errors.pop(0) if replies > 1 else errors[0]
            )
        else:
            request.answer(frame.begins, "")
