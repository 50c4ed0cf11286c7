"""DNS questions from the lookups: repeats are one request, and a search list's misses are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from k8scap.tables.application.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

SEARCHED_WITHIN = 30_000_000_000
"""Nanoseconds from a search list's first miss to the answer: as long as a resolver goes on trying."""

RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
    7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS",
}  # fmt: skip
"""IANA's DNS RCODEs."""

_NO_SUCH_NAME = 3
_UNANSWERED = -1


def questions(lookups: pd.DataFrame) -> list[tuple[str, Request]]:
    """The questions of the lookups table, each with its capture point: a query, with its repeats.

    A question's frame is that of its first query, its response that of the last one. `wasted` counts, for a
    name that there is, the queries of the same client and type before it for that name with a suffix behind
    it that there was not: a search list's (resolv.conf(5), ndots).
    """
    found: list[tuple[str, Request]] = []
    latest: dict[tuple[str, str, str, str], Request] = {}
    missed: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for query in _queries(lookups):
        key = (query.point, query.client, query.name, query.type)
        request = latest.get(key)
        if request is not None and query.attempt > 1:
            request.retries += 1
        else:
            request = latest[key] = Request("DNS", query.number, query.type, query.name)
            found.append((query.point, request))
        if query.rcode != _UNANSWERED:
            code = RCODES.get(query.rcode, f"RCODE{query.rcode}")
            request.answer(query.response, code, "" if query.rcode == 0 else code)
            request.wasted = _waste(query, missed)
    return found


class _Query(NamedTuple):
    """What counts of a row of the lookups."""

    point: str
    client: str
    name: str
    type: str
    number: int
    time: int
    attempt: int
    rcode: int
    response: int


def _queries(lookups: pd.DataFrame) -> Iterator[_Query]:
    from k8scap.tables.assembly import integers, nanoseconds

    texts = (lookups[name].tolist() for name in ("point", "src", "query", "type"))
    numbers = (lookups["number"], lookups["attempt"], lookups["rcode"], lookups["response"])
    number, attempt, rcode, response = (integers(n, absent=_UNANSWERED).tolist() for n in numbers)
    times = nanoseconds(lookups["time"]).tolist()
    return map(_Query, *texts, number, times, attempt, rcode, response)


def _waste(query: _Query, missed: dict[tuple[str, str, str], list[tuple[int, str]]]) -> int:
    """How many misses a name that there is had before; a miss waits for the name that it was tried for."""
    client = (query.point, query.client, query.type)
    name = query.name.rstrip(".").lower()
    if query.rcode == _NO_SUCH_NAME:
        missed.setdefault(client, []).append((query.time, name))
    if query.rcode != 0:
        return 0
    before = [miss for miss in missed.get(client, ()) if query.time - miss[0] <= SEARCHED_WITHIN]
    missed[client] = [miss for miss in before if not miss[1].startswith(f"{name}.")]
    return len(before) - len(missed[client])
