"""A client that resolves names as glibc's getaddrinfo does: A and AAAA at once, over a search list.

What it does where answers fail to come is glibc's, too (resolv.conf(5), resolv/res_send.c): both questions
leave one socket together; where only one of them is answered in time, both are asked again from that
socket, now one after the other. After a failure (SERVFAIL, REFUSED) it asks at once, from another socket.
"""

from __future__ import annotations

import itertools
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.lab.resolver import AAAA, PORT, A, first_address, identity_and_code, question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FAILURES = {2, 4, 5}  # SERVFAIL, NOTIMP, REFUSED: glibc tries the next server, or this one again
_NO_ERROR = 0

Answers = dict[int, tuple[int, str | None]]
"""By kind (A, AAAA): the response code, and the address where there is one."""


@dataclass(frozen=True, kw_only=True)
class StubLookups:
    """A client's lookups, one after the other, `gap_s` apart.

    `search` and `ndots` are resolv.conf's: a name with fewer dots is asked with each suffix before as it is,
    others after that; one that ends in a dot only as it is. glibc's `timeout_s` is 5, its `attempts` 2.
    """

    names: Sequence[str]
    first_id: int
    search: Sequence[str] = ()
    ndots: int = 1
    timeout_s: float = 5.0
    attempts: int = 2
    gap_s: float = 0.02

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        identities = itertools.count(self.first_id)
        for name in self.names:
            log.append(self._resolve(address, name, identities))
            time.sleep(self.gap_s)

    def _resolve(self, resolver: str, name: str, identities: Iterator[int]) -> dict[str, Any]:
        row: dict[str, Any] = {"job": "getaddrinfo", "query": name, "start_ns": time.time_ns()}
        row |= {"asked": [], "answer": None}
        for candidate in self.candidates(name):
            row["asked"].append(candidate)
            answers = self._ask_both(resolver, candidate, identities)
            row["codes"] = sorted({code for code, _ in answers.values()})
            row["answer"] = answers.get(A, (0, None))[1]
            if any(code == _NO_ERROR for code, _ in answers.values()):
                break
        return row | {"end_ns": time.time_ns()}

    def candidates(self, name: str) -> list[str]:
        """What is asked for `name`, in this order."""
        if name.endswith("."):
            return [name.rstrip(".")]
        searched = [f"{name}.{suffix}" for suffix in self.search]
        return [name, *searched] if name.count(".") >= self.ndots else [*searched, name]

    def _ask_both(self, resolver: str, name: str, identities: Iterator[int]) -> Answers:
        pair = {kind: next(identities) % 65_536 for kind in (A, AAAA)}
        together, attempts, answers = True, self.attempts, Answers()
        while attempts > 0:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect((resolver, PORT))
                client.settimeout(self.timeout_s)
                while attempts > 0:
                    attempts -= 1
                    answers = _round(client, name, pair, together=together)
                    if any(code in _FAILURES for code, _ in answers.values()):
                        break
                    if len(answers) == len(pair):
                        return answers
                    together = together and not answers
        return answers


def _round(client: socket.socket, name: str, pair: dict[int, int], *, together: bool) -> Answers:
    """Ask for all of `pair` (kind → transaction ID), and wait until all is answered or the time is up."""
    answers = Answers()
    for kinds in [list(pair)] if together else [[kind] for kind in pair]:
        for kind in kinds:
            client.send(question(name, pair[kind], kind))
        try:
            while not answers.keys() >= set(kinds):
                _take(client.recv(2048), pair, answers)
        except OSError:  # nothing came in time, or an ICMP error said that nobody is there
            return answers
    return answers


def _take(answer: bytes, pair: dict[int, int], answers: Answers) -> None:
    identity, code = identity_and_code(answer)
    for kind, asked in pair.items():
        if asked == identity:
            answers[kind] = (code, None if code or kind != A else first_address(answer))
