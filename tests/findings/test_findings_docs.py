"""docs/findings.md says what the rules do: its threshold tables are held against theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.findings import RULES

if TYPE_CHECKING:
    from conftest import Wire

DOCUMENT = Path(__file__).parents[2] / "docs" / "findings.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<value>[\d.]+) \|", re.MULTILINE)


def documented() -> dict[str, dict[str, float]]:
    """Rule → threshold → value, as the document has them."""
    sections = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]
    return {
        section.splitlines()[0].strip(): {row["name"]: float(row["value"]) for row in ROW.finditer(section)}
        for section in sections
    }


def test_every_threshold_stands_in_the_document(wire: Wire) -> None:
    used = {finding.rule: dict(finding.thresholds) for finding in wire.findings()}
    assert len(used) == len(RULES)
    assert documented() == used


def test_every_rule_says_what_it_cannot_tell_and_what_to_do_next() -> None:
    for section in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        assert "- Cannot tell:" in section
        assert "- Next step:" in section
