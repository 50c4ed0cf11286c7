"""The page: what the template is given, in the order it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.findings.case import printable
from k8scap.html_report.pictures import pictures
from k8scap.html_report.provenance import origins, quality_line
from k8scap.html_report.tables import PACKET_COLUMNS, evidence, sheets
from k8scap.schema import require

if TYPE_CHECKING:
    from k8scap.analysis import Capture
    from k8scap.html_report.sheet import Sheet
    from k8scap.model import Finding

EVIDENCE_SHOWN = 12
CARDS_SHOWN = 20
LINES_SHOWN = 200
_WORDS = {"critical": "Critical", "warning": "Warning", "info": "Info"}


@dataclass(frozen=True)
class Card:
    """A finding with the first of its frames, and its severity as a word."""

    finding: Finding
    word: str
    where: str
    frames: str
    evidence: Sheet


def render(cap: Capture) -> str:
    """The whole report as text. Whatever came from outside is escaped by the template."""
    require(cap.packets, PACKET_COLUMNS, what="report")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("k8scap.html_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(_context(cap))


def _context(cap: Capture) -> dict[str, Any]:
    by_status: dict[str, list[Finding]] = {"found": [], "not_judged": [], "ruled_out": []}
    for finding in cap.findings:
        by_status[finding.status].append(finding)
    return {
        "title": printable(", ".join(dict.fromkeys(cap.points))) or "capture",
        "span": _span(cap),
        "verdict": _verdict(by_status["found"]),
        "quality": quality_line(cap.quality),
        "cards": [_card(cap, finding) for finding in by_status["found"][:CARDS_SHOWN]],
        "more": by_status["found"][CARDS_SHOWN : CARDS_SHOWN + LINES_SHOWN],
        "unsaid": max(len(by_status["found"]) - CARDS_SHOWN - LINES_SHOWN, 0),
        "not_judged": by_status["not_judged"],
        "ruled_out": by_status["ruled_out"],
        "several_points": len(cap.points) > 1,
        "pictures": pictures(cap, by_status["found"]),
        "sheets": sheets(cap),
        "origins": origins(cap),
    }


def _span(cap: Capture) -> str:
    times = cap.packets["time"]
    if times.empty:
        return "No packet was captured."
    start, end = times.min(), times.max()
    seconds = (end - start).total_seconds()
    return f"{start:%Y-%m-%d %H:%M:%S} UTC, {seconds:,.1f} s, {len(times):,} packets"


def _verdict(found: list[Finding]) -> str:
    if not found:
        return "Nothing was found that these rules look for."
    counts = {word: sum(f.severity == severity for f in found) for severity, word in _WORDS.items()}
    said = ", ".join(f"{n} {word.lower()}" for word, n in counts.items() if n)
    noun = "finding" if len(found) == 1 else "findings"
    return f"{len(found)} {noun} ({said}), the worst: {found[0].rule}."


def _card(cap: Capture, finding: Finding) -> Card:
    where = " → ".join(end for end in (finding.source, finding.destination) if end)
    frames = ", ".join(str(number) for number in finding.frames)
    more = finding.frame_count - len(finding.frames)
    if more > 0:
        frames += f" and {more:,} more"
    table = evidence(cap, finding.frames, point=finding.point, limit=EVIDENCE_SHOWN)
    return Card(finding, _WORDS[finding.severity], where, frames, table)
