"""What is written into the file for its reader: findings at their frames, and what the file is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k8scap.model import Finding
    from k8scap.pcapng.resolution import HeldNames

MARK = "k8scap"
FILTER = f'frame.comment contains "{MARK}"'
_LONGEST = 600
_CHANGES_TOLD = 20

Place = tuple[str, int]
"""A point's name and a frame's number there."""


def of_findings(findings: Iterable[Finding]) -> dict[Place, list[str]]:
    """A comment for every frame that a finding shows: how bad, what, and the next command to type."""
    told: dict[Place, list[str]] = defaultdict(list)
    for finding in findings:
        if finding.status == "found":
            for number in finding.frames:
                told[finding.point, number].append(_text(finding))
    return told


def with_notes(told: Mapping[Place, list[str]], notes: Mapping[Place, str]) -> dict[Place, list[str]]:
    """Somebody's own notes before what was found."""
    places = {**dict.fromkeys(notes), **dict.fromkeys(told)}
    return {place: [*([notes[place]] if notes.get(place) else []), *told.get(place, ())] for place in places}


def of_section(
    *, written_by: str, points: Iterable[str], files: Iterable[str], held: HeldNames | None
) -> str:
    """What the file is, whence it comes, and which names it cannot tell."""
    lines = [
        f"Written by {written_by} from {', '.join(map(_plain, files))}.",
        f"Captured at {', '.join(map(_plain, points))}.",
        f"What was found stands in packet comments: {FILTER}",
        "Who the addresses are shows with View > Name Resolution > Resolve Network Addresses (-N n).",
    ]
    changes = held.changes() if held else []
    for address, ((name, frames), *others) in changes[:_CHANGES_TOLD]:
        before = ", ".join(f"{_plain(other)} ({count:,} frames)" for other, count in others)
        lines.append(
            f"{address} changed hands: it is called {_plain(name)}, as in {frames:,} frames; also {before}."
        )
    if len(changes) > _CHANGES_TOLD:
        lines.append(f"{len(changes) - _CHANGES_TOLD:,} more addresses changed hands.")
    return "\n".join(lines)


def _text(finding: Finding) -> str:
    title = f"{MARK} {finding.severity} {finding.rule}: {finding.title}"
    following = f" Next: {finding.next_step}" if finding.next_step else ""
    return f"{_plain(title)[:_LONGEST]}.{_plain(following)[:_LONGEST]}"


def _plain(text: str) -> str:
    """On one line, whatever came from the wire."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
