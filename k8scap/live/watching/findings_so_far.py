"""What was found while a capture runs: each thing once, as it was last seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.model import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.model import Finding

_MOST = 50


class FindingsSoFar:
    """Findings of window after window. `failure` says what kept the rules from judging, where something did.

    One is told from the next by its rule, its point and its ends; of more than fifty the oldest go.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], Finding] = {}
        self.failure = ""

    def add(self, findings: Iterable[Finding]) -> None:
        known = dict(self._found)
        for finding in findings:
            key = (finding.rule, finding.point, finding.source, finding.destination)
            known.pop(key, None)
            known[key] = finding
        self._found = dict(list(known.items())[-_MOST:])

    def worst_first(self) -> list[Finding]:
        """Of equal ones those seen last come first."""
        newest_first = list(self._found.values())[::-1]
        return sorted(newest_first, key=lambda finding: -SEVERITIES.index(finding.severity))
