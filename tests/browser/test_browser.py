"""`k8scap.browse` as its user has it, in a real JupyterLab; tshark says what must stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter import Notebook
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "notebooks/captures"
FIELDS = ["tshark", "-n", "-T", "fields", "-e", "frame.number", "-r"]


def numbers(file: Path, where: str) -> list[int]:
    done = subprocess.run([*FIELDS, str(file), "-Y", where], check=True, capture_output=True, text=True)
    return [int(number) for number in done.stdout.split()]


def browse(page, lab, file: Path, *after: str) -> Notebook:
    """A notebook that browses a copy of this capture, its list painted."""
    if file.parent != lab.folder:
        for part in (file, file.with_suffix(".json")):
            if part.exists():
                shutil.copy(part, lab.folder / part.name)
    first = f"import json, k8scap\nbrowser = k8scap.browse({file.name!r})\nbrowser"
    notebook = Notebook.open(page, lab, first, *after)
    notebook.run(0)
    page.locator(".k8-row span").first.wait_for()
    return notebook


def apply(page, text: str) -> None:
    page.locator(".k8-filter").fill(text)
    page.locator(".k8-filter").press("Enter")


def shown(page) -> list[int]:
    """The numbers in the list's first column, as far as it is seen."""
    cells = page.locator(".k8-row:not([hidden]) span:first-child").all_inner_texts()
    return [int(cell) for cell in cells]


def expect(page, expression: str) -> None:
    page.wait_for_function(expression, timeout=20_000)


def test_a_packet_is_found_looked_at_and_followed(lab, page, keep):
    file = CAPTURES / "slow-server.pcap"
    asked = "print(json.dumps([len(browser.filtered), browser.selected.index.tolist()]))"
    notebook = browse(page, lab, file, asked)
    expected = numbers(file, "http.request")

    apply(page, "http.request")
    expect(page, f"document.querySelector('.k8-count').textContent.startsWith('{len(expected)} of ')")
    expect(page, "document.querySelector('.k8-row')?.textContent.includes('GET /')")
    assert shown(page) == expected[: len(shown(page))]

    page.locator(".k8-row").nth(1).click()
    protocol = page.locator(".k8-item", has_text="Hypertext Transfer Protocol")
    protocol.wait_for()
    protocol.locator(".k8-arrow").click()
    page.locator(".k8-item", has_text="Host: ").first.click()
    lit = "".join(page.locator(".k8-ascii .k8-lit").all_inner_texts())
    assert lit == f"Host: {field(file, expected[1], 'http.host')}··"

    page.locator(".k8-hex span[data-at='2']").click()  # the second byte of IPv4's total length
    assert page.locator(".k8-item.k8-chosen").inner_text().startswith("Total Length: ")
    keep(page, "browser")

    page.locator(".k8-scroller").focus()
    page.keyboard.press("f")
    page.locator(".k8-said pre.k8-server").first.wait_for()
    stream = follow(file, frame=expected[1])
    told = "".join(page.locator(".k8-said pre").all_inner_texts())
    assert squeezed(told) == squeezed(stream)
    keep(page, "conversation")
    page.get_by_role("button", name="Time sequence").click()
    expect(page, "document.querySelector('.k8-said img')?.naturalWidth > 100")
    page.get_by_role("button", name="Ladder").click()
    expect(page, "document.querySelector('.k8-said img.k8-ladder')?.naturalHeight > 300")
    page.keyboard.press("Escape")
    page.locator(".k8-conversation").wait_for(state="hidden")
    apply(page, "")
    expect(page, "document.querySelector('.k8-count').textContent.startsWith('136 packets')")
    expect(page, f"document.querySelector('.k8-row.k8-current span')?.textContent === '{expected[1]}'")

    apply(page, "http.request")
    expect(page, f"document.querySelector('.k8-count').textContent.startsWith('{len(expected)} of ')")
    notebook.run(1)
    assert notebook.answer(1) == [len(expected), [expected[1]]]


