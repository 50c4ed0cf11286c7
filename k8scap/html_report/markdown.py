"""The report as GitHub's Markdown, for an issue or a wiki; what came from the wire cannot become markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from k8scap.cards.markup import printable
from k8scap.html_report.page import content

if TYPE_CHECKING:
    from k8scap.analysis import Capture

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*_{}\[\]#|~$]")
_LINKS = re.compile(r"(://|www\.)", re.IGNORECASE)
"""GitHub makes links of addresses that nobody marked as such."""


class Markup(str):
    """Text that is Markdown already."""

    __slots__ = ()


def markdown(cap: Capture) -> str:
    """The whole report; every value that the template is given is escaped unless it is `Markup`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 (escaped by finalize: this is no HTML)
        loader=PackageLoader("k8scap.html_report"),
        finalize=lambda value: value if isinstance(value, Markup) else escaped(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(code=code, fence=fence, grid=_grid)
    return environment.get_template("report.md").render(**content(cap))


def escaped(value: Any) -> str:
    """As text: on one line, no emphasis, no link, no HTML, no cell's end."""
    text = "".join(_ENTITIES.get(c, c) for c in printable(str(value)))
    return _LINKS.sub(_unlinked, _SPECIAL.sub(r"\\\g<0>", text))


def _unlinked(found: re.Match[str]) -> str:
    return rf"\{found[0]}" if found[0].startswith(":") else rf"{found[0][:-1]}\."


def code(value: Any) -> Markup:
    """A code span, whatever backticks and bars it holds."""
    text = printable(str(value))
    ticks = _longer(text, 1)
    room = " " if "`" in text else ""
    return Markup(f"{ticks}{room}{text}{room}{ticks}".replace("|", r"\|"))


def fence(value: Any) -> Markup:
    """A block of its own, to copy from."""
    text = printable(str(value))
    ticks = _longer(text, 3)
    return Markup(f"{ticks}text\n{text}\n{ticks}")


def _longer(text: str, least: int) -> str:
    """More backticks than stand side by side in it."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _grid(table: Any) -> Markup:
    """A sheet as a table; numbers on the right."""
    heads = [escaped(f"{h.text} ({h.unit})" if h.unit else h.text) for h in table.headings]
    rule = ["---:" if heading.numeric else "---" for heading in table.headings]
    rows = [heads, rule, *([escaped(cell) for cell in row] for row in table.rows)]
    return Markup("\n".join(f"| {' | '.join(row)} |" for row in rows))
