"""Requests in the application's own words: HTTP, gRPC, DNS, TLS, databases, queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.application.request import Frame, Request

    Ints = npt.NDArray[np.int64]
    Reader = Callable[[Sequence[Frame]], Iterator[Request]]

_NA, _NAT, _NAN = "<NA>", "NaT", "NaN"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("stream", "Int32", "Wireshark's TCP stream number; DNS over UDP has none here", absent=_NA),
    Column("protocol", "str", "HTTP/1, HTTP/2, gRPC, DNS, TLS, PostgreSQL, MySQL, Redis, MongoDB or Kafka"),
    Column("src", "category", "who asked"),
    Column("src_port", "Int32", "its port", absent=_NA),
    Column("dst", "category", "who was asked"),
    Column("dst_port", "Int32", "its port", absent=_NA),
    Column("time", "datetime64[ns, UTC]", "when the request's head was complete (DNS: the first query)"),
    Column("number", "int64", "frame in which it was complete"),
    Column("response", "Int64", "frame in which the answer began", absent=_NA),
    Column(
        "latency_ms",
        "float64",
        "from the request's last segment, its body included, to the answer; HTTP/2, gRPC, MongoDB, Kafka: "
        "from its head; DNS: from the first query",
        "ms",
        _NAN,
    ),
    Column("method", "str", "GET, SELECT, handshake, A …; in the protocol's words"),
    Column("target", "str", "path, DNS name, statement, key, topic: masked unless it was asked for"),
    Column("host", "str", "Host, :authority or SNI; empty where there is none"),
    Column("status", "str", "200, NXDOMAIN, gRPC's 14, TLSv1.3, an SQLSTATE …; empty without an answer"),
    Column("error", "str", "what went wrong, in the protocol's words: UNAVAILABLE, certificate_expired …"),
    Column(
        "not_before",
        "datetime64[ns, UTC]",
        "TLS: from when on the server's certificate is valid",
        absent=_NAT,
    ),
    Column("not_after", "datetime64[ns, UTC]", "TLS: until when", absent=_NAT),
    Column("retries", "int64", "DNS: how often the query was repeated"),
    Column("wasted", "int64", "DNS: queries for the name with a search suffix that failed before this one"),
)

_NEEDED = (
    "number", "time", "point", "protocol", "stream", "src", "dst", "src_port", "dst_port", "payload_length",
)  # fmt: skip
_TEXTS = ("protocol", "method", "target", "host", "status", "error")
_DIRECT = ("HTTP/2", "gRPC", "MongoDB", "Kafka", "DNS")


def requests(
    packets: pd.DataFrame, told: pd.DataFrame, lookups: pd.DataFrame, *, masked: bool = True
) -> pd.DataFrame:
    """The requests of a capture: `COLUMNS`, by point and frame.

    `told` has the fields of `parser.requests.asking.FIELDS` as strings, several occurrences joined by
    `BETWEEN`, with `point`, indexed by `number`; `lookups` is the table of that name. With `masked`, query
    strings, tokens in paths, literals of SQL statements, values of Redis commands and what error messages
    quote are left out (see `application.masking`); headers other than Host are in no column at all. Text is
    escaped where it is not printable, and cut at 512 characters. Raises SchemaError where columns of
    `packets` are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.application.dns import questions
    from k8scap.tables.application.shown import show

    require(packets, _NEEDED, what="requests")
    found = [*_of_conversations(told), *questions(lookups)]
    for _, request in found:
        show(request, masked=masked)
    if not found:
        packets = packets.head(0)
    return _table(packets, [point for point, _ in found], [request for _, request in found])


def _of_conversations(told: pd.DataFrame) -> Iterator[tuple[str, Request]]:
    """What each conversation's frames say, in each protocol that they have fields of."""
    readers = _readers()
    for (point, _), frames in _conversations(told).items():
        for reader in readers:
            for request in reader(frames):
                yield point, request


def _readers() -> tuple[Reader, ...]:
    from k8scap.tables.application import http1, http2, kafka, mongodb, mysql, postgresql, redis, tls

    spoken = (http1, http2, tls, postgresql, mysql, redis, mongodb, kafka)
    return tuple(protocol.requests_of for protocol in spoken)


def _conversations(told: pd.DataFrame) -> dict[tuple[str, int], list[Frame]]:
    """The frames of each (point, stream), in capture order."""
    from k8scap.parser.requests.asking import BETWEEN, FIELDS
    from k8scap.tables.application.request import Frame

    found: dict[tuple[str, int], list[Frame]] = {}
    columns = [told[name].tolist() for name in FIELDS]
    for point, stream, number, upward, *values in zip(
        told["point"].tolist(),
        told["stream"].tolist(),
        told.index.tolist(),
        told["upward"].tolist(),
        *columns,
        strict=True,
    ):
        there = zip(FIELDS, values, strict=True)
        fields = {name: value.split(BETWEEN) for name, value in there if isinstance(value, str)}
        found.setdefault((point, stream), []).append(Frame(number, upward, fields))
    return found


def _table(packets: pd.DataFrame, points: Sequence[str], found: Sequence[Request]) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import ABSENT, assemble, milliseconds
    from k8scap.tables.request_times import Places, latencies

    places = Places(packets)
    asked = places.of(points, [request.number for request in found])
    kept = np.flatnonzero(asked >= 0)  # a query may have been selected away
    order = kept[np.argsort(asked[kept], kind="stable")]
    asked = asked[order]
    answered = places.of(points, [request.response for request in found])[order]
    chosen = [found[i] for i in order.tolist()]
    protocols = [request.protocol for request in chosen]
    streams = places.stream[asked]
    turned = np.array([request.turned for request in chosen], bool)
    values: dict[str, Any] = {
        **places.columns.take(asked).turned(turned).columns(),
        **{name: [getattr(request, name) for request in chosen] for name in _TEXTS},
        "stream": np.where(streams < 0, ABSENT, streams),
        "time": places.time[asked],
        "number": places.number[asked],
        "response": np.where(answered < 0, ABSENT, places.number[answered]) if len(asked) else asked,
        "latency_ms": milliseconds(latencies(places, asked, answered, direct=np.isin(protocols, _DIRECT))),
    }
    for name in ("not_before", "not_after", "retries", "wasted"):
        numbers = (getattr(request, name) for request in chosen)
        values[name] = np.array([ABSENT if n is None else n for n in numbers], np.int64)
    return assemble(COLUMNS, values)
