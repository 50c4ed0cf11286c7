"""What the lab can make: names and one line each, cheap to import."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCENARIOS: Mapping[str, str] = {
    "clean": "ordinary traffic, and nothing wrong with it",
    "connection-refused": "a port where nobody listens: each attempt is answered with a reset",
    "dns-timeout": "a name whose lookups get no answer: question or answer is lost on the way",
    "packet-loss": "an upload, and small requests beside it, over a path that loses data segments",
    "slow-reader": "an upload whose receiver stops reading again and again: zero windows",
    "slow-server": "answers that the server thinks about for hundreds of milliseconds",
}


def check(name: str) -> None:
    """Raise UsageError, naming what is near, where there is no such scenario."""
    if name not in SCENARIOS:
        near = get_close_matches(name, SCENARIOS, n=3, cutoff=0.5) or list(SCENARIOS)
        raise UsageError(
            f"The lab has no scenario {name!r}; there is {', '.join(near)}.", next_step="k8scap lab --list"
        )
