"""Requests that the client gives up while the server still thinks: a cancelled search."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 10.0  # seconds to connect
LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) then aborts with a reset


@dataclass(frozen=True, kw_only=True)
class CancelledRequests:
    """One HTTP request after the other, each on a connection of its own that is closed after `waits_s`.

    With `reset` it is aborted (RST), else closed (FIN).
    """

    host: str
    port: int
    path: str
    waits_s: Sequence[float]
    reset: bool

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        for wait in self.waits_s:
            row = self._cancel(address, wait)
            log.append(row | {"end_ns": time.time_ns()})

    def _cancel(self, address: str, wait: float) -> dict[str, Any]:
        row: dict[str, Any] = {"job": "cancel", "port": self.port, "start_ns": time.time_ns()}
        try:
            with socket.create_connection((address, self.port), timeout=_PATIENCE) as connection:
                row["client_port"] = connection.getsockname()[1]
                connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
                time.sleep(wait)
                if self.reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row
