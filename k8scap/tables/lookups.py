"""DNS questions and what came of them: one row a query sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_NA = "<NA>"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "frame of the query"),
    Column("time", "datetime64[ns, UTC]", "when it was captured"),
    Column("src", "category", "client"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "resolver"),
    Column("dst_port", "Int32", "its port"),
    Column("dns_id", "int64", "transaction ID"),
    Column("query", "str", "name asked for (the first, where there are several)"),
    Column("type", "str", "A, AAAA, SRV … or TYPE65280"),
    Column("answered", "bool", "whether a response to it was captured"),
    Column("rcode", "Int16", "response code: 0 no error, 2 server failure, 3 no such name", absent=_NA),
    Column("response", "Int64", "frame of the response", absent=_NA),
    Column("response_ms", "float64", "from the query to the response", "ms", "NaN"),
    Column("attempt", "int64", "1, or counting on from an unanswered query of the same within 30 s"),
)

ATTEMPTS_WITHIN = 30_000_000_000
"""Nanoseconds: glibc gives up after 5 s, twice, of each of 3 resolvers (resolv.conf(5))."""

TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT",
    28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG",
    47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 64: "SVCB", 65: "HTTPS",
    249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
"""IANA's DNS parameters, those one meets."""

_NEEDED = ("number", "time", "point", "protocol", "src", "dst", "src_port", "dst_port", "dns.id",
           "dns.flags.response", "dns.qry.name", "dns.qry.type", "dns.flags.rcode")  # fmt: skip


def lookups(dns: pd.DataFrame) -> pd.DataFrame:
    """The DNS queries of a capture: `COLUMNS`, by point and frame.

    `dns` holds columns of the packets table and, as strings or NaN, Wireshark's fields dns.id,
    dns.flags.response, dns.qry.name, dns.qry.type and dns.flags.rcode; frames that are not DNS over UDP or
    TCP are passed over. A response answers the last query before it with the same client, resolver, ports
    and ID: of a query repeated from one port it answers the last. `attempt` counts on where the same client
    asked the same of anybody within 30 s before and got no answer, or a server failure or refusal. A message
    that the capture shows twice (`-i any`) counts once.
    Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.dns_sightings import seen_twice
    from k8scap.tables.endpoints import capture_order, endpoints

    require(dns, _NEEDED, what="lookups")
    usable = dns["protocol"].isin(["UDP", "TCP"]) & dns["dns.id"].notna() & dns["dns.flags.response"].notna()
    messages = dns[usable.to_numpy(dtype=bool)]
    messages = messages.iloc[capture_order(messages)]
    messages = messages[~seen_twice(messages)]
    response = messages["dns.flags.response"].map(_flag).to_numpy(dtype=bool)
    ends = endpoints(messages).turned(response)
    return _table(messages, ends, response)


def _table(messages: pd.DataFrame, ends: Any, response: Bools) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import ABSENT, assemble, milliseconds, nanoseconds
    from k8scap.tables.endpoints import dense, frame_numbers

    identity = np.asarray(messages["dns.id"].map(_number)).astype(np.int64)
    key = dense(ends.point, ends.src, ends.src_port, ends.dst, ends.dst_port, identity)
    answer = _answers(key, response)[~response]
    there = answer >= 0
    number, time = frame_numbers(messages), nanoseconds(messages["time"])
    code = messages["dns.flags.rcode"].map(_number).to_numpy(dtype=np.int64)
    rcode = np.where(there, code[answer], ABSENT) if len(answer) else answer
    names, types = messages["dns.qry.name"].map(_first), messages["dns.qry.type"].map(_type)
    asked = time[~response]
    waited = np.where(there, time[answer] - asked, ABSENT) if len(answer) else answer
    question = dense(*(keys[~response] for keys in (ends.point, ends.src, _coded(names), _coded(types))))
    values = {
        **ends.take(~response).columns(),
        "number": number[~response],
        "time": asked,
        "dns_id": identity[~response],
        "query": names.array[~response],
        "type": types.array[~response],
        "answered": there,
        "rcode": rcode,
        "response": np.where(there, number[answer], ABSENT) if len(answer) else answer,
        "response_ms": milliseconds(waited),
        "attempt": _attempts(question, asked, settled=there & ~np.isin(rcode, (2, 5))),
    }
    return assemble(COLUMNS, values)


def _answers(key: Ints, response: Bools) -> Ints:
    """For each message: index of the response that directly follows it among those of its key, else -1."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    follows = (key[order][1:] == key[order][:-1]) & response[order][1:] & ~response[order][:-1]
    answer = np.full(len(key), -1, dtype=np.int64)
    answer[order[:-1][follows]] = order[1:][follows]
    return answer


def _attempts(question: Ints, asked: Ints, *, settled: Bools) -> Ints:
    """1 for a question's first query, one more for each that follows an unsettled one within 30 s."""
    attempt = [1] * len(question)
    last: dict[int, int] = {}
    for index, (what, time, done) in enumerate(
        zip(question.tolist(), asked.tolist(), settled.tolist(), strict=True)
    ):
        before = last.get(what)
        if before is not None and time - int(asked[before]) <= ATTEMPTS_WITHIN:
            attempt[index] = attempt[before] + 1
        if done:
            last.pop(what, None)
        else:
            last[what] = index
    import numpy as np

    return np.array(attempt, dtype=np.int64)


def _coded(texts: pd.Series) -> Ints:
    import numpy as np

    return np.asarray(texts.astype("category").cat.codes).astype(np.int64)


def _first(text: object) -> str:
    return text.split(",")[0] if isinstance(text, str) else ""


def _flag(text: object) -> bool:
    return _first(text) in {"1", "True"}


def _number(text: object) -> int:
    """-1 where there is none (a response cut off before it)."""
    first = _first(text)
    return int(first, 0) if first else -1


def _type(text: object) -> str:
    number = _number(text)
    return "" if number < 0 else TYPES.get(number, f"TYPE{number}")
