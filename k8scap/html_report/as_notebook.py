"""The report as a notebook: it opens the capture again, and goes on where the report ends."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.html_report.markdown import escaped
from k8scap.html_report.page import content
from k8scap.html_report.pictures import telling_streams
from k8scap.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap.analysis import Capture

PARAMETER = "capture"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def notebook(cap: Capture, *, folder: Path) -> str:
    """A notebook (format 4) for `folder`, not run yet; files are named as they are reached from there.

    Every value in its code is a Python literal, every one in its text escaped.
    """
    import nbformat

    made = nbformat.v4.new_notebook(
        cells=list(_cells(cap, folder)),
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    for number, cell in enumerate(made.cells):
        cell["id"] = f"k8scap-{number}"  # the same report is the same file
    return str(nbformat.writes(made)) + "\n"


def _cells(cap: Capture, folder: Path) -> Iterator[Any]:
    from nbformat.v4 import new_code_cell, new_markdown_cell

    told = content(cap)
    title, quality = escaped(told["title"]), escaped(told["quality"].sentence)
    yield new_markdown_cell(f"# {title}\n\n{escaped(told['span'])}\n\n{quality}")
    files = f"{PARAMETER} = {_files(cap, folder)!r}"
    yield new_code_cell(files, metadata={"tags": ["parameters"]})
    yield new_code_cell(f"import k8scap\n\ncap = {_load(cap)}\ncap")
    yield new_markdown_cell("\n".join(_findings(told)))
    yield new_code_cell("cap.findings")
    for finding, stream in telling_streams(cap, [card.finding for card in told["cards"]]):
        yield new_markdown_cell(f"## {escaped(finding.rule)}, close up\n\n{escaped(finding.title)}")
        point = f", point={finding.point!r}" if told["several_points"] else ""
        yield new_code_cell(f"conversation = cap.conversation({stream.number}{point})\nconversation")
        view = f"stream={stream.number}, around={stream.frame}"
        yield new_code_cell(f"k8scap.plot.exchange_ladder(cap.named(conversation.packets), {view});")
    yield new_markdown_cell("## Where the time went")
    yield new_code_cell("k8scap.plot.where_time_went(cap);")
    yield new_code_cell("k8scap.plot.latency(cap);")
    yield new_markdown_cell("## Who talked to whom")
    yield new_code_cell('k8scap.show(cap.conversations.sort_values("bytes", ascending=False))')


def _findings(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Findings\n\nWhen this was written: {escaped(told['verdict'])}\n"
    for card in told["cards"]:
        yield f"- **{card.word}**, {escaped(card.finding.rule)}: {escaped(card.finding.title)}"


def _files(cap: Capture, folder: Path) -> list[str]:
    """Every file of every point, from `folder` on where that can be said."""
    here = folder.resolve()
    paths = [file.resolve() for recording in cap.recordings for file in recording.files]
    return [_reached(path, here) for path in paths]


def _reached(path: Path, here: Path) -> str:
    try:
        return Path(os.path.relpath(path, here)).as_posix()
    except ValueError:  # another drive
        return str(path)


def _load(cap: Capture) -> str:
    """The call that opens the same capture: what was selected of it, and names that its manifests lack."""
    chosen = cap.selection
    options = {
        "where": chosen.where,
        "between": chosen.between and tuple(map(_time, chosen.between)),
        "names": _names(cap),
        "engine": "" if cap.engine == "columnar" else cap.engine,
        "decode_as": dict(chosen.decode_as),
    }
    said = "".join(f", {name}={value!r}" for name, value in options.items() if value)
    return f"k8scap.load(*{PARAMETER}{said})"


def _time(nanoseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).isoformat()


def _names(cap: Capture) -> dict[str, str]:
    """Who the addresses in it are, as far as no manifest tells."""
    told = Names([entry for recording in cap.recordings for entry in recording.names])
    seen = sorted({str(a) for end in ("src", "dst") for a in cap.conversations[end].dropna().unique()})
    known = {address: cap.names.of(address) for address in seen}
    return {address: name for address, name in known.items() if name not in (address, told.of(address))}
