"""Watching a capture in a notebook: its numbers move, Stop stops it, and nothing outlives the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jupyter import Notebook

from k8scap.live.watching.summary import html

TRAFFIC = """
import socket, threading, time
listener = socket.create_server(("127.0.0.1", 8080))
def serve(connection):
    while connection.recv(4096):
        connection.sendall(bytes(3000))
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
def ask():
    with socket.create_connection(("127.0.0.1", 8080)) as server:
        while True:
            server.sendall(bytes(200))
            server.recv(4096)
            time.sleep(0.005)
threading.Thread(target=ask, daemon=True).start()
while True:
    socket.socket().connect_ex(("127.0.0.1", 9))  # where nobody listens
    time.sleep(0.1)
"""
WATCH = """import k8scap
live = k8scap.watch("netns/{}", interface="lo", seconds=None, output="{}", name="web", snaplen=2000)"""
PANEL = Path(__file__).parents[2] / "k8scap/live/watching/panel.js"
HOSTILE = "<img src=x onerror='document.title=1'><b>bold</b>"
VIEW = {
    "running": True,
    "ending": False,
    "title": HOSTILE,
    "state": HOSTILE,
    "packets": "1",
    "packet_rate": "1",
    "byte_rate": "1 B/s",
    "on_disk": "1 B",
    "dropped": "12",
    "some_dropped": True,
    "history": [1, 3, 2],
    "talks": [[HOSTILE, HOSTILE, "TCP", "1 B/s", "1", "1 B"]],
    "findings": [["critical", "packet-loss", HOSTILE, "10:00:00"]],
    "more_findings": "",
    "notes": [HOSTILE],
}
RENDER = """async ([source, view]) => {
    const {render} = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
    const model = {get: () => view, on() {}, off() {}, send() {}};
    render({model, el: document.getElementById("panel")});
}"""


@pytest.fixture
def busy(namespace):
    """A namespace in which a client asks a server, and knocks where nobody listens."""
    namespace.start(sys.executable, "-c", TRAFFIC)
    return namespace


@pytest.fixture
def watched(page, lab, busy, tmp_path):
    """A notebook whose first cell watches; its panel is there. Other cells wait to be run."""

    def open_with(*cells):
        notebook = Notebook.open(page, lab, WATCH.format(busy.name, tmp_path), *cells)
        notebook.run(0)
        page.locator(".k8scap-live-panel").wait_for()
        return notebook

    return open_with


def number(page, label):
    """What a tile of the panel says."""
    tile = page.locator(".k8scap-live-tile", has=page.get_by_text(label, exact=True))
    return int(tile.locator(".k8scap-live-value").inner_text().replace(",", "") or 0)


def tcpdumps(namespace):
    pids = subprocess.check_output(["ip", "netns", "pids", namespace.name], text=True).split()
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "tcpdump\n"]


def wait_for(page, condition, *, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def test_numbers_move_and_stop_stops_while_another_cell_runs(page, watched, busy, tmp_path, keep):
    notebook = watched(
        "print(len(live.packets))",
        "import time\nwhile live.running: time.sleep(0.05)",
        "cap = live.result(); print(len(cap.packets))",
    )
    wait_for(page, lambda: number(page, "packets/s") > 50)
    first = number(page, "packets")
    wait_for(page, lambda: number(page, "packets") > first)
    panel = page.locator(".k8scap-live-panel")
    panel.get_by_text("127.0.0.1:9 refused all").wait_for()
    assert "127.0.0.1:8080" in panel.locator(".k8scap-live-talks tr").nth(1).inner_text()
    assert number(page, "dropped") == 0
    keep(page, "live-panel")

    notebook.run(1)
    assert 0 < int(notebook.output(1).inner_text()) <= number(page, "packets") + 1000
    notebook.run(2, wait=False)
    panel.get_by_role("button", name="Stop").click()
    notebook.wait(2, seconds=15)
    assert tcpdumps(busy) == []
    summary = notebook.output(0).locator(".k8scap-watched caption")
    summary.wait_for()
    assert "(stopped), complete" in summary.inner_text()
    keep(page, "live-summary")

    notebook.run(3)
    counted = subprocess.check_output(["capinfos", "-Mrc", str(tmp_path / "web.pcap")], text=True).split()[-1]
    assert notebook.output(3).inner_text().strip() == counted


def test_a_killed_kernel_leaves_no_tcpdump_and_the_panel_says_so(page, watched, busy, tmp_path):
    notebook = watched("import os; print(os.getpid())")
    notebook.run(1)
    wait_for(page, lambda: number(page, "packets") > 0)
    assert tcpdumps(busy) != []
    os.kill(int(notebook.output(1).inner_text()), signal.SIGKILL)

    wait_for(page, lambda: tcpdumps(busy) == [])
    page.get_by_text("No news from the kernel").wait_for(timeout=10_000)
    wait_for(page, lambda: '"ended_by": "killed"' in (tmp_path / "web.json").read_text())


def test_what_comes_from_the_wire_is_text(page):
    page.set_content(f"<div id='panel'></div>{html(VIEW)}")
    page.evaluate(RENDER, [PANEL.read_text(), VIEW])
    assert page.locator(".k8scap-live-panel").get_by_text(HOSTILE).count() == 6
    assert page.locator(".k8scap-watched").get_by_text(HOSTILE).count() == 5
    assert page.locator("img, b").count() == 0
