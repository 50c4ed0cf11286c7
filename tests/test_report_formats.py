"""The report's other forms: printed, as a notebook that runs, as Markdown; and what none of them holds."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import hostile_capture
import mistune
import nbformat
import pytest
from lxml import html as lxml_html
from markdown_it import MarkdownIt

import k8scap
from k8scap.cli import main
from k8scap.errors import ToolMissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURES = Path(__file__).resolve().parents[1] / "notebooks" / "captures"
RENDERERS: dict[str, Callable[[str], str]] = {
    "markdown-it": MarkdownIt("commonmark", {"html": True}).enable("table").render,
    "mistune": mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"]),
}
"""Both let raw HTML through, as nothing that shows Markdown to strangers should."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> k8scap.Capture:
    return k8scap.load(hostile_capture.hostile(tmp_path_factory.mktemp("hostile")))


@pytest.fixture(scope="module")
def refused() -> k8scap.Capture:
    return k8scap.load(CAPTURES / "connection-refused.pcap")


def test_no_representation_holds_payload(hostile: k8scap.Capture, tmp_path: Path) -> None:
    tables = ("conversations", "requests", "exchanges", "lookups", "round_trips", "packets")
    shown: list[object] = [hostile, hostile.findings, *hostile.findings]
    shown += [hostile.conversation(stream) for stream in range(3)]
    shown += [k8scap.show(getattr(hostile, name)) for name in tables]
    for thing in shown:
        assert hostile_capture.SECRET not in thing._repr_html_() + repr(thing)
    for form in ("md", "ipynb"):  # the page: tests/browser
        file = k8scap.report(hostile, tmp_path / f"report.{form}")
        assert hostile_capture.SECRET not in file.read_text(encoding="utf-8")
    assert hostile_capture.SECRET in hostile.requests_of(masked=False).to_string(), "it is there to be found"


# ---- Markdown ----


@pytest.mark.parametrize("renderer", RENDERERS)
def test_markdown_from_the_wire_stays_text(hostile: k8scap.Capture, tmp_path: Path, renderer: str) -> None:
    text = k8scap.report(hostile, tmp_path / "report.md").read_text(encoding="utf-8")
    page = lxml_html.fromstring(f"<div>{RENDERERS[renderer](text)}</div>")
    assert page.xpath("//script | //img | //svg | //a | //@onerror | //@onload") == []
    said = page.text_content()
    for words in (hostile_capture.SCRIPT, hostile_capture.IMAGE, hostile_capture.LINK):
        assert words in said


def test_markdown_tells_what_the_page_tells(refused: k8scap.Capture, tmp_path: Path) -> None:
    text = k8scap.report(refused, tmp_path / "report.md").read_text(encoding="utf-8")
    page = lxml_html.fromstring(f"<div>{RENDERERS['markdown-it'](text)}</div>")
    finding = refused.findings[0]
    assert finding.title in [p.text_content() for p in page.xpath("//p")]
    blocks = [code.text_content().strip() for code in page.xpath("//pre/code")]
    assert {finding.next_step, finding.display_filter} <= set(blocks)
    heads = [h.text_content() for h in page.xpath("//h2")]
    assert heads[0] == "Findings"
    assert {"Conversations", "Where, when, how"} <= set(heads)
    rows = page.xpath("//h2[.='Conversations']/following::table[1]/tbody/tr")
    assert len(rows) == min(len(refused.conversations), 20)


# ---- a capture that was narrowed ----


@pytest.mark.parametrize("form", ["html", "md", "ipynb"])
def test_every_form_says_the_filter_and_that_nothing_passes_it(tmp_path: Path, form: str) -> None:
    cap = k8scap.load(CAPTURES / "connection-refused.pcap")
    for where, told in (
        ("tcp.port < 1", f"No frame passes the filter tcp.port < 1: {len(cap.packets):,} frames were read."),
        ("udp && ip.ttl < 255", "those that pass the filter udp && ip.ttl < 255"),
    ):
        file = k8scap.report(cap.select(where), tmp_path / f"report.{form}")
        text = file.read_text(encoding="utf-8")
        if form == "ipynb":
            text = nbformat.reads(text, as_version=4).cells[0].source
        page = text if form == "html" else RENDERERS["markdown-it"](text)
        assert told in lxml_html.fromstring(f"<div>{page}</div>").text_content()
        assert "No packet was captured" not in page
        assert "Complete: 0 frames" not in page


