"""HTTP/1 (RFC 9112): answers come in the order of the requests."""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from k8scap.tables.application.request import Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_SWITCHING_PROTOCOLS = 101


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The HTTP/1 requests of one conversation; interim answers (RFC 9110, 15.2) settle nothing."""
    waiting: deque[Request] = deque()
    for frame in frames:
        methods, codes = frame.all("http.request.method"), frame.all("http.response.code")
        for which, method in enumerate(methods):
            asked = Request(
                "HTTP/1",
                frame.number,
                method,
                frame.paired("http.request.uri", len(methods), which),
                frame.paired("http.host", len(methods), which),
            )
            waiting.append(asked)
            yield asked
        for which, code in enumerate(codes):
            if waiting and is_final(code):
                phrase = frame.paired("http.response.phrase", len(codes), which)
                waiting.popleft().answer(frame.begins, code, failure(code, phrase))


def is_final(code: str) -> bool:
    """Whether no other answer to the same request follows this one."""
    return not code.startswith("1") or code == str(_SWITCHING_PROTOCOLS)


def failure(code: str, phrase: str = "") -> str:
    """What a status of 400 and above says, in the words of RFC 9110, or the server's own."""
    if not code.isdecimal() or int(code) < HTTPStatus.BAD_REQUEST:
        return ""
    return _PHRASES.get(int(code), phrase)