def field(file: Path, frame: int, name: str) -> str:
    argv = ["tshark", "-n", "-r", str(file), "-Y", f"frame.number == {frame}", "-T", "fields", "-e", name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def follow(file: Path, *, frame: int) -> str:
    """Both sides of a frame's connection in tshark's words."""
    stream = field(file, frame, "tcp.stream")
    argv = ["tshark", "-n", "-q", "-r", str(file), "-z", f"follow,tcp,ascii,{stream}"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    body = text.split("Node 1:")[1].split("\n", 1)[1]
    return re.sub(r"^\t?\d+\n", "", body, flags=re.MULTILINE).rstrip("=\n")


def squeezed(text: str) -> str:
    return re.sub(r"[\s.·]", "", text)


def test_what_is_no_filter_is_refused_in_place_and_marks_stay(lab, page):
    file = CAPTURES / "packet-loss.pcap"
    again = "print(json.dumps([[n, t] for n, t in k8scap.browse('packet-loss.pcap').marked['note'].items()]))"
    notebook = browse(page, lab, file, again)

    apply(page, "tcp.nonsense == 1")
    page.locator(".k8-error", has_text="tcp.nonsense").wait_for()
    assert page.locator(".k8-filter").get_attribute("data-verdict") == "bad"

    lost = numbers(file, "tcp.analysis.retransmission")
    apply(page, "tcp.analysis.retransmission")
    expect(page, f"document.querySelector('.k8-count').textContent.startsWith('{len(lost)} of ')")
    page.locator(".k8-row[data-kind=lost]").first.wait_for()
    page.locator(".k8-row").first.click()
    page.keyboard.press("Control+Alt+c")
    page.locator(".k8-ask input").fill("the first one <b>lost</b>")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Control+m")
    page.locator(".k8-row.k8-marked").nth(2).wait_for()
    notebook.run(1)
    assert notebook.answer(1) == [[lost[0], "the first one <b>lost</b>"], [lost[1], ""], [lost[2], ""]]
    assert (lab.folder / "packet-loss.marks.json").stat().st_mode & 0o777 == 0o600

    page.locator(".k8-finding").first.click()
    assert "packet-loss" in page.locator(".k8-finding").first.inner_text()
    expect(page, "document.querySelector('.k8-filter').value.startsWith('frame.number in')")


def test_any_wireshark_field_can_be_a_column(lab, page):
    file = CAPTURES / "slow-server.pcap"
    browse(page, lab, file)
    apply(page, "http.request")
    expect(page, "document.querySelector('.k8-row')?.textContent.includes('GET /')")
    for asked in ("http.nonsense", "http.host"):
        page.locator(".k8-head > div").first.click(button="right")
        page.get_by_role("menuitem", name="Any Wireshark field").click()
        page.locator(".k8-ask input").fill(asked)
        page.keyboard.press("Enter")
        if asked == "http.nonsense":
            page.locator(".k8-status", has_text="Wireshark has no field 'http.nonsense'").wait_for()
    first = numbers(file, "http.request")[0]
    host = field(file, first, "http.host")
    expect(page, f"document.querySelector('.k8-row')?.textContent.includes('{host}')")
    assert page.locator(".k8-head > div", has_text="http.host").count() == 1


def test_a_page_without_a_kernel_has_the_first_packets_as_a_table(lab, page, tmp_path):
    notebook = browse(page, lab, CAPTURES / "slow-server.pcap")
    expect(page, "document.querySelector('.k8scap-first-rows')?.hidden === true")
    assert notebook.output(0).locator(".k8scap-first-rows").is_hidden()
    source = f"import k8scap\nk8scap.browse({str(lab.folder / 'slow-server.pcap')!r})"
    file = tmp_path / "exported.ipynb"
    file.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])))
    argv = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", str(file)]
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    page.goto(file.with_suffix(".html").as_uri())
    rows = page.locator(".k8scap-first-rows tbody tr")
    rows.first.wait_for()
    assert rows.count() == 60
    assert rows.first.locator("td").first.inner_text() == "1"


@pytest.fixture(scope="module")
def many(lab) -> Path:
    """500,000 UDP datagrams, a millisecond apart."""
    path = lab.folder / "many.pcap"
    count = 500_000
    frame = bytes(Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / UDP() / Raw(b"xxxx"))
    record = struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    content = bytearray(record * count)
    for i in range(count):
        struct.pack_into("<II", content, i * len(record), i // 1000, i % 1000 * 1000)
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + content)
    return path


def test_half_a_million_rows_are_as_near_as_ten(lab, page, many):
    browse(page, lab, many)
    expect(page, "document.querySelector('.k8-count').textContent.startsWith('500,000')")
    page.locator(".k8-row").first.click()
    page.keyboard.press("End")
    expect(page, "[...document.querySelectorAll('.k8-row')].some((r) => r.textContent.startsWith('500000'))")
    page.mouse.wheel(0, -200)  # ten rows, wherever the scroll bar stands
    rows = "[...document.querySelectorAll('.k8-row:not([hidden])')]"
    last = f"{rows}.some((row) => row.textContent.startsWith('500000'))"
    page.mouse.wheel(0, -200)  # ten rows, wherever the scroll bar stands
    expect(page, f"!{last}")
    assert 499_950 < min(shown(page)) < 499_990
    page.keyboard.press("Control+g")
    page.locator(".k8-ask input").fill("250000")
    page.keyboard.press("Enter")
    expect(page, "document.querySelector('.k8-row.k8-current span')?.textContent === '250000'")
    assert len(page.locator(".k8-row").all()) < 100


HOSTILE = "<img src=x onerror=window.ran=1>"


def test_markup_from_the_wire_is_text(lab, page):
    file = lab.folder / "hostile.pcap"
    ask = f"GET /{HOSTILE} HTTP/1.1\r\nHost: {HOSTILE}\r\n\r\n".encode()
    tcp = {"sport": 4000, "dport": 80, "seq": 1, "ack": 1, "flags": "PA"}
    wrpcap(
        str(file),
        [
            Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / TCP(**tcp) / Raw(ask),
            Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / UDP(dport=53) / DNS(qd=DNSQR(qname=HOSTILE)),
        ],
    )
    (lab.folder / "hostile.marks.json").write_text(
        json.dumps({"kind": "k8scap marks", "format": 1, "marks": [{"number": 1, "note": HOSTILE}]})
    )
    browse(page, lab, file)
    expect(page, f"document.querySelector('.k8-row')?.textContent.includes({HOSTILE!r})")
    page.locator(".k8-row").first.click()
    page.locator(".k8-item", has_text="Hypertext").locator(".k8-arrow").click()
    page.keyboard.press("f")
    page.locator(".k8-said pre", has_text=HOSTILE).wait_for()
    assert page.locator(".k8scap-browser img[src=x]").count() == 0
    assert page.evaluate("window.ran") is None
