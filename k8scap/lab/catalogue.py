"""What the lab can make: names, one line each, and what must be found in each. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIXED = "+"
"""Joins the names of scenarios that happen at once: packet-loss+slow-server."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scenario: `line` for people; `rule` is the finding that it must raise first.

    `causes` are those of which one must stand first in `consistent_with` (none: any may). Without a `rule`
    the traffic is innocent, however it looks: nothing of severity warning or above may be found.
    """

    line: str
    rule: str = ""
    causes: tuple[str, ...] = ()


CATALOGUE: Mapping[str, Entry] = {
    "checksum-offload": Entry(
        line="a pod captured before its checksums are computed: half of all look wrong"
    ),
    "clean": Entry(line="ordinary traffic, and nothing wrong with it"),
    "connection-refused": Entry(
        line="a port where nobody listens: each attempt is answered with a reset",
        rule="connection-refused",
        causes=("nothing-listening",),
    ),
    "cpu-throttling": Entry(
        line="a server that computes with a small CPU quota, captured beside it: its cgroup tells",
        rule="slow-server",
        causes=("cpu-throttling",),
    ),
    "dns-timeout": Entry(
        line="a name whose lookups get no answer: question or answer is lost on the way",
        rule="dns-timeout",
    ),
    "duplicate-capture": Entry(line="a pod captured on all interfaces of its host: every packet twice"),
    "packet-loss": Entry(
        line="an upload, and small requests beside it, over a path that loses data segments",
        rule="packet-loss",
        causes=("lossy-path",),
    ),
    "quick-sidecar": Entry(line="requests through a sidecar's proxy that passes them on at once"),
    "sidecar": Entry(
        line="requests through a sidecar's proxy that holds each of them up",
        rule="slow-proxy",
    ),
    "slow-reader": Entry(
        line="an upload whose receiver stops reading again and again: zero windows",
        rule="slow-reader",
        causes=("slow-consumer",),
    ),
    "slow-server": Entry(
        line="answers that the server thinks about for hundreds of milliseconds",
        rule="slow-server",
        causes=("slow-application",),
    ),
    "super-packets": Entry(line="a pod's upload captured before it is cut into segments"),
}

SCENARIOS: Mapping[str, str] = {name: entry.line for name, entry in sorted(CATALOGUE.items())}


def parts(name: str) -> tuple[str, ...]:
    """The scenarios of which `name` is made: one, or several that are joined by +. Raises UsageError."""
    names = tuple(name.split(MIXED))
    for part in names:
        check(part)
    return names


def check(name: str) -> None:
    """Raise UsageError, naming what is near, where there is no such scenario."""
    if name not in SCENARIOS:
        near = get_close_matches(name, SCENARIOS, n=3, cutoff=0.5) or list(SCENARIOS)
        raise UsageError(
            f"The lab has no scenario {name!r}; there is {', '.join(near)}.", next_step="k8scap lab --list"
        )
