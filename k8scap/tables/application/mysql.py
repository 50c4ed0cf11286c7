"""MySQL's client/server protocol: commands, one at a time, and how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.postgresql import SUCCESS, first_word
from k8scap.tables.application.request import UNANSWERED, Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_QUERY, _PREPARE = "3", "22"
_ERROR = "0xff"
_GENERAL_ERROR = "HY000"

COMMANDS = {
    "2": "USE", "4": "SHOW FIELDS", "9": "STATISTICS", "10": "PROCESSLIST", "14": "PING", "17": "CHANGE USER",
    "18": "BINLOG DUMP", "22": "PREPARE", "23": "EXECUTE", "26": "RESET STATEMENT", "28": "FETCH",
    "30": "BINLOG DUMP GTID", "31": "RESET CONNECTION",
}  # fmt: skip
_UNANSWERED_COMMANDS = ("1", "24", "25")
"""Quit, a long parameter's data, and closing a statement are not answered."""


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The login and the commands of one conversation; `status` is the SQLSTATE.

    A server that refuses a connection before it greets answers what nobody asked: `connect`.
    """
    current: Request | None = None
    greeted = False
    for frame in frames:
        if not frame.all("mysql.packet_number"):
            continue
        asked = _asked(frame)
        if asked is not None:
            current = asked
            yield current
        elif not greeted and frame.all("mysql.error_code"):
            yield _refused(frame)
        elif current is not None and not frame.all("mysql.command"):
            _answered(current, frame)
        greeted = True


def _asked(frame: Frame) -> Request | None:
    command, query = frame.first("mysql.command"), frame.first("mysql.query")
    if frame.all("mysql.user"):
        return Request("MySQL", frame.number, "login")
    if not command or command in _UNANSWERED_COMMANDS:
        return None
    if command == _QUERY:
        return Request("MySQL", frame.number, first_word(query) or "QUERY", query)
    return Request("MySQL", frame.number, COMMANDS.get(command, f"COMMAND {command}"), query)


def _answered(current: Request, frame: Frame) -> None:
    """The first answer counts; an error may come later, behind rows or another round of a login."""
    if current.response == UNANSWERED:
        current.answer(frame.begins, SUCCESS)
    if frame.all("mysql.error_code") and not current.error:
        current.status, current.error = _failure(frame)


def _failure(frame: Frame) -> tuple[str, str]:
    text = frame.first("mysql.error.message") or f"error {frame.first('mysql.error_code')}"
    return frame.first("mysql.sqlstate") or _GENERAL_ERROR, text


def _refused(frame: Frame) -> Request:
    request = Request("MySQL", frame.number, "connect", turned=True)
    request.answer(frame.number, *_failure(frame))
    return request
