"""The TCP sockets of a network namespace, by `ss -tinm`: their queues, round trips and retransmissions.

A namespace may hold tens of thousands of sockets: there are limits to how many are asked for, told of, and
to the share of the time that the asking may take.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from k8scap.live.netns import nsenter_argv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.live.netns import Namespace
    from k8scap.runner import Runner

ARGV = ("ss", "-tinmHO", "state", "all", "exclude", "time-wait")
MOST_ASKED_FOR = 5000
MOST_TOLD = 200
SHARE_OF_TIME = 0.05
STATES = (
    *("LISTEN", "SYN-SENT", "SYN-RECV", "ESTAB", "FIN-WAIT-1", "FIN-WAIT-2"),
    *("CLOSE-WAIT", "LAST-ACK", "CLOSING"),
)
TIMEOUT_S = 3.0

_FACTS = {
    "rtt_ms": re.compile(r"\brtt:([0-9.]+)"),
    "rto_ms": re.compile(r"\brto:([0-9.]+)"),
    "cwnd": re.compile(r"\bcwnd:([0-9]+)"),
    "unacked": re.compile(r"\bunacked:([0-9]+)"),
    "lost": re.compile(r"\blost:([0-9]+)"),
    "retrans": re.compile(r"\bretrans:[0-9]+/([0-9]+)"),
    "bytes_retrans": re.compile(r"\bbytes_retrans:([0-9]+)"),
    "drops": re.compile(r"\bskmem:\([^)]*\bd([0-9]+)\)"),
}


def parse(text: str) -> list[dict[str, Any]]:
    """`ss`'s lines → one dictionary a socket.

    `state`, `local`, `peer` (as ss writes them), `recv_q`, `send_q` (bytes; of a LISTEN socket the
    connections that wait to be accepted, and how many may); where the kernel tells: `rtt_ms`, `rto_ms`,
    `cwnd`, `unacked`, `lost` (segments), `retrans` (segments so far), `bytes_retrans`, `drops` (packets).
    """
    rows = (line.split(None, 5) for line in text.splitlines())
    return [_socket(row) for row in rows if len(row) >= 5 and row[1].isdigit()]


def _socket(row: list[str]) -> dict[str, Any]:
    state, recv_q, send_q, local, peer, *rest = row
    told = {name: match[1] for name, fact in _FACTS.items() if (match := fact.search(" ".join(rest)))}
    numbers = {name: float(value) if "." in value else int(value) for name, value in told.items()}
    zero = {name for name in ("drops", "lost", "retrans") if numbers.get(name) == 0}
    always = {"state": state, "local": local, "peer": peer, "recv_q": int(recv_q), "send_q": int(send_q)}
    return {**always, **{name: value for name, value in numbers.items() if name not in zero}}


def counts(sockets: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Sockets by state, bytes that wait in their queues, and how many accept queues are full."""
    sockets = list(sockets)
    states = Counter(socket["state"] for socket in sockets)
    listening = [socket for socket in sockets if socket["state"] == "LISTEN"]
    connected = [socket for socket in sockets if socket["state"] != "LISTEN"]
    return {
        **{f"sockets.{state}": states[state] for state in STATES},
        "sockets.recv_q": sum(socket["recv_q"] for socket in connected),
        "sockets.send_q": sum(socket["send_q"] for socket in connected),
        "sockets.accept_queues_full": sum(socket["recv_q"] > socket["send_q"] for socket in listening),
    }


def most_telling(sockets: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The MOST_TOLD sockets that say most: those that listen, then those with trouble and full queues."""
    return sorted(sockets, key=_trouble, reverse=True)[:MOST_TOLD]


def _trouble(socket: dict[str, Any]) -> tuple[bool, int, int]:
    in_flight = socket.get("retrans", 0) + socket.get("lost", 0) + socket.get("unacked", 0)
    return socket["state"] == "LISTEN", in_flight, socket["recv_q"] + socket["send_q"]


class Survey:
    """Asks `ss` now and then: never for too many sockets, never for too much of the time.

    `refusal` says why the last `take` gave nothing.
    """

    def __init__(self, *, namespace: Namespace, runner: Runner) -> None:
        self._namespace = namespace
        self._runner = runner
        self._not_before = 0.0
        self.refusal = ""

    def take(self, *, expected: int, at_once: bool = False) -> list[dict[str, Any]] | None:
        """The sockets, or None where it is too early (not with `at_once`) or there are too many.

        `expected` is how many there are, by /proc/net/sockstat. Raises K8scapError (no ss, no nsenter),
        TimeoutError, and OSError where ss refuses.
        """
        self.refusal = ""
        if expected > MOST_ASKED_FOR:
            self.refusal = f"{expected} sockets are too many to ask for (the limit is {MOST_ASKED_FOR})"
            return None
        started = time.monotonic()
        if started < self._not_before and not at_once:
            return None
        try:
            return parse(self._ask())
        finally:
            took = time.monotonic() - started
            self._not_before = started + took / SHARE_OF_TIME

    def _ask(self) -> str:
        argv = nsenter_argv(self._namespace, ARGV)
        done = self._runner.run(argv, timeout=TIMEOUT_S, pass_fds=(self._namespace.fd,))
        if done.returncode != 0:
            raise OSError(done.error_text.partition("\n")[0] or f"ss ended with {done.returncode}")
        return done.stdout.decode("utf-8", "replace")
