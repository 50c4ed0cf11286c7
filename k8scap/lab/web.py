"""HTTP/1.1 over the lab's link: a server that may think before it answers, and a client that takes turns."""

from __future__ import annotations

import http.client
import http.server
import socketserver
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 10.0  # seconds; longer than any scenario


@dataclass(frozen=True, kw_only=True)
class WebServer:
    """Answers `GET /any/path?bytes=N&think_ms=M&status=S`: waits M ms, then sends N bytes, with that status.

    It keeps connections open unless the client asks for their end. Its log has a row for each request.
    """

    name: str
    port: int

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        """Listen, then serve in threads of this process."""
        server = _Server(self.name, (address, self.port), log)
        threading.Thread(target=server.serve_forever, daemon=True).start()


@dataclass(frozen=True, kw_only=True)
class WebRequests:
    """A client's requests, one after the other, `gap_s` apart: on one connection or on one each."""

    host: str
    port: int
    paths: Sequence[str]
    keep_alive: bool = True
    gap_s: float = 0.05

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        connection = http.client.HTTPConnection(address, self.port, timeout=_PATIENCE)
        headers = {"Host": self.host} | ({} if self.keep_alive else {"Connection": "close"})
        for path in self.paths:
            log.append(_ask(connection, path, headers) | {"job": "web", "port": self.port})
            if not self.keep_alive:
                connection.close()
            time.sleep(self.gap_s)
        connection.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: str, address: tuple[str, int], log: list[dict[str, Any]]) -> None:
        self.service = service
        self.log = log
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of its request is what some scenarios are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "k8scap-lab"
    sys_version = ""
    wbufsize = -1  # an answer leaves in one piece: Nagle's algorithm is not this scenario
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # the name is http.server's
        received = time.time_ns()
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(self.path).query).items()}
        time.sleep(query.get("think_ms", 0) / 1000)
        body = b"x" * query.get("bytes", 100)
        status = query.get("status", 200)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        answered = time.time_ns()
        self.wfile.write(body)
        self.wfile.flush()
        self.server.log.append(
            {
                "service": self.server.service,
                "client": self.client_address[0],
                "client_port": self.client_address[1],
                "path": self.path,
                "status": status,
                "sent_bytes": len(body),
                "received_ns": received,
                "answered_ns": answered,
            }
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing on stderr: the log above is the one that counts."""


def _ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": path, "start_ns": time.time_ns()}
    try:
        connection.request("GET", path, headers=headers)
        row["client_port"] = connection.sock.getsockname()[1]
        answer = connection.getresponse()
        row |= {"first_byte_ns": time.time_ns(), "status": answer.status}
        row["received_bytes"] = len(answer.read())
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        row["error"] = f"{type(error).__name__}: {error}"
    return row | {"end_ns": time.time_ns()}
