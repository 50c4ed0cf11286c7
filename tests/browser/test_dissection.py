"""A frame's details and payload, held against tshark on the whole file."""

from __future__ import annotations

import base64
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree
from scapy.layers.inet import ICMP, IP, TCP
from scapy.packet import Raw
from scapy.utils import wrpcap

import k8scap
from k8scap.browser.payload import said
from k8scap.browser.session import Session
from k8scap.errors import FilterError

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "notebooks/captures"
CORPUS = ROOT.parent / "shared/corpus"
OF_THE_FILE = {"frame.interface_id", "frame.interface_name", "frame.section_number", "frame.encap_type",
               "frame", "frame.time_delta_displayed"}  # fmt: skip
"""What differs where the same frame stands in another file."""


class Page:
    """Takes what a session tells, as the page would."""

    def __init__(self, *files: Path) -> None:
        self.told: list[dict] = []
        self.capture = k8scap.load(*files)
        self.session = Session(self.capture, send=self.take)
        self._came = threading.Condition()

    def take(self, message: dict) -> None:
        with self._came:
            self.told.append(message)
            self._came.notify_all()

    def ask(self, tell: str, **question: object) -> dict:
        """Ask, and wait for the answer of this kind."""
        self.told.clear()
        self.session.hear({"view": self.session.view_number, **question})
        with self._came:
            assert self._came.wait_for(lambda: any(t["tell"] in {tell, "error"} for t in self.told), 20), (
                self.told
            )
        return next(t for t in self.told if t["tell"] in {tell, "error"})


def lines(nodes: list[dict]) -> list[tuple[str, str]]:
    return [line for n in nodes for line in [(n["name"], n["text"]), *lines(n["nodes"])]]


def by_tshark(file: Path, number: int) -> list[tuple[str, str]]:
    argv = ["tshark", "-n", "-2", "-r", str(file), "-T", "pdml", "-Y", f"frame.number == {number}"]
    packet = etree.fromstring(subprocess.run(argv, check=True, capture_output=True).stdout).find("packet")
    shown = [one for one in packet.iter("proto", "field") if not hidden(one)]
    names = [one.get("name") or "" for one in shown]
    texts = [one.get("showname") or one.get("show") or one.get("name") or "" for one in shown]
    return list(zip(names, texts, strict=True))


def hidden(element: Any) -> bool:
    """It or what it stands in: of no interest to Wireshark's reader, or PDML's own."""
    around = [element, *element.iterancestors()]
    return any(one.get("hide") == "yes" or one.get("name") == "geninfo" for one in around)


