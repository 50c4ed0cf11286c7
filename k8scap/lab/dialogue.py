"""Requests of one line on a connection that stays open, as Redis has them: a server, and a client.

A request is a line `GIVE ANSWER THINK_MS BODY` and BODY bytes; its answer is ANSWER bytes. In place of GIVE,
`ABORT` has the server close with a reset instead of answering.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close(2) sends a RST
_KEEP_ALIVE_S = 1
_LARGEST_READ = 65_536


@dataclass(frozen=True, kw_only=True)
class DialogueServer:
    """Answers one client after the other's requests, each connection in a thread of its own."""

    name: str
    port: int

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        listener = socket.create_server((address, self.port), backlog=64)
        threading.Thread(target=self._accept, args=(listener, log), daemon=True).start()

    def _accept(self, listener: socket.socket, log: list[dict[str, Any]]) -> None:
        while True:
            connection, peer = listener.accept()
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            threading.Thread(target=_serve, args=(connection, row, log), daemon=True).start()


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request: `pause_s` before it, `body` bytes beside its line, `answer` bytes wanted in return."""

    pause_s: float = 0.02
    body: int = 0
    answer: int = 200
    think_ms: int = 0
    verb: Literal["GIVE", "ABORT"] = "GIVE"

    @property
    def line(self) -> bytes:
        return b"%s %d %d %d\n" % (self.verb.encode(), self.answer, self.think_ms, self.body)


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """A client's requests, one after the other, on one connection.

    `no_delay` sets TCP_NODELAY; without it, and `in_pieces` (line and body written by themselves), Nagle's
    algorithm holds the body back. `ending` is how the client leaves: it closes, closes with a reset, or
    closes its half first and reads on. `keep_alive` has the kernel probe an idle connection every second.
    """

    port: int
    asks: Sequence[Ask]
    no_delay: bool = True
    in_pieces: bool = False
    ending: Literal["close", "reset", "half"] = "close"
    keep_alive: bool = False
    patience_s: float = 3.0

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        try:
            with socket.create_connection((address, self.port), timeout=self.patience_s) as connection:
                self._prepare(connection)
                for number, ask in enumerate(self.asks):
                    last = number == len(self.asks) - 1
                    row = {"job": "dialogue", "port": self.port, "number": number}
                    row["client_port"] = connection.getsockname()[1]
                    log.append(row | self._ask(connection, ask, half=last and self.ending == "half"))
                    if "error" in log[-1]:
                        return
        except OSError as error:
            log.append({"job": "dialogue", "port": self.port, "error": f"{type(error).__name__}: {error}"})

    def _prepare(self, connection: socket.socket) -> None:
        if self.no_delay:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self.keep_alive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_ALIVE_S)

    def _ask(self, connection: socket.socket, ask: Ask, *, half: bool) -> dict[str, Any]:
        time.sleep(ask.pause_s)
        row: dict[str, Any] = {"start_ns": time.time_ns(), "verb": ask.verb, "received_bytes": 0}
        body = b"b" * ask.body
        try:
            for piece in (ask.line, body) if self.in_pieces else (ask.line + body,):
                connection.sendall(piece)
            if half:
                connection.shutdown(socket.SHUT_WR)
            row["received_bytes"] = _read(connection, ask.answer)
            if row["received_bytes"] < ask.answer:
                row["error"] = "closed before the answer was whole"
        except OSError as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row | {"end_ns": time.time_ns()}


def _serve(connection: socket.socket, row: dict[str, Any], log: list[dict[str, Any]]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with connection, connection.makefile("rb") as incoming:
            for line in incoming:
                verb, answer, think_ms, body = line.split()
                incoming.read(int(body))
                received = time.time_ns()
                time.sleep(int(think_ms) / 1000)
                if verb == b"ABORT":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    log.append(row | {"received_ns": received, "aborted_ns": time.time_ns()})
                    return
                connection.sendall(b"a" * int(answer))
                log.append(row | {"received_ns": received, "sent_bytes": int(answer)})
    except (OSError, ValueError) as error:
        log.append(row | {"error": f"{type(error).__name__}: {error}"})


def _read(connection: socket.socket, count: int) -> int:
    """Read and count `count` bytes, or as many as come before the other side closes."""
    left = count
    while left > 0:
        piece = connection.recv(min(left, _LARGEST_READ))
        if not piece:
            break
        left -= len(piece)
    return count - left
