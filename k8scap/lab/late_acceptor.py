"""A server that is too busy to accept: its listen queue fills up, and the kernel drops who comes then."""

from __future__ import annotations

import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

_PATIENCE = 20.0  # seconds
_LARGEST = 65_536


@dataclass(frozen=True, kw_only=True)
class LateAcceptor:
    """Lets the first clients wait for `pause_s` before it accepts anybody, with a queue of `backlog`.

    Linux keeps one connection more than listen(2) was told. Then it answers each request, of whatever
    bytes, with `count` bytes, and closes.
    """

    name: str
    port: int
    backlog: int
    pause_s: float
    count: int = 400

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, self.port))
        listener.listen(self.backlog)
        threading.Thread(target=self._accept, args=(listener, log), daemon=True).start()

    def _accept(self, listener: socket.socket, log: list[dict[str, Any]]) -> None:
        select.select([listener], [], [])
        time.sleep(self.pause_s)
        while True:
            connection, peer = listener.accept()
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            threading.Thread(target=self._serve, args=(connection, row, log), daemon=True).start()

    def _serve(self, connection: socket.socket, row: dict[str, Any], log: list[dict[str, Any]]) -> None:
        row["accepted_ns"] = time.time_ns()
        try:
            with connection:
                connection.settimeout(_PATIENCE)
                row["received_bytes"] = len(connection.recv(_LARGEST))
                connection.sendall(b"x" * self.count)
                row["sent_bytes"] = self.count
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"answered_ns": time.time_ns()})


@dataclass(frozen=True, kw_only=True)
class OneRequest:
    """A client's only request on a connection of its own: `count` bytes, `after_s` from the start of work."""

    port: int
    count: int = 120
    after_s: float = 0.0

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        time.sleep(self.after_s)
        row: dict[str, Any] = {"job": "request", "port": self.port, "start_ns": time.time_ns()}
        try:
            with socket.create_connection((address, self.port), timeout=_PATIENCE) as connection:
                row["client_port"] = connection.getsockname()[1]
                row["connected_ns"] = time.time_ns()
                connection.sendall(b"?" * self.count)
                row["received_bytes"] = _read_to_the_end(connection)
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"end_ns": time.time_ns()})


def _read_to_the_end(connection: socket.socket) -> int:
    count = 0
    while piece := connection.recv(_LARGEST):
        count += len(piece)
    return count
