"""What goes wrong on command."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Faults:
    """Set by the tests.

    execs: taken one after the other by the execs whose first words match `command` ("" is any): cut (after N
    bytes of stdout, in the middle of a frame), status-without-close, close-without-status, slow (rate, bytes
    a second), refuse (code). forbidden: (verb, resource) that are denied. truncate: a path's end whose
    answers are cut short. expired: how many watches are told 410.
    """

    execs: list[dict] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    latency: float = 0.0
    truncate: str = ""
    only_v4: bool = False
    expired: int = 0

    def take_exec(self, argv: list[str], *, refusing: bool = False) -> dict:
        for index, fault in enumerate(self.execs):
            command = fault.get("command", "")
            if (fault["kind"] == "refuse") == refusing and (not command or command in argv):
                return self.execs.pop(index)
        return {}
