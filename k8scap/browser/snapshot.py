"""What stands in the browser's place where no kernel answers: its first rows, as a plain table."""

from __future__ import annotations

from html import escape
from typing import Any

ROWS = 60

_CELL = (
    "text-align:{};padding:1px 8px;white-space:nowrap;max-width:48em;overflow:hidden;text-overflow:ellipsis"
)


def html(columns: list[dict[str, Any]], rows: list[dict[str, Any]], total: int) -> str:
    """The first rows; everything in them is escaped."""
    head = "".join(f"<th style='{_style(c)}'>{escape(c['title'])}</th>" for c in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='{_style(c)}'>{escape(cell)}</td>"
            for c, cell in zip(columns, row["cells"], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    more = f"The first {len(rows):,} of {total:,} packets" if total > len(rows) else f"{total:,} packets"
    return (
        "<div style='overflow-x:auto'>"
        "<table class='k8scap-packets' style='font-family:monospace;font-size:12px'>"
        f"<caption style='text-align:left'>{more}; "
        "k8scap.browse shows all of them where a kernel runs.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _style(column: dict[str, Any]) -> str:
    return _CELL.format("right" if column["right"] else "left")
