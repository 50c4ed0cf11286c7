"""The page: what the template is given, in the order it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.cards.finding import WORDS, confidence, verdict
from k8scap.cards.narrowing import NOTHING_LEFT, narrowed_to, none_passes
from k8scap.findings.case import printable
from k8scap.html_report.provenance import origins, quality_line
from k8scap.html_report.tables import PACKET_COLUMNS, evidence, sheets
from k8scap.schema import require

if TYPE_CHECKING:
    from k8scap.analysis import Capture
    from k8scap.html_report.sheet import Sheet
    from k8scap.model import Finding, Findings

EVIDENCE_SHOWN = 12
CARDS_SHOWN = 20
LINES_SHOWN = 200


@dataclass(frozen=True)
class Card:
    """A finding with the first of its frames, and its severity as a word."""

    finding: Finding
    word: str
    sure: str
    where: str
    frames: str
    evidence: Sheet


def render(cap: Capture) -> str:
    """The whole report as HTML. Whatever came from outside is escaped by the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from k8scap.html_report.pictures import close_ups, pictures

    told = content(cap)
    environment = Environment(
        loader=PackageLoader("k8scap.html_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = [card.finding for card in told["cards"]]
    return environment.get_template("report.html").render(
        **told, pictures=pictures(cap), close_ups=close_ups(cap, found)
    )


def content(cap: Capture) -> dict[str, Any]:
    """What every form of the report says, pictures apart."""
    require(cap.packets, PACKET_COLUMNS, what="report")
    findings = cap.findings
    found = findings.found
    return {
        "title": printable(", ".join(dict.fromkeys(cap.points))) or "capture",
        "span": _span(cap),
        "verdict": _verdict(findings) if cap.is_whole or len(cap.packets) else NOTHING_LEFT,
        "quality": quality_line(cap.quality, whole=cap.is_whole),
        "cards": [_card(cap, finding) for finding in found[:CARDS_SHOWN]],
        "more": found[CARDS_SHOWN : CARDS_SHOWN + LINES_SHOWN],
        "unsaid": max(len(found) - CARDS_SHOWN - LINES_SHOWN, 0),
        "not_judged": findings.not_judged,
        "ruled_out": findings.ruled_out,
        "several_points": len(cap.points) > 1,
        "sheets": sheets(cap),
        "origins": origins(cap),
    }


def _span(cap: Capture) -> str:
    times = cap.packets["time"]
    if times.empty:
        return "No packet was captured." if cap.is_whole else none_passes(cap)
    start, end = times.min(), times.max()
    seconds = (end - start).total_seconds()
    which = "" if cap.is_whole else f": those that pass {narrowed_to(cap)}"
    return f"{start:%Y-%m-%d %H:%M:%S} UTC, {seconds:,.1f} s, {len(times):,} packets{which}"


def _verdict(findings: Findings) -> str:
    found = findings.found
    worst = f", the worst: {found[0].rule}." if found else ""
    return f"{verdict(findings)}{worst}"


def _card(cap: Capture, finding: Finding) -> Card:
    where = " → ".join(end for end in (finding.source, finding.destination) if end)
    frames = ", ".join(str(number) for number in finding.frames)
    more = finding.frame_count - len(finding.frames)
    if more > 0:
        frames += f" and {more:,} more"
    table = evidence(cap, finding.frames, point=finding.point, limit=EVIDENCE_SHOWN)
    return Card(finding, WORDS[finding.severity], confidence(finding.confidence), where, frames, table)
