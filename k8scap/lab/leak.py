"""Connections that a client opens, asks something on once, and never closes."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 10.0  # seconds for an answer
_LEFT_OPEN: list[socket.socket] = []
"""What nobody closes: it ends with the host's process, after the capture."""


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One connection after each of `gaps_s`: `request` is sent, `answer` bytes are read, and that was all."""

    port: int
    request: bytes
    answer: int
    gaps_s: Sequence[float]

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        for gap in self.gaps_s:
            time.sleep(gap)
            log.append({"job": "leak", "port": self.port} | self._ask(address))

    def _ask(self, address: str) -> dict[str, Any]:
        row: dict[str, Any] = {"start_ns": time.time_ns()}
        try:
            connection = socket.create_connection((address, self.port), timeout=_PATIENCE)
            _LEFT_OPEN.append(connection)
            row["client_port"] = connection.getsockname()[1]
            connection.sendall(self.request)
            left = self.answer
            while left > 0 and (piece := connection.recv(left)):
                left -= len(piece)
            row["received_bytes"] = self.answer - left
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row | {"end_ns": time.time_ns()}
