"""How large the report's page is, how long it takes to make, and how fast a browser opens it.

    python benchmarks/report_page.py [BULK.pcap …] [--runs 7]

Given are captures (BULK.pcap is what benchmarks/bulk_capture.py makes); one of 400 findings is made here.
Made: a loaded capture to the file, tables and findings included; the processor's time. Opened: Chromium,
headless, a new window each run and nothing cached, from the start of navigation to the end of the load
event, and to the first paint with content; medians and the worst. Plots further down are drawn when the
reader comes near. Requests are all that the page asked for but itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from scapy.packet import Packet

FINDINGS, POINTS = 400, 8
TIMES = """() => new Promise(done => requestAnimationFrame(() => setTimeout(() => {
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  done([load, paint ? paint.startTime : NaN]);
}, 50)))"""


def many_findings(folder: Path) -> list[Path]:
    """Eight capture points; at each, three refused connections from a client to each of 50 servers."""
    from scapy.utils import wrpcap

    files = []
    for point in range(POINTS):
        files.append(folder / f"point-{point + 1}.pcap")
        attempts = range(FINDINGS // POINTS * 3)
        packets = [packet for number in attempts for packet in refused(point, number)]
        wrpcap(str(files[-1]), packets)
    return files


def refused(point: int, number: int) -> Iterator[Packet]:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    client, server = "198.18.0.2", f"198.19.{point}.{number % (FINDINGS // POINTS) + 1}"
    begun = 1_700_000_000 + number * 0.01
    asks = TCP(sport=20000 + number, dport=8080, flags="S", seq=1)
    refuses = TCP(sport=8080, dport=20000 + number, flags="RA", seq=1, ack=2)
    for time, src, dst, tcp in ((begun, client, server, asks), (begun + 4e-4, server, client, refuses)):
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst=dst) / tcp
        packet.time = time
        yield packet


def opened(browser: Browser, page: Path, runs: int) -> tuple[list[float], list[float], int]:
    """Milliseconds to the load event and to the first paint, and how many requests left the file."""
    loads, paints, asked = [], [], []
    for _ in range(runs):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        window = context.new_page()
        window.on("request", lambda request: asked.append(request.url))
        window.goto(page.resolve().as_uri())
        load, paint = window.evaluate(TIMES)
        loads.append(load)
        paints.append(paint)
        context.close()
    outside = [url for url in asked if not url.startswith(("data:", page.resolve().as_uri()))]
    return loads, paints, len(outside)


def row(browser: Browser, name: str, captures: list[Path], folder: Path, runs: int) -> str:
    import k8scap

    cap = k8scap.load(*captures)
    frames = len(cap.packets)
    begun = process_time()
    page = k8scap.report(cap, folder / f"{name}.html")
    made = process_time() - begun
    loads, paints, outside = opened(browser, page, runs)
    found = len(cap.findings.found)
    return (
        f"| {name} | {frames:,} | {found} | {page.stat().st_size / 1e6:.2f} | {made:.1f} "
        f"| {median(loads):.0f} | {max(loads):.0f} | {median(paints):.0f} | {outside} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    heads = (
        "capture | frames | findings | MB | made, processor s | load, ms | worst | first paint, ms | requests"
    )
    print(f"| {heads} |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        captures = {file.stem: [file] for file in arguments.captures}
        captures[f"{FINDINGS} findings"] = many_findings(Path(folder))
        for name, files in captures.items():
            print(row(browser, name, files, Path(folder), arguments.runs), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
