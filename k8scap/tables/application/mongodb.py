"""MongoDB's wire protocol: commands and replies meet by the request's ID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.request import Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUCCESS = "OK"
_STRING, _INT32 = ("2", "0x02"), ("16", "0x10")
_NOBODY = 0


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The commands of one conversation: `target` is DATABASE.COLLECTION, `status` OK or the error's number.

    Of several messages in one segment only the first one's words are told.
    """
    waiting: dict[int, Request] = {}
    for frame in frames:
        identities, answers = _integers(frame, "mongo.request_id"), _integers(frame, "mongo.response_to")
        if len(identities) != len(answers):
            continue
        for place, (identity, answered) in enumerate(zip(identities, answers, strict=True)):
            if answered == _NOBODY:
                waiting[identity] = _asked(frame) if place == 0 else Request("MongoDB", frame.number)
                yield waiting[identity]
            elif (request := waiting.pop(answered, None)) is not None:
                request.answer(frame.begins, *(_outcome(frame) if place == 0 else ("", "")))


def _integers(frame: Frame, name: str) -> list[int]:
    """Wireshark prints them as decimal or as hexadecimal numbers, from version to version."""
    return [int(value, 0) for value in frame.all(name)]


def _asked(frame: Frame) -> Request:
    names, texts = frame.all("mongo.element.name"), _texts(frame)
    command = names[0] if names else ""
    collection = texts.get(command) or frame.first("mongo.full_collection_name")
    database = texts.get("$db", "")
    return Request(
        "MongoDB",
        frame.number,
        command,
        f"{database}.{collection}" if database and collection else collection,
    )


def _outcome(frame: Frame) -> tuple[str, str]:
    """A command failed where there is a code's name; a write where there are errors of it."""
    names, texts = frame.all("mongo.element.name"), _texts(frame)
    if "codeName" not in texts and "writeErrors" not in names:
        return SUCCESS, ""
    codes = [n for t, n in _numbers(frame) if t == "code"]
    return (codes or [""])[0], texts.get("codeName") or texts.get("errmsg", "")


def _texts(frame: Frame) -> dict[str, str]:
    """The elements that are strings, by their name; of several the first."""
    values = iter(frame.all("mongo.element.value.string"))
    found: dict[str, str] = {}
    for name, kind in _elements(frame):
        if kind in _STRING:
            found.setdefault(name, next(values, ""))
    return found


def _numbers(frame: Frame) -> list[tuple[str, str]]:
    values = iter(frame.all("mongo.element.value.int"))
    return [(name, next(values, "")) for name, kind in _elements(frame) if kind in _INT32]


def _elements(frame: Frame) -> list[tuple[str, str]]:
    names, kinds = frame.all("mongo.element.name"), frame.all("mongo.element.type")
    return list(zip(names, kinds, strict=True)) if len(names) == len(kinds) else []
