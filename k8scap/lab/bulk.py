"""A bulk transfer over one TCP connection, up or down; a reader, or a sender, that takes its time."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = 65_536
_PATIENCE = 20.0  # seconds


@dataclass(frozen=True, kw_only=True)
class BulkServer:
    """Reads `PUT N` and N bytes, or answers `GET N` with N bytes; then both sides close.

    `pauses_s` makes it a slow reader: before each of as many pieces of `piece` bytes it sleeps, while its
    receive buffer of `receive_buffer` bytes (0: the kernel's choice) fills up and the window closes.
    `silences_s` make it a slow sender, that sleeps so long between pieces of equal size.
    """

    name: str
    port: int
    receive_buffer: int = 0
    pauses_s: Sequence[float] = ()
    piece: int = _PIECE
    silences_s: Sequence[float] = ()

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.receive_buffer:  # before listen(): the window scale is agreed on in the handshake
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        listener.bind((address, self.port))
        listener.listen(16)
        threading.Thread(target=self._accept, args=(listener, log), daemon=True).start()

    def _accept(self, listener: socket.socket, log: list[dict[str, Any]]) -> None:
        while True:
            connection, peer = listener.accept()
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            threading.Thread(target=self._serve, args=(connection, row, log), daemon=True).start()

    def _serve(self, connection: socket.socket, row: dict[str, Any], log: list[dict[str, Any]]) -> None:
        row |= {"received_ns": time.time_ns()}
        try:
            with connection:
                verb, count = _read_line(connection).split()
                if verb == b"GET":
                    _send(connection, int(count), self.silences_s)
                    row["sent_bytes"] = int(count)
                else:
                    row["received_bytes"] = self._read(connection, int(count))
                    connection.sendall(b"OK %d\n" % row["received_bytes"])
        except (OSError, ValueError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"answered_ns": time.time_ns()})

    def _read(self, connection: socket.socket, count: int) -> int:
        left = count
        for pause in self.pauses_s:
            time.sleep(pause)
            left -= _read_up_to(connection, min(self.piece, left))
        return count - left + _read_up_to(connection, left)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A client's bulk transfer: `up` sends `count` bytes and waits for their receipt, `down` reads them.

    `silences_s` make it a slow sender, as the server's do.
    """

    port: int
    count: int
    way: Literal["up", "down"] = "up"
    silences_s: Sequence[float] = ()

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        row: dict[str, Any] = {"job": "bulk", "port": self.port, "way": self.way, "start_ns": time.time_ns()}
        try:
            with socket.create_connection((address, self.port), timeout=_PATIENCE) as connection:
                row["client_port"] = connection.getsockname()[1]
                row |= self._transfer(connection)
        except (OSError, ValueError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"end_ns": time.time_ns()})

    def _transfer(self, connection: socket.socket) -> dict[str, Any]:
        if self.way == "down":
            connection.sendall(b"GET %d\n" % self.count)
            return {"received_bytes": _read_up_to(connection, self.count)}
        _send(connection, self.count, self.silences_s, head=b"PUT %d\n" % self.count)
        return {"sent_bytes": self.count, "receipt": _read_line(connection).decode("ascii", "replace")}


def _send(connection: socket.socket, count: int, silences_s: Sequence[float], *, head: bytes = b"") -> None:
    """`head` and `count` bytes, in a piece more than there are silences."""
    content = head + _content(count)
    size = -(-len(content) // (len(silences_s) + 1))
    connection.sendall(content[:size])
    for number, silence in enumerate(silences_s, start=1):
        time.sleep(silence)
        connection.sendall(content[number * size : (number + 1) * size])


def _content(count: int) -> bytes:
    return (b"0123456789abcdef" * (count // 16 + 1))[:count]


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("closed in the middle of a line")
        line += byte
    return line.strip()


def _read_up_to(connection: socket.socket, count: int) -> int:
    """Read and count `count` bytes, or as many as come before the other side closes."""
    left = count
    while left > 0:
        piece = connection.recv(min(left, _PIECE))
        if not piece:
            break
        left -= len(piece)
    return count - left
