"""The packet browser: Wireshark's three panes in a notebook cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from k8scap.analysis import Capture
    from k8scap.browser.widget import Browser

__all__ = ["browse"]


def browse(cap: Capture | str | Path, *, where: str = "", height: int = 700) -> Browser:
    """Browse a capture (or a capture file): packet list, detail tree and bytes of the selected frame.

    `where` is a Wireshark display filter to begin with; `height` is in pixels. What is shown and selected
    are DataFrames with the packets table's columns: `browser.filtered`, `browser.selected`,
    `browser.marked`. Marks and notes are kept beside the capture, in NAME.marks.json. Without a kernel, in
    an exported page, the first rows stand as a table. Raises FilterError, and what `load` raises.
    """
    from k8scap.analysis import Capture, load
    from k8scap.browser.widget import Browser
    from k8scap.parser.filters import check_filter

    check_filter(where)
    return Browser(cap if isinstance(cap, Capture) else load(cap), where=where, height=height)
