"""DNS over UDP (RFC 1035): a small server with a handful of names, and a client that asks as libc does."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PORT = 53
_HEADER = struct.Struct("!HHHHHH")
A, AAAA = 1, 28
_QUERY = 0x0100  # recursion desired
_ANSWER = 0x8580  # response, authoritative, recursion desired and available
_NO_SUCH_NAME = 3


@dataclass(frozen=True, kw_only=True)
class NameServer:
    """Answers what it knows with an A record, AAAA with nothing, and other names with NXDOMAIN.

    `failures` are names with the response code that it answers about them (2: SERVFAIL, 5: REFUSED).
    """

    records: Mapping[str, str]
    failures: Mapping[str, int] = field(default_factory=dict)
    name: str = "dns"

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, PORT))
        threading.Thread(target=self._serve, args=(server, log), daemon=True).start()

    def _serve(self, server: socket.socket, log: list[dict[str, Any]]) -> None:
        while True:
            query, peer = server.recvfrom(2048)
            row = {"service": self.name, "client": peer[0], "client_port": peer[1]}
            row["received_ns"] = time.time_ns()
            answer, asked, code = answer_to(query, self.records, failures=self.failures)
            server.sendto(answer, peer)
            log.append(row | {"query": asked, "rcode": code, "answered_ns": time.time_ns()})


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """A client's lookups, one after the other, each from a port of its own, repeated after `timeout_s`."""

    names: Sequence[str]
    first_id: int
    timeout_s: float = 1.0
    attempts: int = 2
    gap_s: float = 0.02

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        for number, name in enumerate(self.names):
            log.append(self._look_up(address, name, (self.first_id + number) % 65_536))
            time.sleep(self.gap_s)

    def _look_up(self, resolver: str, name: str, identity: int) -> dict[str, Any]:
        row: dict[str, Any] = {"job": "dns", "query": name, "start_ns": time.time_ns(), "answer": None}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((resolver, PORT))
            client.settimeout(self.timeout_s)
            row["client_port"] = client.getsockname()[1]
            for attempt in range(1, self.attempts + 1):
                row["attempts"] = attempt
                try:
                    client.send(question(name, identity))
                    row["answer"] = first_address(client.recv(2048))
                    break
                except TimeoutError:
                    continue
                except OSError as error:
                    row["error"] = f"{type(error).__name__}: {error}"
        return row | {"end_ns": time.time_ns()}


def question(name: str, identity: int, kind: int = A) -> bytes:
    """A query for the records of that kind of `name`."""
    return _HEADER.pack(identity, _QUERY, 1, 0, 0, 0) + _encode(name) + struct.pack("!HH", kind, 1)


def answer_to(
    query: bytes, records: Mapping[str, str], *, failures: Mapping[str, int] | None = None
) -> tuple[bytes, str, int]:
    """The answer to a query of one question, the name that it asks about, and the response code."""
    name, end = _decode(query, _HEADER.size)
    (kind,) = struct.unpack_from("!H", query, end)
    code = (failures or {}).get(name, 0 if name in records else _NO_SUCH_NAME)
    address = records[name] if not code else ""
    record = b""
    if address and kind == A:
        pointer = 0xC000 | _HEADER.size  # the name, as it stands in the question
        record = struct.pack("!HHHIH", pointer, A, 1, 30, 4) + IPv4Address(address).packed
    (identity,) = struct.unpack_from("!H", query)
    header = _HEADER.pack(identity, _ANSWER | code, 1, bool(record), 0, 0)
    return header + query[_HEADER.size : end + 4] + record, name, code


def first_address(answer: bytes) -> str | None:
    """The address in an answer of `answer_to`'s shape; None where it has none."""
    if not _HEADER.unpack_from(answer)[3]:
        return None
    return str(IPv4Address(answer[-4:]))


def identity_and_code(answer: bytes) -> tuple[int, int]:
    """The transaction ID and the response code of an answer."""
    identity, flags = struct.unpack_from("!HH", answer)
    return identity, flags & 0xF


def _encode(name: str) -> bytes:
    labels = (label.encode("ascii") for label in name.rstrip(".").split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _decode(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    return ".".join(labels).lower(), at + 1
