"""HTTP/2 (RFC 9113) and gRPC over it: requests and answers meet by their stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.http1 import failure, is_final
from k8scap.tables.application.request import UNANSWERED, Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Headers = list[tuple[str, str]]

_HEADERS, _RESET, _CONTINUATION = "1", "3", "9"
_GRPC = "application/grpc"

GRPC = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""gRPC's status codes, by their number."""

_GRPC_OF_HTTP = {"400": 13, "401": 16, "403": 7, "404": 12, "429": 14, "502": 14, "503": 14, "504": 14}
"""What a gRPC client makes of an HTTP status without a gRPC one (its HTTP status mapping); of others 2."""

ERRORS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
"""RFC 9113 (7), by their number."""


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The HTTP/2 and gRPC requests of one conversation.

    gRPC's status stands behind the message, in trailers, and counts rather than HTTP's. A stream that was
    reset before its status has the reset's code for its error.
    """
    open_streams: dict[str, Request] = {}
    from_client: dict[str, bool] = {}
    for frame in frames:
        for stream, headers in _blocks(frame):
            if any(name == ":method" for name, _ in headers):
                open_streams[stream] = _asked(frame, dict(headers))
                from_client[stream] = frame.upward
                yield open_streams[stream]
            elif stream in open_streams and from_client[stream] == frame.upward:
                _added(open_streams[stream], dict(headers))
            elif stream in open_streams:
                _answered(open_streams[stream], frame, headers)
        for stream, error in _resets(frame):
            if stream in open_streams:
                _reset(open_streams[stream], frame, error, by_client=from_client[stream] == frame.upward)


def _blocks(frame: Frame) -> Iterator[tuple[str, Headers]]:
    """(stream, headers) of each frame of HEADERS, or of what continues one, in which any were decoded."""
    types, streams = frame.all("http2.type"), frame.all("http2.streamid")
    counts = [int(count) for count in frame.all("http2.header.count")]
    names, values = frame.all("http2.header.name"), frame.all("http2.header.value")
    if len(types) != len(streams) or not sum(counts) == len(names) == len(values):
        return
    bearers = [s for t, s in zip(types, streams, strict=True) if t in (_HEADERS, _CONTINUATION)]
    if len(bearers) > len(counts):  # a block that goes on is decoded where it ends
        bearers = bearers[-len(counts) :] if counts else []
    at = 0
    for stream, count in zip(bearers, counts, strict=False):
        yield stream, list(zip(names[at : at + count], values[at : at + count], strict=True))
        at += count


def _asked(frame: Frame, headers: dict[str, str]) -> Request:
    protocol = "gRPC" if headers.get("content-type", "").startswith(_GRPC) else "HTTP/2"
    host = headers.get(":authority") or headers.get("host", "")
    return Request(protocol, frame.number, headers[":method"], headers.get(":path", ""), host)


def _added(request: Request, headers: dict[str, str]) -> None:
    """What came behind the first part of a long block of headers."""
    request.target = request.target or headers.get(":path", "")
    request.host = request.host or headers.get(":authority", "")
    if headers.get("content-type", "").startswith(_GRPC):
        request.protocol = "gRPC"


def _answered(request: Request, frame: Frame, headers: Headers) -> None:
    told = dict(headers)
    code = told.get(":status", "")
    if code and not is_final(code):
        return
    if request.response == UNANSWERED:
        request.response = frame.number
    if request.protocol != "gRPC":
        if code:
            request.answer(request.response, code, failure(code))
        return
    status = told.get("grpc-status", "")
    if not status and code not in ("", "200"):
        status = str(_GRPC_OF_HTTP.get(code, 2))
    if status and not request.status:
        request.answer(request.response, status, "" if status == "0" else _named(GRPC, status, "status"))


def _resets(frame: Frame) -> Iterator[tuple[str, str]]:
    types, streams = frame.all("http2.type"), frame.all("http2.streamid")
    errors = frame.all("http2.rst_stream.error")
    if len(types) == len(streams):
        reset = [s for t, s in zip(types, streams, strict=True) if t == _RESET]
        yield from zip(reset, errors, strict=False)


def _reset(request: Request, frame: Frame, error: str, *, by_client: bool) -> None:
    if request.status or error == "0":
        return
    request.error = request.error or _named(ERRORS, error, "error")
    if not by_client and request.response == UNANSWERED:
        request.response = frame.number


def _named(names: Sequence[str], number: str, kind: str) -> str:
    known = number.isdecimal() and int(number) < len(names)
    return names[int(number)] if known else f"{kind} {number}"
