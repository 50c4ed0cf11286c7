"""A capture on one card: where, when, how complete, how much, and what the rules say."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.model import Finding

_STATUS = {"found": "found", "ruled_out": "ruled out", "not_judged": "not judged"}


def text(cap: Any) -> str:
    """A capture in a few lines, for terminals."""
    lines = [f"{name}: {value}" for name, value in _facts(cap)]
    return "\n".join(["<k8scap capture>", *lines, *(_finding_line(f) for f in _findings(cap))])


def html(cap: Any) -> str:
    """A capture as a card for notebooks; everything that came from outside is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in _facts(cap)
    )
    findings = "".join(f"<li>{escape(_finding_line(finding))}</li>" for finding in _findings(cap))
    return f"<div class='k8scap-capture'><table>{rows}</table><ul>{findings}</ul></div>"


def _facts(cap: Any) -> Iterable[tuple[str, str]]:
    yield "where", ", ".join(cap.points)
    packets = cap.packets
    if "time" in packets and len(packets):
        start, end = packets["time"].min(), packets["time"].max()
        yield "when", f"{start:%Y-%m-%d %H:%M:%S} UTC, {(end - start).total_seconds():.3f} s"
    yield "packets", f"{len(packets):,}"


def _findings(cap: Any) -> list[Finding]:
    try:
        return list(cap.findings)
    except K8scapError:
        return []


def _finding_line(finding: Finding) -> str:
    return f"{_STATUS[finding.status]}: {finding.title}"
