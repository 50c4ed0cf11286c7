"""PostgreSQL's protocol 3: statements, simple and prepared, and how they ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8scap.tables.application.request import UNANSWERED, Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUCCESS = "00000"
"""The SQLSTATE of what went well."""

_ENDS_ONE = ("Command completion", "Empty query", "Portal suspended")
_NOTICES = ("Error", "Notice")
_SAYS_NOTHING = ("Parameter status", "Notice", "Notification", "Backend key data")


@dataclass
class _Cycle:
    """What ends with one "ready for query": a start-up, a simple query, or what one Sync closes."""

    requests: list[Request] = field(default_factory=list)
    simple: bool = False
    failed: bool = False
    closed: bool = False

    def settle(self, code: str, error: str) -> None:
        """The first one that is not over yet is."""
        for request in self.requests:
            if not request.status:
                request.status, request.error = code, error
                return


@dataclass
class _Session:
    """One connection: its prepared statements by name, and what is under way."""

    cycles: deque[_Cycle] = field(default_factory=deque)
    prepared: dict[str, str] = field(default_factory=dict)
    bound: str = ""
    parsed: Request | None = None

    def current(self) -> _Cycle:
        if not self.cycles or self.cycles[-1].closed:
            self.cycles.append(_Cycle())
        return self.cycles[-1]

    def ask(self, request: Request, *, simple: bool = False) -> Request:
        cycle = _Cycle(simple=True) if simple else self.current()
        if simple:
            self.cycles.append(cycle)
            cycle.closed = True
        cycle.requests.append(request)
        return request


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The start-up, statements and executions of one conversation; `status` is the SQLSTATE.

    A statement that was prepared before is told by its name. What an error before it in the same round trip
    prevented has no status.
    """
    session = _Session()
    for frame in frames:
        types, frontend = frame.all("pgsql.type"), frame.all("pgsql.frontend")
        if not types:
            continue
        if frontend[:1] == ["1"]:
            yield from _asked(session, frame, types)
        else:
            _answered(session, frame, types)


def _asked(session: _Session, frame: Frame, types: list[str]) -> Iterator[Request]:
    queries = iter(frame.all("pgsql.query"))
    statements = iter(_statements(frame, types))
    for kind in types:
        if kind == "Startup message":
            yield session.ask(Request("PostgreSQL", frame.number, "startup"), simple=True)
        elif kind == "Simple query":
            yield session.ask(_statement(frame, next(queries, "")), simple=True)
        elif kind == "Parse":
            query = next(queries, "")
            session.prepared[next(statements, "")] = query
            session.parsed = Request("PostgreSQL", frame.number, "PREPARE", query)
        elif kind == "Bind":
            session.bound = session.prepared.get(next(statements, ""), "")
        elif kind == "Execute":
            session.parsed = None
            yield session.ask(_statement(frame, session.bound, "EXECUTE"))
        elif kind == "Sync":
            if session.parsed is not None:
                yield session.ask(session.parsed)
                session.parsed = None
            session.current().closed = True


def _statements(frame: Frame, types: list[str]) -> list[str]:
    """Names of prepared statements, one for each Parse and Bind: "" where nobody can tell."""
    names = frame.all("pgsql.statement")
    needed = [kind for kind in types if kind in ("Parse", "Bind")]
    naming = [kind for kind in types if kind in ("Parse", "Bind", "Describe", "Close")]
    if len(names) == len(needed):
        return names
    if len(names) == len(naming):
        return [name for name, kind in zip(names, naming, strict=True) if kind in ("Parse", "Bind")]
    return []


def _statement(frame: Frame, query: str, otherwise: str = "") -> Request:
    return Request("PostgreSQL", frame.number, first_word(query) or otherwise, query)


def first_word(query: str) -> str:
    """The command of a statement: SELECT, INSERT …; "" where it begins with something else."""
    word = query.lstrip(" \t\r\n(;").split(maxsplit=1)[:1]
    return word[0].upper().rstrip(";") if word and word[0].rstrip(";").isalpha() else ""


def _answered(session: _Session, frame: Frame, types: list[str]) -> None:
    notices = [kind for kind in types if kind in _NOTICES]
    seen = 0
    for place, kind in enumerate(types):
        if not session.cycles:
            return
        cycle = session.cycles[0]
        if kind not in _SAYS_NOTHING:
            _begin(cycle, frame.begins if place == 0 else frame.number)
        if kind in _NOTICES:
            code = frame.paired("pgsql.code", len(notices), seen)
            text = frame.paired("pgsql.message", len(notices), seen)
            seen += 1
            if kind == "Error":
                cycle.failed = True
                cycle.settle(code, text)
        elif kind in _ENDS_ONE and not cycle.simple:
            cycle.settle(SUCCESS, "")
        elif kind == "Ready for query":
            _end(session.cycles.popleft())


def _begin(cycle: _Cycle, frame: int) -> None:
    """The answer to the first one that is not over yet begins, unless it has begun before."""
    for request in cycle.requests:
        if not request.status:
            if request.response == UNANSWERED:
                request.response = frame
            return


def _end(cycle: _Cycle) -> None:
    for request in cycle.requests:
        if not request.status and not cycle.failed and request.response != UNANSWERED:
            request.status = SUCCESS