def without_the_files(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [line for line in told if line[0] not in {*OF_THE_FILE, "fake-field-wrapper"}]


@pytest.mark.parametrize(("name", "every"), [("packet-loss.pcap", 149), ("slow-server.pcap", 33)])
def test_details_are_those_of_tshark_on_the_whole_file(name, every):
    file = CAPTURES / name
    page = Page(file)
    for row in range(3, len(page.capture.packets), every):
        told = page.ask("detail", ask="detail", row=row)
        assert told["number"] == row + 1
        assert without_the_files(lines(told["tree"])) == without_the_files(by_tshark(file, row + 1))


def in_the_corpus(*names: str) -> list[Path]:
    return [file for name in names for file in CORPUS.glob(f"*/{name}")]


OTHERS = in_the_corpus("tls__tls-altname-zero__input.pcap", "smb__smb2-multiple-pdus.pcap")


@pytest.mark.parametrize("file", [CAPTURES / "clean.pcap", *OTHERS], ids=lambda file: file.stem)
def test_so_they_are_in_captures_of_others(file):
    told = Page(file).ask("detail", ask="detail", row=1)
    assert without_the_files(lines(told["tree"])) == without_the_files(by_tshark(file, 2))


def reassembled(folder: Path) -> Path:
    """An HTTP answer in two segments: its body is found in bytes that stand in no frame."""
    there = {"sport": 80, "dport": 4000, "ack": 1, "flags": "PA"}
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcdefgh"
    packets = [IP(src="198.18.0.2", dst="198.18.0.1") / TCP(seq=1, **there) / Raw(body[:20]),
               IP(src="198.18.0.2", dst="198.18.0.1") / TCP(seq=21, **there) / Raw(body[20:])]  # fmt: skip
    wrpcap(str(folder / "two.pcap"), packets)
    return folder / "two.pcap"


def test_a_reassembled_field_lies_in_the_reassembled_bytes(tmp_path):
    page = Page(reassembled(tmp_path))
    told = page.ask("detail", ask="detail", row=1)
    nodes = {node["name"]: node for node in flat(told["tree"])}
    field = nodes["http.response.code"]
    source = told["sources"][field["source"]]
    assert source["name"].startswith("Reassembled TCP")
    content = base64.b64decode(source["bytes"])
    assert content[field["start"] : field["start"] + field["size"]] == b"200"
    assert field["filter"] == "http.response.code == 200"
    own = nodes["tcp.srcport"]
    frame = base64.b64decode(told["sources"][0]["bytes"])
    assert own["source"] == 0
    assert frame[own["start"] : own["start"] + own["size"]] == (80).to_bytes(2, "big")


def flat(nodes: list[dict]) -> list[dict]:
    return [one for node in nodes for one in [node, *flat(node["nodes"])]]


def test_payload_is_put_in_order_each_byte_once(tmp_path):
    """Out of order, repeated, overlapping, and with a hole: the sides' bytes were chosen by hand."""

    def segment(seq, data, *, back=False):
        ends = (
            {"src": "198.18.0.2", "dst": "198.18.0.1"} if back else {"src": "198.18.0.1", "dst": "198.18.0.2"}
        )
        ports = {"sport": 80, "dport": 4000} if back else {"sport": 4000, "dport": 80}
        return IP(**ends) / TCP(seq=seq, ack=1, flags="PA", **ports) / Raw(data)

    top = 2**32 - 3  # sequence numbers wrap meanwhile
    packets = [segment(top, b"abc"), segment(3, b"ghi"), segment(top, b"abc"), segment(0, b"def"),
               segment(2, b"fghij"), segment(500, b"OK", back=True), segment(20, b"end")]  # fmt: skip
    wrpcap(str(tmp_path / "order.pcap"), packets)
    cap = k8scap.load(tmp_path / "order.pcap")
    found = said(cap.sources[0], cap.packets, 0).pieces
    assert b"".join(piece.content for piece in found if piece.side == 0) == b"abcdefghijend"
    assert [piece.content for piece in found if piece.side == 1] == [b"OK"]
    assert [piece.missing for piece in found if piece.missing] == [13]


FILTERS = (
    "tcp.analysis.retransmission",
    "dns",
    "ip.src == 198.18.0.20 and tcp",
    'frame contains "GET"',
    "http.response.code == 200 or udp",
    "",
)


@pytest.mark.parametrize("text", FILTERS)
def test_filters_let_pass_what_tshark_lets_pass(text):
    file = CAPTURES / "packet-loss.pcap"
    page = Page(file)
    page.ask("state", ask="filter", text=text)
    argv = [
        "tshark",
        "-n",
        "-r",
        str(file),
        "-T",
        "fields",
        "-e",
        "frame.number",
        *(["-Y", text] if text else []),
    ]
    expected = [
        int(n) for n in subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    ]
    assert page.session.filter == text
    assert page.capture.packets.index[page.session.view.rows].tolist() == expected


def test_a_filter_that_is_none_leaves_the_list_alone():
    page = Page(CAPTURES / "packet-loss.pcap")
    told = page.ask("state", ask="filter", text="tcp.prot == 1")
    assert (told["tell"], told["about"]) == ("error", "filter")
    assert len(page.session.view) == 600
    with pytest.raises(FilterError):
        k8scap.browse(CAPTURES / "packet-loss.pcap", where="tcp.prot == 1")


def test_sorting_is_stable_and_goes_back():
    page = Page(CAPTURES / "packet-loss.pcap")
    packets = page.capture.packets
    page.ask("state", ask="sort", name="length", descending=True)
    expected = packets.reset_index().sort_values("length", ascending=False, kind="stable")["number"].tolist()
    assert packets.index[page.session.view.rows].tolist() == expected
    page.ask("state", ask="sort", name="", descending=False)
    assert packets.index[page.session.view.rows].tolist() == packets.index.tolist()


ODD = (
    None,
    7,
    {"ask": "rows"},
    {"ask": "rows", "first": "x", "end": None, "view": 0},
    {"ask": "rows", "first": -5, "end": -1, "view": 0},
    {"ask": "detail", "row": 10**9, "view": 0},
    {"ask": "select", "ranges": [[5]], "view": 0},
    {"ask": "__class__"},
)


@pytest.mark.parametrize("message", ODD)
def test_what_the_page_would_not_say_does_no_harm(message):
    page = Page(CAPTURES / "clean.pcap")
    page.session.hear(message)
    assert len(page.ask("rows", ask="rows", first=0, end=3)["cells"]) == 3


def test_the_next_packet_of_the_conversation_and_the_next_mark(tmp_path):
    file = tmp_path / "loss.pcap"
    file.write_bytes((CAPTURES / "packet-loss.pcap").read_bytes())
    page = Page(file)
    stream = page.capture.packets["stream"].to_numpy(np.int64, na_value=-1)
    tcp = (page.capture.packets["protocol"] == "TCP").to_numpy()
    same = np.flatnonzero(tcp & (stream == stream[20]))
    assert page.ask("go", ask="go", to="conversation", **{"from": 20}, step=1)["row"] == same[same > 20][0]
    assert page.ask("go", ask="go", to="conversation", **{"from": 20}, step=-1)["row"] == same[same < 20][-1]
    page.ask("marked", ask="mark", row=99, note="here")
    assert page.ask("go", ask="go", to="mark", **{"from": 20}, step=1)["row"] == 99
    assert page.ask("go", ask="go", to="mark", **{"from": 99}, step=1)["row"] == -1
    assert page.ask("go", ask="go", to="number", **{"from": 300}, step=0)["row"] == 299


def test_an_exported_page_shows_the_first_packets_and_no_payload():
    html = k8scap.browse(CAPTURES / "slow-server.pcap")._repr_mimebundle_()[0]["text/html"]
    assert len(re.findall("<tr>", html)) == 61
    assert "GET /" not in html


def test_a_finding_brings_up_the_frames_of_its_own_point():
    page = Page(CAPTURES / "packet-loss.pcap", CAPTURES / "slow-server.pcap")
    found = page.capture.findings.found
    number = next(i for i, finding in enumerate(found) if finding.rule == "slow-server")
    page.ask("state", ask="finding", number=number)
    shown = page.capture.packets.iloc[page.session.view.rows]
    assert set(shown["point"]) == {"slow-server"}
    assert set(found[number].frames) <= set(shown.index)


def test_a_selected_frame_stays_selected_where_it_is_still_shown():
    page = Page(CAPTURES / "packet-loss.pcap")
    page.session.hear({"ask": "select", "view": 0, "ranges": [[40, 40]], "current": 40})
    assert page.ask("state", ask="filter", text="tcp")["current"] >= 0
    assert page.capture.packets.index[page.session.chosen].tolist() == [41]
    assert page.ask("state", ask="filter", text="dns")["current"] == -1
    assert len(page.session.chosen) == 0


def test_marks_that_cannot_be_kept_stand_until_the_kernel_ends(tmp_path):
    file = tmp_path / "loss.pcap"
    file.write_bytes((CAPTURES / "packet-loss.pcap").read_bytes())
    (tmp_path / "loss.marks.json").mkdir()  # nobody may write a file there, root neither
    page = Page(file)
    told = page.ask("marked", ask="mark", row=3, note="here")
    assert (told["tell"], told["about"]) == ("error", "marks")
    assert "loss.marks.json" in told["message"]
    assert page.session.marks.note((page.capture.points[0], 4)) == "here"


def test_a_ping_knows_its_answer_and_is_not_called_unanswered(tmp_path):
    file = tmp_path / "ping.pcap"
    ask, answer = (IP(src="198.18.0.1", dst="198.18.0.2"), IP(src="198.18.0.2", dst="198.18.0.1"))
    other = IP(src="198.18.0.3", dst="198.18.0.2") / ICMP(type=8, id=9)
    wrpcap(str(file), [ask / ICMP(type=8, id=7), other, answer / ICMP(type=0, id=7)])
    told = lines(Page(file).ask("detail", ask="detail", row=0)["tree"])
    assert without_the_files(told) == without_the_files(by_tshark(file, 1))
    assert dict(told)["icmp.resp_in"].endswith("3")
