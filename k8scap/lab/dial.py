"""Connecting, and nothing more: what a client does whose server may not be there."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

from k8scap.lab.cancel import LINGER_NOT


@dataclass(frozen=True, kw_only=True)
class Dial:
    """Try to connect `attempts` times, `gap_s` apart; close at once what opens (`reset`: abort it)."""

    port: int
    attempts: int
    gap_s: float
    timeout_s: float = 3.0
    reset: bool = False

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        for _ in range(self.attempts):
            log.append({"job": "dial", "port": self.port} | self._try(address))
            time.sleep(self.gap_s)

    def _try(self, address: str) -> dict[str, Any]:
        row: dict[str, Any] = {"start_ns": time.time_ns()}
        try:
            with socket.create_connection((address, self.port), timeout=self.timeout_s) as connection:
                row["client_port"] = connection.getsockname()[1]
                if self.reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row | {"end_ns": time.time_ns()}
