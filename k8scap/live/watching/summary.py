"""A capture that was watched, without a kernel: a few lines of HTML that stay in the saved notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k8scap.live.watching.view import View

_LEFT = "style='text-align:left;vertical-align:top'"
_RIGHT = "style='text-align:right;vertical-align:top'"
_TALK_HEADS = ("from", "to", "protocol", "packets", "bytes")


def html(view: View) -> str:
    """Everything in it is escaped; it holds no style sheet, which JupyterLab would take out."""
    facts = [
        ("packets", view["packets"]),
        ("on disk", view["on_disk"]),
        ("dropped", view["dropped"]),
        ("found", _findings(view)),
        ("said", "<br>".join(map(escape, view["notes"]))),
    ]
    rows = "".join(
        f"<tr><th {_LEFT}>{name}</th><td {_LEFT}>{value}</td></tr>" for name, value in facts if value
    )
    caption = f"k8scap watched {escape(view['title'])}: {escape(view['state'])}"
    return f"<table class='k8scap-watched'><caption>{caption}</caption>{rows}</table>{_talks(view)}"


def _findings(view: View) -> str:
    lines = [f"{severity}, {rule}: {title}" for severity, rule, title, _ in view["findings"]]
    lines += [view["more_findings"]] if view["more_findings"] else []
    return "<br>".join(map(escape, lines)) or "nothing so far that the rules look for in packets"


def _talks(view: View) -> str:
    if not view["talks"]:
        return ""
    head = "".join(f"<th {_LEFT}>{name}</th>" for name in _TALK_HEADS)
    rows = "".join(_row([*talk[:3], *talk[4:]]) for talk in view["talks"])
    return f"<table class='k8scap-watched'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(_cells(cells))}</tr>"


def _cells(cells: Sequence[str]) -> Iterable[str]:
    for place, cell in enumerate(cells):
        yield f"<td {_LEFT if place < 3 else _RIGHT}>{escape(cell)}</td>"
