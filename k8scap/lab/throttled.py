"""An HTTP server that computes, in a process whose CPU quota is small."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.lab import quota

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE = 65_536


@dataclass(frozen=True, kw_only=True)
class ThrottledServer:
    """Computes `burn_ms` of CPU time for each request, then answers with `size` bytes.

    The whole process it runs in gets `quota_ms` of CPU in each period of 100 ms: by a cgroup where one can be
    made, else by standing still itself; its log's first row says which (`throttled_by`).
    """

    name: str
    port: int
    burn_ms: float
    quota_ms: int
    size: int = 500

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        why_not = quota.limit(os.getpid(), quota_ms=self.quota_ms)
        burn = quota.Ration(self.quota_ms).burn if why_not else quota.burn
        how = {"throttled_by": "itself", "why": why_not} if why_not else {"throttled_by": "cgroup"}
        log.append({"service": self.name, **how})
        listener = socket.create_server((address, self.port), backlog=16)
        threading.Thread(target=self._accept, args=(listener, burn, log), daemon=True).start()

    def _accept(
        self, listener: socket.socket, burn: Callable[[float], None], log: list[dict[str, Any]]
    ) -> None:
        while True:
            connection, peer = listener.accept()
            threading.Thread(target=self._serve, args=(connection, peer, burn, log), daemon=True).start()

    def _serve(
        self,
        connection: socket.socket,
        peer: tuple[str, int],
        burn: Callable[[float], None],
        log: list[dict[str, Any]],
    ) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    piece = connection.recv(_LINE)
                    if not piece:
                        return
                    request += piece
                received = time.time_ns()
                burn(self.burn_ms / 1000)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {self.size}\r\n\r\n".encode()
                connection.sendall(head + b"x" * self.size)
                log.append(
                    {
                        "service": self.name,
                        "client": peer[0],
                        "client_port": peer[1],
                        "received_ns": received,
                        "answered_ns": time.time_ns(),
                    }
                )
