"""HTTP over TLS on the lab's link: a server with a certificate of the lab's, and a client that checks it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_CERTIFICATES = Path(__file__).parent / "certificates"
_PATIENCE = 10.0  # seconds; longer than any scenario
_LINGER = 0.5  # seconds for the other side to close
_VERSIONS = {
    "": None,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

Certificate = Literal["valid", "expired", "stranger"]
Version = Literal["", "TLSv1.2", "TLSv1.3"]


@dataclass(frozen=True, kw_only=True)
class SecureServer:
    """Answers one request a connection; its log has a row for each connection, with what went wrong.

    `certificate` is one of `lab/certificates`; `lowest` the oldest version of TLS that it speaks. With
    `only_for` it sends the alert unrecognized_name to whoever means another host (RFC 6066, 3).
    """

    name: str
    port: int
    certificate: Certificate = "valid"
    lowest: Version = ""
    only_for: str = ""

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATES / f"{self.certificate}.pem")
        if lowest := _VERSIONS[self.lowest]:
            context.minimum_version = lowest
        if self.only_for:
            context.sni_callback = self._check_name
        listener = socket.create_server((address, self.port), backlog=64)
        threading.Thread(target=self._accept, args=(listener, context, log), daemon=True).start()

    def _check_name(self, _: object, host: str | None, __: object) -> int | None:
        return None if host == self.only_for else int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

    def _accept(self, listener: socket.socket, context: ssl.SSLContext, log: list[dict[str, Any]]) -> None:
        while True:
            connection, peer = listener.accept()
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            threading.Thread(target=_serve, args=(connection, context, row, log), daemon=True).start()


@dataclass(frozen=True, kw_only=True)
class SecureRequests:
    """A client's requests by TLS, a connection each, `gap_s` apart; `plain` forgets the TLS.

    It trusts the lab's authority, and means `host`. `highest` is the newest version that it speaks.
    """

    host: str
    port: int
    times: int
    gap_s: float = 0.1
    highest: Version = ""
    plain: bool = False

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        context = ssl.create_default_context(cafile=str(_CERTIFICATES / "authority.pem"))
        if highest := _VERSIONS[self.highest]:
            context.maximum_version = highest
        for number in range(self.times):
            log.append({"job": "tls", "port": self.port} | self._ask(address, number, context))
            time.sleep(self.gap_s)

    def _ask(self, address: str, number: int, context: ssl.SSLContext) -> dict[str, Any]:
        row: dict[str, Any] = {"start_ns": time.time_ns()}
        request = f"GET /item/{number} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode()
        try:
            with socket.create_connection((address, self.port), timeout=_PATIENCE) as connection:
                row["client_port"] = connection.getsockname()[1]
                if self.plain:
                    row["received_bytes"] = _ask_over(connection, request)
                else:
                    with context.wrap_socket(connection, server_hostname=self.host) as secure:
                        row["version"] = secure.version()
                        row["received_bytes"] = _ask_over(secure, request)
        except OSError as error:  # ssl.SSLError is one
            row["error"] = f"{type(error).__name__}: {error}"
        return row | {"end_ns": time.time_ns()}


def _ask_over(connection: socket.socket, request: bytes) -> int:
    connection.sendall(request)
    received = 0
    while piece := connection.recv(65_536):
        received += len(piece)
    return received


def _serve(
    connection: socket.socket, context: ssl.SSLContext, row: dict[str, Any], log: list[dict[str, Any]]
) -> None:
    row |= {"received_ns": time.time_ns()}
    try:
        with connection:
            connection.settimeout(_PATIENCE)
            with context.wrap_socket(connection, server_side=True) as secure:
                row["version"] = secure.version()
                _answer(secure)
    except OSError as error:
        row["error"] = f"{type(error).__name__}: {error}"
    log.append(row | {"answered_ns": time.time_ns()})


def _answer(secure: ssl.SSLSocket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        piece = secure.recv(65_536)
        if not piece:
            raise ConnectionError("closed before a request came")
        asked += piece
    body = b"x" * 500
    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    secure.settimeout(_LINGER)
    secure.unwrap()  # close_notify, and the client's
