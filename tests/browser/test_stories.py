"""A notebook that comes with k8scap, as a reader in front of JupyterLab has it."""

from __future__ import annotations

import shutil
from pathlib import Path

from jupyter import Notebook

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_a_lossy_paths_story_ends_in_its_answer_all_on_one_screen(lab, page, keep):
    (lab.folder / "captures").mkdir(exist_ok=True)
    for name in ("packet-loss.pcap", "packet-loss.json"):
        shutil.copy(NOTEBOOKS / "captures" / name, lab.folder / "captures")
    shutil.copy(NOTEBOOKS / "03_retransmissions.ipynb", lab.folder)
    notebook = Notebook.open_file(page, lab, "03_retransmissions.ipynb")
    notebook.run_all()
    assert page.locator(".jp-OutputArea-output:has-text('Traceback')").count() == 0
    page.locator(".jupyter-matplotlib-canvas-div canvas").first.wait_for()
    page.get_by_text("22 of 600 packets").wait_for()  # both copies of the 11 that left twice
    card = page.locator(".k8scap-card", has=page.get_by_text("Answer", exact=True))
    card.scroll_into_view_if_needed()
    for words in ("Is the path losing packets", "11 of 263 segments", "lossy-path", "k8scap enter"):
        assert words in card.inner_text()
    box = card.bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= box["y"] + box["height"] <= 1000
    keep(page, "story-answer")
