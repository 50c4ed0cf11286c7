"""Interaction times of the packet browser, in a real JupyterLab and a headless Chromium.

    python benchmarks/browser.py BULK.pcap [--runs 5]     # BULK.pcap: benchmarks/bulk_capture.py makes one

First paint: from running the cell that shows it (the packets were read before) until the list has
rows. Scroll: from a jump anywhere by the scroll bar until the rows that belong there are painted.
Filter: from Enter until the count and the rows are those of the filter. Detail: from a click until the
tree is there. Milliseconds, as the page's own clock has them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/browser"))

from jupyter import JupyterLab, Notebook
from playwright.sync_api import Page, sync_playwright

FILTERS = (
    "tcp.analysis.retransmission",
    "tcp.stream == 3",
    "tcp.len > 1000 and tcp.flags.push == 1",
    "ip.src == 198.18.0.1",
    "frame.len < 100",
    "",
)

UNTIL = """async (done) => {
    const start = performance.now();
    while (!eval(done)) {
        if (performance.now() - start > 30000) throw new Error("not within 30 s: " + done);
        await new Promise(requestAnimationFrame);
    }
    return performance.now() - start;
}"""
"""How long until an expression is true, looked at with every frame that is painted."""

FILLED = """[...document.querySelectorAll('.k8-row:not([hidden])')].every(
    (row) => !row.textContent.includes('…')) && document.querySelectorAll('.k8-row').length > 0"""


WATCH_FOR_ROWS = """() => {
    window.painted = null;
    const start = performance.now();
    const look = () => {
        if (document.querySelector('.k8-row span')?.textContent) window.painted = performance.now() - start;
        else requestAnimationFrame(look);
    };
    look();
}"""


def first_paint(notebook: Notebook) -> float:
    """From Control+Enter on the cell until its list has rows."""
    page = notebook.page
    notebook.cell(1).locator(".cm-content").click()
    page.evaluate(WATCH_FOR_ROWS)
    page.keyboard.press("Control+Enter")
    page.wait_for_function("window.painted !== null", timeout=60_000)
    return float(page.evaluate("window.painted"))


def scroll(page: Page, part: float) -> float:
    page.evaluate(
        """(part) => { const s = document.querySelector('.k8-scroller');
                       s.scrollTop = part * (s.scrollHeight - s.clientHeight); }""",
        part,
    )
    page.evaluate("() => new Promise(requestAnimationFrame)")
    return float(page.evaluate(UNTIL, f"({FILLED})"))


def filtered(page: Page, text: str) -> float:
    page.locator(".k8-filter").fill(text)
    before = page.locator(".k8-count").inner_text()
    done = f"document.querySelector('.k8-count').textContent !== {json.dumps(before)} && ({FILLED})"
    page.locator(".k8-filter").press("Enter", no_wait_after=True)
    return float(page.evaluate(UNTIL, done))


def detail(page: Page, dice: random.Random) -> float:
    page.evaluate("document.querySelector('.k8-tree').replaceChildren()")
    page.wait_for_timeout(700)  # as long as it takes to look at a row before choosing it
    row = page.locator(".k8-row:not([hidden])").nth(dice.randrange(2, 8))
    row.click()
    return float(page.evaluate(UNTIL, "document.querySelector('.k8-item') !== null"))


def measure(page: Page, lab: JupyterLab, name: str, runs: int, dice: random.Random) -> dict[str, list[float]]:
    load = f"import k8scap\ncap = k8scap.load({name!r})\nlen(cap.packets)"
    notebook = Notebook.open(page, lab, load, "k8scap.browse(cap)")
    notebook.run(0)
    times: dict[str, list[float]] = {"first paint": [first_paint(notebook)]}
    page.wait_for_selector(".k8-finding, .k8-count", timeout=60_000)
    page.wait_for_timeout(8_000)  # the findings are judged in the background: measured apart
    for _ in range(runs):
        times.setdefault("scroll to any row", []).append(scroll(page, dice.random()))
        times.setdefault("detail of a frame", []).append(detail(page, dice))
    for _ in range(runs):
        for text in FILTERS:
            times.setdefault("filter", []).append(filtered(page, text))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    dice = random.Random(1)  # noqa: S311 - where to scroll to
    folder = Path(tempfile.mkdtemp())
    (folder / "bulk.pcap").symlink_to(arguments.capture.resolve())
    lab = JupyterLab(folder)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            times = measure(page, lab, "bulk.pcap", arguments.runs, dice)
            page.screenshot(path=str(folder / "browser.png"))
            browser.close()
    finally:
        lab.close()
    print("| interaction | median ms | worst ms | runs |\n| --- | --- | --- | --- |")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.0f} | {max(values):.0f} | {len(values)} |")


if __name__ == "__main__":
    main()
