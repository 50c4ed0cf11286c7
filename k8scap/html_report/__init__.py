"""A capture as one file to read or hand on: what was found, the evidence, the next command to type.

A self-contained HTML page; the same printed to PDF; a notebook that shows it again; Markdown.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UsageError
from k8scap.private_file import private_file

if TYPE_CHECKING:
    import os

    from k8scap.analysis import Capture

__all__ = ["FORMATS", "report"]

FORMATS = ("html", "pdf", "ipynb", "md")


def report(cap: Capture, path: str | os.PathLike[str], *, format: str | None = None) -> Path:  # noqa: A002
    """Write the report of `cap` to `path` (readable by the owner only) and return that path.

    `format` is html, pdf, ipynb or md; None takes what `path` ends with, html where it has no ending. The
    file asks nothing of any network and holds no payload; the notebook has to be run, and reads the capture
    files again. A report that stood there is replaced only once the new one is whole. Raises UsageError,
    NotPermittedError or DiskFullError where it cannot be written, and ToolMissingError where PDF is asked
    for and no Chromium is here to print it.
    """
    target = Path(path).expanduser()
    chosen = _format(target, format)
    _check(target)
    content = _made(cap, target, chosen)
    with private_file(target) as file:
        file.write(content)
    return target


def _format(target: Path, asked: str | None) -> str:
    if asked is None:
        return _of_ending(target)
    if asked not in FORMATS:
        raise UsageError(f"A report is {', '.join(FORMATS)}, not {asked}.", next_step="--format html")
    return asked


def _of_ending(target: Path) -> str:
    ending = target.suffix.lower().lstrip(".")
    if ending in ("", "htm"):
        return "html"
    if ending not in FORMATS:
        raise UsageError(
            f"A report is {', '.join(FORMATS)}, and {target.name} ends like none of them.",
            next_step=f"-o {target.with_suffix('.html')}, or --format html",
        )
    return ending


def _made(cap: Capture, target: Path, chosen: str) -> bytes:
    if chosen == "md":
        from k8scap.html_report.markdown import markdown

        return markdown(cap).encode()
    if chosen == "ipynb":
        from k8scap.html_report.as_notebook import notebook

        return notebook(cap, folder=target.parent).encode()
    from k8scap.html_report.page import render

    if chosen == "html":
        return render(cap).encode()
    from k8scap.html_report.printing import find_browser, printed

    browser = find_browser()  # before the work, not after it
    return printed(render(cap), browser=browser, folder=target.parent)


def _check(target: Path) -> None:
    """Before the work, not after it: a folder cannot be a report, nor can one that is not there hold it."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", next_step=f"-o {target / 'report.html'}")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", next_step=f"mkdir -p {target.parent}")
