"""A websocket's frames (RFC 6455), read from the TLS socket itself.

The client library opens the socket and writes to it; reading goes past it, into one buffer and out of it with
one copy: a TLS record at a time, and no Python object a header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from websocket import WebSocket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_BUFFER_BYTES = 1 << 18
_MOST_BYTES = 64 << 20  # of one frame: an API server's are 32 KiB
_MOST_CONTROL_BYTES = 125  # RFC 6455, 5.5


class FrameError(ConnectionError):
    """What came is not a server's frame, or ends in the middle of one."""


@dataclass(frozen=True)
class Frame:
    opcode: int
    final: bool
    data: bytes


class FrameReader:
    """Reads frames; one thread at a time.

    A timeout of the socket may end a `read` in the middle of a frame, and the next one goes on there.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._sock: Any = socket.sock
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def read(self) -> Frame:
        """The next frame. Raises TimeoutError, FrameError, OSError (ssl.SSLError among them)."""
        self._need(2)
        at = self._start
        first, second = self._buffer[at], self._buffer[at + 1]
        length, header = second & 0x7F, 2
        if second & 0x80 or first & 0x70:
            raise FrameError("the server's frame is masked, or of an extension that was not agreed")
        if length >= 126:
            header = 4 if length == 126 else 10
            self._need(header)
            at = self._start
            length = int.from_bytes(self._buffer[at + 2 : at + header], "big")
        opcode = first & 0x0F
        if length > (_MOST_CONTROL_BYTES if opcode & 0x8 else _MOST_BYTES):
            raise FrameError(f"a frame of {length} bytes")
        self._need(header + length)
        at = self._start + header
        data = bytes(self._view[at : at + length])
        self._start += header + length
        return Frame(opcode, bool(first & 0x80), data)

    def _need(self, size: int) -> None:
        """Have `size` bytes in the buffer, from its start on."""
        if self._end - self._start >= size:
            return
        if self._start + size > len(self._buffer):
            self._make_room(size)
        while self._end - self._start < size:
            got = self._sock.recv_into(self._view[self._end :])
            if not got:
                cut = "in the middle of a frame" if self._end > self._start else "without a word"
                raise FrameError(f"the connection ended {cut}")
            self._end += got

    def _make_room(self, size: int) -> None:
        rest = bytes(self._view[self._start : self._end])
        if size > len(self._buffer):
            self._buffer = bytearray(max(size, 2 * len(self._buffer)))
            self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
