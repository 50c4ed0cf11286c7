"""The faults that the lab can make, each between ordinary traffic that works. A seed draws the details."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from k8scap.lab.catalogue import parts
from k8scap.lab.scenarios import (
    applications,
    artefacts,
    connecting,
    disorder,
    established,
    first,
    names,
    points,
    servers,
    translated,
    tunnelled,
)
from k8scap.lab.scenarios.scenario import Fault, Scenario, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Fault", "Scenario", "draw"]

_BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    **applications.BUILDERS,
    **artefacts.BUILDERS,
    **connecting.BUILDERS,
    **disorder.BUILDERS,
    **established.BUILDERS,
    **first.BUILDERS,
    **names.BUILDERS,
    **points.BUILDERS,
    **servers.BUILDERS,
    **translated.BUILDERS,
    **tunnelled.BUILDERS,
}


def draw(name: str, *, seed: int) -> Scenario:
    """The scenario of that name with the details that the seed draws; `a+b` is both at once.

    Raises UsageError.
    """
    random = Random(f"{name} {seed}")  # noqa: S311 - a drawing that must be repeatable, not secret
    return staged(name, seed, random, [_BUILDERS[part](random, seed) for part in parts(name)])
