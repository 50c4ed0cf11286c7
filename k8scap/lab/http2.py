"""HTTP/2 without TLS (RFC 9113) as gRPC speaks it: unary calls, and PINGs while nothing is called.

Just enough of it: header blocks are literals without Huffman coding (RFC 7541, 6.2.2), messages fit in a
frame, and flow control never has to wait.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY = 0, 1, 4, 6, 7
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4
_PATIENCE = 10.0  # seconds; longer than any scenario
_METHOD_POST, _SCHEME_HTTP, _STATUS_200 = b"\x83", b"\x86", b"\x88"  # RFC 7541, appendix A


@dataclass(frozen=True, kw_only=True)
class GrpcServer:
    """Answers calls with the codes of `statuses`, in turn, over all connections (0: OK).

    Before each answer it waits as long as `thinks_ms` say, in turn as well.
    """

    name: str
    port: int
    statuses: Sequence[int] = (0,)
    thinks_ms: Sequence[int] = (0,)

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        listener = socket.create_server((address, self.port), backlog=16)
        threading.Thread(target=self._accept, args=(listener, log), daemon=True).start()

    def _accept(self, listener: socket.socket, log: list[dict[str, Any]]) -> None:
        while True:
            connection, peer = listener.accept()
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            threading.Thread(target=self._serve, args=(connection, row, log), daemon=True).start()

    def _serve(self, connection: socket.socket, row: dict[str, Any], log: list[dict[str, Any]]) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                incoming.read(len(_PREFACE))
                connection.sendall(_frame(_SETTINGS))
                while (read := _read_frame(incoming)) and read[0] != _GOAWAY:
                    if reply := self._reply(read, row, log):
                        connection.sendall(reply)
        except OSError as error:
            log.append(row | {"error": f"{type(error).__name__}: {error}"})

    def _reply(
        self, frame: tuple[int, int, int, bytes], row: dict[str, Any], log: list[dict[str, Any]]
    ) -> bytes:
        kind, flags, stream, payload = frame
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            return _frame(kind, payload if kind == _PING else b"", flags=_ACK)
        if kind != _DATA or not flags & _END_STREAM:
            return b""
        calls = sum(entry["service"] == self.name for entry in log)
        status = self.statuses[calls % len(self.statuses)]
        time.sleep(self.thinks_ms[calls % len(self.thinks_ms)] / 1000)
        log.append(row | {"status": status, "answered_ns": time.time_ns()})
        trailers = _literal(b"grpc-status", b"%d" % status)
        last = _frame(_HEADERS, trailers, flags=_END_HEADERS | _END_STREAM, stream=stream)
        head = _STATUS_200 + _literal(b"content-type", b"application/grpc")
        body = b"" if status else _frame(_DATA, _message(b"done"), stream=stream)
        return _frame(_HEADERS, head, flags=_END_HEADERS, stream=stream) + body + last


@dataclass(frozen=True, kw_only=True)
class GrpcCalls:
    """A client's calls on one connection, `gap_s` apart; then `pings` PINGs, `ping_gap_s` apart."""

    port: int
    authority: str
    paths: Sequence[str]
    gap_s: float = 0.05
    pings: int = 0
    ping_gap_s: float = 0.5

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        row: dict[str, Any] = {"job": "grpc", "port": self.port, "start_ns": time.time_ns()}
        try:
            with socket.create_connection((address, self.port), timeout=_PATIENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                row |= {"client_port": connection.getsockname()[1], "calls": 0, "pings": 0}
                self._talk(connection, row)
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"end_ns": time.time_ns()})

    def _talk(self, connection: socket.socket, row: dict[str, Any]) -> None:
        with connection.makefile("rb") as incoming:
            connection.sendall(_PREFACE + _frame(_SETTINGS))
            for number, path in enumerate(self.paths):
                connection.sendall(self._call(path, stream=2 * number + 1))
                _until(incoming, connection, lambda kind, flags: kind == _HEADERS and flags & _END_STREAM)
                row["calls"] += 1
                time.sleep(self.gap_s)
            for number in range(self.pings):
                connection.sendall(_frame(_PING, struct.pack("!Q", number)))
                _until(incoming, connection, lambda kind, flags: kind == _PING and flags & _ACK)
                row["pings"] += 1
                time.sleep(self.ping_gap_s)
            connection.sendall(_frame(_GOAWAY, struct.pack("!II", 0, 0)))

    def _call(self, path: str, *, stream: int) -> bytes:
        head = _METHOD_POST + _SCHEME_HTTP + _literal(b":path", path.encode())
        head += _literal(b":authority", self.authority.encode())
        head += _literal(b"content-type", b"application/grpc") + _literal(b"te", b"trailers")
        return _frame(_HEADERS, head, flags=_END_HEADERS, stream=stream) + _frame(
            _DATA, _message(b"ask" * 20), flags=_END_STREAM, stream=stream
        )


def _until(incoming: Any, connection: socket.socket, is_last: Any) -> None:
    """Read frames until the wanted one came; the other side's settings are acknowledged meanwhile."""
    while read := _read_frame(incoming):
        kind, flags, _, _ = read
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, flags=_ACK))
        if is_last(kind, flags):
            return
    raise ConnectionError("closed in the middle of a call")


def _read_frame(incoming: Any) -> tuple[int, int, int, bytes] | None:
    """(type, flags, stream, payload); None at the end."""
    head = incoming.read(9)
    if len(head) < 9:
        return None
    length = int.from_bytes(head[:3])
    return head[3], head[4], int.from_bytes(head[5:]), incoming.read(length)


def _frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header without indexing, with a new name; both shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _message(content: bytes) -> bytes:
    """A frame of gRPC's own: not compressed, its length, its content."""
    return struct.pack("!BI", 0, len(content)) + content
