"""The ground that the other tests here stand on."""

from __future__ import annotations

from jupyter import Notebook


def test_a_cell_answers_in_a_real_browser(lab, page):
    notebook = Notebook.open(page, lab, "import json; print(json.dumps([1, 2]))")
    notebook.run_all()
    assert notebook.answer(0) == [1, 2]
    notebook.run(0, "print(json.dumps('again'))")
    assert notebook.answer(0) == "again"
