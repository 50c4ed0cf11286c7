"""Addresses that change hands: a rollout, an eviction, a node that went away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

NEAR_SECONDS = 30.0
"""A pod has so long to end after it was told to (terminationGracePeriodSeconds, by default)."""


def changed_hands(case: Case, address: str, times: pd.Series) -> bool:
    """Whether most of these `times` are near the moment from which on the address was somebody else's."""
    ends = [entry.end for entry in case.names.entries if entry.address == address and entry.end]
    near = [any(abs((time - end).total_seconds()) <= NEAR_SECONDS for end in ends) for time in times]
    return 2 * sum(near) > len(near)
