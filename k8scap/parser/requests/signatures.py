"""Which protocol a TCP conversation speaks, by how its two sides begin, or else by its port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKED_AT = 32
"""Bytes of a side's first payload that are looked at."""

METHODS = (
    b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE",
    b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT", b"SEARCH", b"PURGE",
)  # fmt: skip
"""RFC 9110 (9), RFC 5789, WebDAV's, and what caches are told."""

HTTP1_REQUEST = re.compile(rb"(?:" + b"|".join(METHODS) + rb") ")
HTTP1_RESPONSE = re.compile(rb"HTTP/1\.[01] ")


@dataclass(frozen=True)
class Protocol:
    """A protocol: Wireshark's dissector of it, how either side begins, its ports."""

    name: str
    dissector: str
    opens: re.Pattern[bytes]
    ports: tuple[int, ...] = ()


PROTOCOLS = (
    Protocol("HTTP/2", "http2", re.compile(rb"PRI \* HTTP/2\.0\r\n")),
    Protocol("HTTP/1", "http", re.compile(HTTP1_REQUEST.pattern + rb"|" + HTTP1_RESPONSE.pattern)),
    Protocol("TLS", "tls", re.compile(rb"\x16\x03[\x00-\x04]..[\x01\x02]", re.DOTALL)),
    # a start-up message of version 3, or the wish for TLS or GSS before it, with their lengths
    Protocol(
        "PostgreSQL",
        "pgsql",
        re.compile(rb"\x00\x00..\x00\x03\x00[\x00-\x02]|\x00\x00\x00\x08\x04\xd2\x16[\x2e-\x30]", re.DOTALL),
        (5432,),
    ),
    # a greeting of protocol 10 with the server's version, as packet 0
    Protocol("MySQL", "mysql", re.compile(rb"..\x00\x00\x0a\d{1,2}\.\d", re.DOTALL), (3306,)),
    # an array of bulk strings
    Protocol("Redis", "resp", re.compile(rb"\*\d{1,7}\r\n\$\d{1,9}\r\n"), (6379,)),
    # a header with the opcode of a query, a compressed or an ordinary message
    Protocol(
        "MongoDB", "mongo", re.compile(rb".{3}\x00.{8}(?:\xd4|\xdc|\xdd)\x07\x00\x00", re.DOTALL), (27017,)
    ),
    # ApiVersions, which clients ask first: key 18, a version below 8
    Protocol("Kafka", "kafka", re.compile(rb"\x00\x00..\x00\x12\x00[\x00-\x07]", re.DOTALL), (9092,)),
)
"""The first that fits counts."""

_BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
BY_PORT = {port: protocol.name for protocol in PROTOCOLS for port in protocol.ports}
_BY_DISSECTOR = {protocol.dissector: protocol.name for protocol in PROTOCOLS} | {"ssl": "TLS"}


def dissector(name: str) -> str:
    """What Wireshark calls a protocol."""
    return _BY_NAME[name].dissector


def told_by(decode_as: Mapping[str, str]) -> dict[int, str]:
    """Ports that somebody said the protocol of: {"tcp.port==8888": "http"} → {8888: "HTTP/1"}."""
    found = {}
    for selector, name in decode_as.items():
        layer, _, port = selector.replace(" ", "").partition("==")
        if layer == "tcp.port" and port.isdecimal() and name in _BY_DISSECTOR:
            found[int(port)] = _BY_DISSECTOR[name]
    return found
