"""The notebooks, from a clean kernel, as a reader runs them."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
import pytest

pytestmark = pytest.mark.alone  # two notebooks at a time, as it is
FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ANSWERS = {
    "01_capture": "no segment of",
    "02_latency": "kept 4 of 4 requests waiting",
    "03_retransmissions": "had to be sent again",
    "04_conversations": "refused all 6 connections",
    "05_post_mortem": "receive window was shut",
}
"""Words of the answer that each must end in: what the lab did to the capture it opens."""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Every notebook run from top to bottom, two at a time, on the capture it opens by default."""
    out = tmp_path_factory.mktemp("notebooks")

    def run(path):
        papermill.execute_notebook(str(path), str(out / path.name), progress_bar=False)
        return path.stem

    # once for all: papermill's own cwd= is the process's, so that two notebooks change it for each other
    with contextlib.chdir(FOLDER), ThreadPoolExecutor(2) as pool:
        return {stem: nbformat.read(out / f"{stem}.ipynb", as_version=4) for stem in pool.map(run, NOTEBOOKS)}


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def text_of(notebook):
    data = [output.get("data", {}) for output in outputs(notebook)]
    return " ".join(str(part) for item in data for kind, part in item.items() if kind.startswith("text/"))


def test_the_five_are_there():
    assert [path.stem for path in NOTEBOOKS] == list(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_notebook_ends_in_the_answer(executed, name):
    assert ANSWERS[name] in text_of(executed[name])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_notebook_shows_a_picture_and_prints_no_warning(executed, name):
    kinds = {kind for output in outputs(executed[name]) for kind in output.get("data", {})}
    assert "image/png" in kinds
    said = [o.text for o in outputs(executed[name]) if o.output_type == "stream" and o.name == "stderr"]
    assert [text for text in said if "Warning" in text or "Error" in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameter_cell_and_no_outputs_in_git(path):
    cells = json.loads(path.read_text())["cells"]
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1
    assert [cell for cell in cells if cell.get("outputs")] == []


def test_a_notebook_opens_another_capture_by_its_parameter(tmp_path):
    other = FOLDER / "captures" / "slow-server.pcap"
    done = papermill.execute_notebook(
        str(FOLDER / "03_retransmissions.ipynb"),
        str(tmp_path / "other.ipynb"),
        parameters={"capture": str(other)},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    assert "slow-server.pcap" in text_of(done)
