"""A card's HTML: everything is escaped here, nothing is a script, and its style reaches nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def page_part(*parts: str) -> str:
    """Cards with the style that they need, as one output of a notebook."""
    return f"<div class='k8scap-cards'><style>{_style()}</style>{''.join(parts)}</div>"


def card(*parts: str, tone: str = "") -> str:
    """`tone` is critical, warning, info, good or nothing."""
    return f"<div class='k8scap-card{f' k8scap-{tone}' if tone else ''}'>{''.join(parts)}</div>"


def head(badge: str, *words: str) -> str:
    """A line with a word in a coloured field, and what it is about behind it."""
    rest = "".join(f"<span class='k8scap-soft'>{escaped(word)}</span>" for word in words if word)
    return f"<p class='k8scap-head'><span class='k8scap-badge'>{escaped(badge)}</span>{rest}</p>"


def title(text: str) -> str:
    return f"<p class='k8scap-title'>{escaped(text)}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are: the second is HTML already."""
    rows = "".join(f"<dt>{escaped(name)}</dt><dd>{html}</dd>" for name, html in pairs if html)
    return f"<dl>{rows}</dl>" if rows else ""


def copyable(text: str) -> str:
    """A command or a filter: one click selects all of it."""
    return f"<code class='k8scap-copy'>{escaped(text)}</code>" if text else ""


def listed(items: Iterable[str], *, kind: str = "") -> str:
    """A list of HTML; of `findings` without bullets, their badges stand for them."""
    rows = "".join(f"<li>{html}</li>" for html in items)
    return f"<ul{f' class=k8scap-{kind}' if kind else ''}>{rows}</ul>" if rows else ""


def folded(summary: str, html: str) -> str:
    """What is opened by a click; nothing where there is nothing to open."""
    return f"<details><summary>{escaped(summary)}</summary>{html}</details>" if html else ""


@dataclass(frozen=True)
class Heading:
    """A column's head: its words, the unit under them, whether numbers stand below, and what is meant."""

    words: str
    unit: str = ""
    numeric: bool = False
    meaning: str = ""


def grid(headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, as wide as it must be, in a place that scrolls."""
    classes = [" class='k8scap-number'" if heading.numeric else "" for heading in headings]
    top = "".join(
        f"<th{c} title='{escaped(h.meaning)}'>{escaped(h.words)}<small>{escaped(h.unit)}</small></th>"
        for c, h in zip(classes, headings, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{c}>{escaped(v)}</td>' for c, v in zip(classes, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<div class='k8scap-wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def table_part(*parts: str) -> str:
    """A table that stands for itself: no frame, as wide as there is room."""
    return f"<div class='k8scap-card k8scap-table'>{''.join(parts)}</div>"


def escaped(text: str) -> str:
    return escape(printable(text))


def printable(text: str) -> str:
    """What came from the wire can neither move a terminal's cursor nor turn text around."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


@cache
def _style() -> str:
    return files("k8scap.cards").joinpath("cards.css").read_text(encoding="utf-8")
