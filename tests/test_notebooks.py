"""The notebooks, from a clean kernel, as a reader runs them: held against what the lab did, and tshark."""

import contextlib
import json
import re
import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import nbclient
import nbformat
import papermill
import pytest

from k8scap.lab.scenarios import draw

pytestmark = pytest.mark.alone  # two notebooks at a time, as it is
FOLDER = Path(__file__).parents[1] / "notebooks"
CAPTURES = FOLDER / "captures"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
STORIES = (
    "01_capture",
    "02_latency",
    "03_retransmissions",
    "04_conversations",
    "05_post_mortem",
    "06_both_ends",
)
DROPPED = {"client → server": 28, "server → client": 21}
"""What the link's log says that it dropped when these captures were made (two-points, seed 9)."""

_WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every notebook on what it opens by default, and all of them on two other captures; two at a time."""
    out = tmp_path_factory.mktemp("notebooks")

    def run(path):
        papermill.execute_notebook(str(path), str(out / path.name), progress_bar=False)
        return nbformat.read(out / path.name, as_version=4)

    others = [without_a_manifest(out), empty(out)]
    # once for all: papermill's own cwd= is the process's, so that two notebooks change it for each other
    with contextlib.chdir(FOLDER), ThreadPoolExecutor(2) as pool:
        begun = {"others": pool.submit(all_on, others)}
        begun |= {path.stem: pool.submit(run, path) for path in NOTEBOOKS}
        return {name: future.result() for name, future in begun.items()}


@pytest.fixture(scope="module")
def executed(runs):
    return {name: runs[name] for name in STORIES}


def without_a_manifest(folder):
    return Path(shutil.copy(CAPTURES / "clean.pcap", folder / "sent.pcap"))


def empty(folder):
    capture = folder / "empty.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    return capture


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def shown(*cells):
    """What stands under cells, in words."""
    parts = [output.get("data", {}).get("text/plain", output.get("text", "")) for cell in cells
             for output in cell.outputs]  # fmt: skip
    return " ".join(" ".join(parts).split())


def answer(notebook):
    return shown(code_cells(notebook)[-1])


def tshark(capture, shows, *fields):
    """One line a frame that `shows`."""
    asked = [word for field in fields for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", str(CAPTURES / capture), "-Y", shows, "-T", "fields", *asked]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_five_stories_and_the_live_capture_are_there():
    assert tuple(path.stem for path in NOTEBOOKS) == STORIES


def test_the_slow_requests_are_those_that_the_lab_had_wait(executed):
    waits = draw("slow-endpoint", seed=4).parameters["think_ms"]
    said = answer(executed["02_latency"])
    assert f"kept {len(waits)} of {len(waits)} requests for GET /search/" in said
    assert float(re.search(r"median (\d+) ms", said)[1]) == pytest.approx(median(waits), rel=0.03)


def test_the_lost_segments_are_those_that_left_twice(executed):
    counts = "tcp.dstport == 5001 and (tcp.len > 0 or tcp.flags.syn == 1 or tcp.flags.fin == 1)"
    sent = tshark("packet-loss.pcap", counts, "tcp.seq")
    twice = len(sent) - len(set(sent))
    assert twice > 5
    assert f"{twice} of {len(sent)} segments" in answer(executed["03_retransmissions"])


def test_the_refused_connections_are_those_that_were_reset(executed):
    resets = tshark("connection-refused.pcap", "tcp.srcport == 9000 and tcp.flags.reset == 1", "frame.number")
    assert f"(198.18.0.20:9000) refused all {len(resets)} connections" in answer(executed["04_conversations"])


def test_the_post_mortem_ends_in_the_receiver_that_did_not_read(executed):
    shut = tshark("slow-reader.pcap", "tcp.analysis.zero_window", "tcp.srcport")
    assert set(shut) == {"5001"}
    assert "server (198.18.0.20:5001) took nothing for" in answer(executed["05_post_mortem"])


def test_what_was_lost_between_both_ends_is_what_the_link_dropped(executed):
    said = answer(executed["06_both_ends"])
    for way, dropped in DROPPED.items():
        assert f"{way} {dropped} of" in said


def test_of_clean_traffic_nothing_is_said(executed):
    assert "Nothing was found" in answer(executed["01_capture"])


@pytest.mark.parametrize("name", STORIES)
def test_question_answer_and_next_step_are_seen_without_scrolling_back(executed, name):
    notebook = executed[name]
    first, last = notebook.cells[0].source, code_cells(notebook)[-1]
    assert first.startswith("# ")
    assert "**The question.**" in first
    (card,) = (output["data"]["text/html"] for output in last.outputs)
    question = re.search(r"Answer</span><span class='k8scap-soft'>([^<]+)\?<", card)
    assert question
    assert ">evidence<" in card
    assert re.search(r">next</dt><dd><code class='k8scap-copy'>k8scap ", card)


@pytest.mark.parametrize("name", STORIES)
def test_a_notebook_shows_pictures_without_a_front_end_and_prints_no_warning(executed, name):
    shows = [output.get("data", {}) for output in outputs(executed[name])]
    assert sum("image/png" in data for data in shows) >= (1 if name == "01_capture" else 2)
    for cell in code_cells(executed[name]):
        drawn = [output.data for output in cell.outputs if "data" in output]
        if "plot.interactive" in cell.source or "k8scap.browse" in cell.source:
            assert any("image/png" in data or "<table" in data.get("text/html", "") for data in drawn)
    said = [o.text for o in outputs(executed[name]) if o.output_type == "stream" and o.name == "stderr"]
    assert [text for text in said if "Warning" in text or "Error" in text] == []


def test_a_plot_that_answers_the_mouse_leaves_the_others_what_they_are(executed):
    drawn = [(cell.source, output.data) for cell in code_cells(executed["02_latency"])
             for output in cell.outputs if "image/png" in output.get("data", {})]  # fmt: skip
    assert len(drawn) >= 4
    assert [source for source, data in drawn if _WIDGET in data] == [
        source for source, _ in drawn if "plot.interactive" in source
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_parameter_cell_and_no_outputs_in_git(path):
    notebook = json.loads(path.read_text())
    cells = notebook["cells"]
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert "widgets" not in notebook["metadata"]


def all_on(captures):
    """Every story on each capture, in one kernel (its start takes seconds).

    Returns what each answered, and all that was shown, by the capture's name.
    """
    cells, last = [], {}
    for capture in captures:
        for path in NOTEBOOKS:
            story = [nbformat.v4.new_code_cell(f"capture = {str(capture)!r}; other_end = ''")]
            for cell in code_cells(nbformat.read(path, as_version=4)):
                where = 0 if "parameters" in cell.metadata.get("tags", []) else len(story)
                story.insert(where, nbformat.v4.new_code_cell(cell.source))
            cells += [nbformat.v4.new_code_cell("%reset -f"), *story]
            last[capture.stem, path.stem] = len(cells) - 1
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    return {key: shown(notebook.cells[number]) for key, number in last.items()}, shown(*notebook.cells)


def test_on_a_capture_without_the_story_and_without_a_manifest_each_says_so(runs):
    answers, said = runs["others"]
    for stem in STORIES:
        text = answers["sent", stem]
        assert "Nothing was found" in text or "Nothing of the kind" in text, stem
    assert "unknown: no manifest stands beside the file" in said
    assert "Only one end was captured (sent)" in said


def test_on_an_empty_capture_each_says_that_it_cannot_tell(runs):
    answers, _ = runs["others"]
    assert [stem for stem in STORIES if "cannot tell" not in answers["empty", stem]] == []
