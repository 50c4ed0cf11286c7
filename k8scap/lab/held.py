"""A connection that is kept for a while, as those of a pool are, from a port that may be given."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

_LARGEST = 65_536
_REQUEST = b"GET /status HTTP/1.1\r\nHost: lab.test\r\n%b\r\n"


@dataclass(frozen=True, kw_only=True)
class HeldConnection:
    """A client's connection `after_s` from the start of work: a request, `hold_s` of quiet, and another one.

    Without `hold_s` there is one, and the server is asked to close. `client_port` is taken although it was
    used before.
    """

    port: int
    after_s: float = 0.0
    hold_s: float = 0.0
    client_port: int = 0
    timeout_s: float = 5.0

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        time.sleep(self.after_s)
        row: dict[str, Any] = {"job": "held", "port": self.port, "start_ns": time.time_ns()}
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
                self._connect(connection, address)
                row["client_port"] = connection.getsockname()[1]
                row["connected_ns"] = time.time_ns()
                row["received_bytes"] = self._ask(connection)
                if self.hold_s:
                    time.sleep(self.hold_s)
                    row["received_bytes"] += self._ask(connection)
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        log.append(row | {"end_ns": time.time_ns()})

    def _connect(self, connection: socket.socket, address: str) -> None:
        connection.settimeout(self.timeout_s)
        if self.client_port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("", self.client_port))
        connection.connect((address, self.port))

    def _ask(self, connection: socket.socket) -> int:
        """The bytes of the answer: to its end where it is the last one, else of its first piece."""
        connection.sendall(_REQUEST % (b"" if self.hold_s else b"Connection: close\r\n"))
        count = len(connection.recv(_LARGEST))
        while not self.hold_s and (piece := connection.recv(_LARGEST)):
            count += len(piece)
        return count
