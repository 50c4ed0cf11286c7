"""Plots that answer the mouse, in a real JupyterLab."""

from __future__ import annotations

import shutil
from pathlib import Path

from jupyter import Notebook

CAPTURES = Path(__file__).resolve().parents[2] / "notebooks/captures"
SETUP = """import json, k8scap
cap = k8scap.load("packet-loss.pcap")
picture = k8scap.plot.interactive(k8scap.plot.latency, cap)
picture"""
ASK = """box = picture.box
at = (cap.packets["time"] - cap.packets["time"].min()).dt.total_seconds()[picture.selected.index]
print(json.dumps([len(picture.selected), *box, at.min(), at.max()]))"""

TELL = """import ipywidgets
from IPython.display import display
table = ipywidgets.Output()

@table.capture(clear_output=True)
def show_packets(packets):
    display(k8scap.show(packets))

picture.on_select(show_packets)
table"""


def draw_box(page, canvas):
    """From a fifth of the picture to its half."""
    area = canvas.bounding_box()
    left, top = area["x"] + area["width"] * 0.2, area["y"] + area["height"] * 0.2
    right, bottom = area["x"] + area["width"] * 0.5, area["y"] + area["height"] * 0.8
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=5)
    page.mouse.up()


def test_a_box_drawn_with_the_mouse_is_a_table_in_the_next_cell(lab, page, keep):
    shutil.copy(CAPTURES / "packet-loss.pcap", lab.folder)
    notebook = Notebook.open(page, lab, SETUP, ASK, "print(json.dumps(picture.ax.get_xlim()))", TELL)
    notebook.run(0)
    canvas = page.locator(".jupyter-matplotlib-canvas-div canvas").last
    canvas.wait_for()
    page.wait_for_timeout(1500)
    notebook.run(3)
    canvas.scroll_into_view_if_needed()
    assert page.locator(".k8scap-table").count() == 0
    draw_box(page, canvas)
    page.locator(".k8scap-table tbody tr").first.wait_for(timeout=5000)
    page.wait_for_timeout(1000)
    keep(page, "box")
    notebook.run(1)
    count, x0, x1, _, _, first, last = notebook.answer(1)
    assert count > 20
    assert 0 <= x0 < x1
    assert x0 - 0.1 <= first < last <= x1  # the segment that was measured comes before its answer

    notebook.run(2)
    before = notebook.answer(2)
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.4)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(1000)
    notebook.run(2)
    after = notebook.answer(2)
    assert after[1] - after[0] < before[1] - before[0]