# ---- a notebook ----


def test_the_notebook_runs_and_shows_the_findings(refused: k8scap.Capture, tmp_path: Path) -> None:
    from nbclient import NotebookClient

    file = k8scap.report(refused, tmp_path / "report.ipynb")
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(
        output["data"].get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert refused.findings[0].title in shown
    assert [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]


def test_the_notebook_opens_what_was_selected(tmp_path: Path) -> None:
    chosen = k8scap.load(
        CAPTURES / "connection-refused.pcap",
        where="tcp",
        between=("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
        names={"198.18.0.20": 'it\'s the "shop"'},
    )
    file = k8scap.report(chosen, tmp_path / "report.ipynb")
    code = [cell.source for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    found: dict[str, object] = {}
    here = Path.cwd()
    try:
        import os

        os.chdir(tmp_path)
        exec("\n".join([code[0], *code[1].splitlines()[:-1]]), found)  # noqa: S102 (what a kernel would do)
    finally:
        os.chdir(here)
    again = found["cap"]
    assert isinstance(again, k8scap.Capture)
    assert list(again.packets.index) == list(chosen.packets.index)
    assert again.names.of("198.18.0.20") == chosen.names.of("198.18.0.20")


def test_nothing_from_the_wire_is_code_in_the_notebook(hostile: k8scap.Capture, tmp_path: Path) -> None:
    import ast

    file = k8scap.report(hostile, tmp_path / "report.ipynb")
    cells = nbformat.read(file, as_version=4).cells
    called = {
        ast.unparse(node.func)
        for cell in cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
    }
    allowed = r"k8scap\.(load|show|plot\.\w+)|cap\.(conversation|named|conversations\.sort_values)"
    assert [name for name in called if not re.fullmatch(allowed, name)] == []
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    page = lxml_html.fromstring(f"<div>{RENDERERS['mistune'](text)}</div>")
    assert page.xpath("//script | //img | //a | //svg") == []


# ---- printed ----


def test_it_is_printed_by_a_chromium(refused: k8scap.Capture, tmp_path: Path) -> None:
    file = k8scap.report(refused, tmp_path / "report.pdf")
    data = file.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [f.name for f in tmp_path.iterdir()] == ["report.pdf"]


def test_without_a_chromium_it_says_what_to_type(
    refused: k8scap.Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K8SCAP_BROWSER", str(tmp_path / "none"))
    with pytest.raises(ToolMissingError, match="Chromium") as refusal:
        k8scap.report(refused, tmp_path / "report.pdf")
    assert "--format html" in refusal.value.next_step
    assert refusal.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_prints_nothing_is_told(
    refused: k8scap.Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K8SCAP_BROWSER", "true")
    with pytest.raises(ToolMissingError, match="printed nothing"):
        k8scap.report(refused, tmp_path / "report.pdf")
    assert list(tmp_path.iterdir()) == []


# ---- which one ----


def test_the_files_ending_or_the_option_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    capture = str(CAPTURES / "connection-refused.pcap")
    assert main(["report", capture, "-o", "a.md"]) == 0
    assert main(["report", capture, "--format", "ipynb"]) == 0
    assert capsys.readouterr().out.split() == ["a.md", "report.ipynb"]
    assert (tmp_path / "a.md").read_text(encoding="utf-8").startswith("# connection-refused\n")
    assert nbformat.read(tmp_path / "report.ipynb", as_version=4).cells


@pytest.mark.parametrize("name", ["r", "r.htm"])
def test_without_an_ending_it_is_a_page(refused: k8scap.Capture, tmp_path: Path, name: str) -> None:
    written = k8scap.report(refused, tmp_path / name).read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>")


def test_an_ending_that_is_no_form_is_refused_unless_a_form_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, word = str(CAPTURES / "connection-refused.pcap"), tmp_path / "r.docx"
    assert main(["report", capture, "-o", str(word)]) == 2
    assert "html, pdf, ipynb, md" in capsys.readouterr().err
    assert not word.exists()
    assert main(["report", capture, "-o", str(word), "--format", "md"]) == 0
    assert word.read_text(encoding="utf-8").startswith("# connection-refused\n")


def test_an_unknown_format_is_refused(refused: k8scap.Capture, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="html, pdf, ipynb, md"):
        k8scap.report(refused, tmp_path / "report.doc", format="doc")
