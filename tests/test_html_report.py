"""The report: one file that asks nothing of any network and runs nothing that came from the wire."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from lxml import html as lxml_html
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import k8scap
from k8scap.errors import DiskFullError, UsageError
from k8scap.model import Counters, Manifest, NameEntry
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CLIENT, SERVER, RESOLVER = "198.18.0.2", "198.18.0.3", "198.18.0.53"
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
MATHS = r"$\frac{1}{$_^\\"
SECRET = "hunter2-is-what-was-typed"  # noqa: S105
MEGABYTE = 1_000_000


def segment(
    *,
    up: bool,
    flags: str,
    port: int = 8080,
    seq: int = 1,
    ack: int = 1,
    payload: bytes = b"",
    sport: int = 40000,
) -> Packet:
    ends = (CLIENT, SERVER, sport, port) if up else (SERVER, CLIENT, port, sport)
    src, dst, source_port, destination_port = ends
    tcp = TCP(sport=source_port, dport=destination_port, seq=seq, ack=ack, flags=flags, window=64240)
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=src, dst=dst) / tcp / Raw(payload)


def lookup(name: str | bytes, *, port: int) -> Packet:
    ends = IP(src=CLIENT, dst=RESOLVER) / UDP(sport=port, dport=53)
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ends / DNS(id=port, qd=DNSQR(qname=name))


def refused(count: int) -> Iterable[tuple[float, Packet]]:
    for n in range(count):
        yield n * 0.01, segment(up=True, flags="S", sport=41000 + n)
        yield n * 0.01 + 0.001, segment(up=False, flags="RA", sport=41000 + n, ack=2)


def request(payload: bytes) -> Iterable[tuple[float, Packet]]:
    yield 0.0, segment(up=True, flags="S", seq=0)
    yield 0.001, segment(up=False, flags="SA", seq=0, ack=1)
    yield 0.0011, segment(up=True, flags="A")
    yield 0.0012, segment(up=True, flags="PA", payload=payload)
    yield (
        0.004,
        segment(up=False, flags="PA", ack=1 + len(payload), payload=b"HTTP/1.1 200 OK\r\n\r\n" + payload),
    )


def opened(folder: Path, packets: Iterable[tuple[float, Packet]], **manifest: object) -> k8scap.Capture:
    """A capture of those packets at those times; with a manifest where one is given."""
    path, frames = folder / "crafted.pcap", []
    for at, packet in sorted(packets, key=lambda seen: seen[0]):
        packet.time = 1_700_000_000.0 + at
        frames.append(packet)
    wrpcap(str(path), frames)
    if manifest:
        counters = Counters(captured=len(frames), received=len(frames), dropped=0, on_disk=len(frames))
        told = {"name": "crafted", "point": "crafted", "state": "complete", "counters": counters, **manifest}
        write_manifest(path.with_suffix(".json"), Manifest(**told))
    return k8scap.load(path)


def parsed(path: Path) -> lxml_html.HtmlElement:
    return lxml_html.document_fromstring(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def four_refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[k8scap.Capture, Path]:
    """A capture with one finding, and its report."""
    folder = tmp_path_factory.mktemp("refused")
    cap = opened(folder, refused(4), target={"text": "docker/web"}, filter="tcp port 8080")
    return cap, k8scap.report(cap, folder / "report.html")


def words(page: lxml_html.HtmlElement) -> str:
    return " ".join(page.text_content().split())


def test_it_asks_nothing_of_any_network(four_refused: tuple[k8scap.Capture, Path]) -> None:
    page = parsed(four_refused[1])
    assert page.xpath("//script | //link | //iframe | //object | //embed | //form | //base") == []
    assert all(src.startswith("data:image/") for src in page.xpath("//@src"))
    assert page.xpath("//img")
    assert all(href.startswith("#") for href in page.xpath("//@href"))
    assert "url(" not in page.xpath("string(//style)")
    assert "@import" not in page.xpath("string(//style)")
    policy = page.xpath("string(//meta[@http-equiv='Content-Security-Policy']/@content)")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_link_inside_leads_somewhere(four_refused: tuple[k8scap.Capture, Path]) -> None:
    page = parsed(four_refused[1])
    assert {href[1:] for href in page.xpath("//@href")} <= set(page.xpath("//@id"))


def test_nothing_from_the_wire_becomes_an_element(tmp_path: Path) -> None:
    http = f"GET / HTTP/1.1\r\nHost: {SCRIPT}\r\n\r\n".encode()
    packets = [
        *request(http),
        *refused(3),
        (0.5, lookup(SCRIPT.encode(), port=5001)),
        (0.6, lookup(IMAGE.encode(), port=5002)),
        (5.0, lookup("api.example.com", port=5003)),
    ]
    names = (
        NameEntry(address=CLIENT, name=SCRIPT, namespace="shop", kind="pod"),
        NameEntry(address=SERVER, name=IMAGE),
        NameEntry(address=RESOLVER, name=MATHS),
    )
    cap = opened(
        tmp_path,
        packets,
        point=IMAGE,
        target={"text": SCRIPT, "name": IMAGE},
        filter=SCRIPT,
        notes=(IMAGE,),
        names=names,
        versions={SCRIPT: IMAGE},
        events=({"reason": SCRIPT, "message": IMAGE},),
        dataplane={"cni": SCRIPT},
    )
    page = parsed(k8scap.report(cap, tmp_path / "report.html"))
    assert page.xpath("//script") == []
    assert page.xpath("//@onerror") == []
    assert all(src.startswith("data:image/") for src in page.xpath("//img/@src"))
    said = words(page)
    assert "<script>alert(1)</script>" in said  # shown as text, not dropped
    assert "onerror=alert(1)>" in said


def test_the_report_tells_the_clusters_events_and_dataplane(tmp_path: Path) -> None:
    events = ({"reason": "Unhealthy", "object": "pod/web-1", "count": 3},)
    cap = opened(tmp_path, request(b"GET"), events=events, dataplane={"cni": "cilium", "mesh": ""})
    said = words(parsed(k8scap.report(cap, tmp_path / "report.html")))
    assert "Unhealthy, pod/web-1, 3" in said
    assert "cni cilium" in said


def test_the_plots_run_no_script(tmp_path: Path) -> None:
    names = (NameEntry(address=CLIENT, name=SCRIPT), NameEntry(address=SERVER, name=MATHS))
    cap = opened(tmp_path, [*request(b"GET"), *refused(3)], names=names)
    page = parsed(k8scap.report(cap, tmp_path / "report.html"))
    drawings = [
        base64.b64decode(src.partition(",")[2]).decode()
        for src in page.xpath("//img/@src")
        if src.startswith("data:image/svg")
    ]
    assert drawings
    assert [d for d in drawings if re.search(r"<script|onerror|javascript:", d)] == []


def test_no_payload_is_in_it(tmp_path: Path) -> None:
    cap = opened(tmp_path, request(f"POST /login HTTP/1.1\r\nHost: a\r\n\r\n{SECRET}".encode()))
    path = k8scap.report(cap, tmp_path / "report.html")
    assert SECRET not in path.read_text(encoding="utf-8")


def test_a_finding_is_told_in_full(four_refused: tuple[k8scap.Capture, Path]) -> None:
    cap, path = four_refused
    finding, page = cap.findings[0], parsed(path)
    said = words(page)
    for part in (finding.title, finding.destination, "Critical", "connection-refused", "docker/web"):
        assert part in said
    copyable = [code.text_content() for code in page.xpath("//code[@class='copy']")]
    assert copyable == [finding.next_step, finding.display_filter]
    for cause in finding.consistent_with:
        assert cause in said


def test_quality_comes_before_findings_and_findings_before_the_rest(
    four_refused: tuple[k8scap.Capture, Path],
) -> None:
    text = four_refused[1].read_text(encoding="utf-8")
    order = [
        text.index(mark)
        for mark in (
            'class="quality',
            'class="card',
            'id="ruled-out"',
            'id="not-judged"',
            'id="plots"',
            'id="origin"',
        )
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("counters", "sentence"),
    [
        (Counters(captured=8, received=8, dropped=0, on_disk=8), "Complete: 8 frames"),
        (
            Counters(captured=8, received=20, dropped=12, on_disk=8),
            "Not complete: 8 frames, and 12 more were dropped",
        ),
    ],
)
def test_quality_is_said_first(tmp_path: Path, counters: Counters, sentence: str) -> None:
    cap = opened(tmp_path, refused(4), counters=counters)
    page = parsed(k8scap.report(cap, tmp_path / "report.html"))
    (line,) = page.xpath("//section[contains(@class, 'quality')]")
    assert sentence in words(line)


def test_what_was_not_judged_says_why(four_refused: tuple[k8scap.Capture, Path]) -> None:
    cap, path = four_refused
    said = words(parsed(path).xpath("//section[@id='not-judged']")[0])
    reasons = [f"{f.rule}: {f.reason}" for f in cap.findings if f.status == "not_judged"]
    assert reasons
    assert [reason for reason in reasons if reason not in said] == []


def test_what_was_ruled_out_says_its_number(four_refused: tuple[k8scap.Capture, Path]) -> None:
    section = parsed(four_refused[1]).xpath("//section[@id='ruled-out']")[0]
    assert "no segment of 4 was lost" in words(section)  # the four SYNs


@pytest.mark.parametrize("packets", [[], [(0.0, lookup("api.example.com", port=5001))]])
def test_little_to_say_is_a_report_too(tmp_path: Path, packets: list[tuple[float, Packet]]) -> None:
    page = parsed(k8scap.report(opened(tmp_path, packets), tmp_path / "report.html"))
    assert "Nothing was found that these rules look for." in words(page)
    assert len(page.xpath("//section[@id='not-judged']//li")) >= 4
    assert page.xpath("//section[@id='plots']//img")


def test_where_the_time_went_is_the_first_picture(four_refused: tuple[k8scap.Capture, Path]) -> None:
    captions = parsed(four_refused[1]).xpath("//section[@id='plots']//figcaption/strong/text()")
    assert captions[:2] == ["Where the time went.", "Who calls whom."]
    assert len(captions) >= 7


def test_long_evidence_and_large_captures_stay_small(tmp_path: Path) -> None:
    path = k8scap.report(opened(tmp_path, refused(1000)), tmp_path / "report.html")
    page = parsed(path)
    assert path.stat().st_size < 3 * MEGABYTE
    assert "and 1,950 more" in words(page)
    assert max(len(table.xpath(".//tr")) for table in page.xpath("//table")) <= 51


def test_the_worst_findings_are_cards_and_the_others_lines(tmp_path: Path) -> None:
    scan = [
        (port * 0.001, segment(up=up, flags="S" if up else "RA", port=port, ack=2))
        for port in range(1, 31)
        for up in (True, False)
    ]
    page = parsed(k8scap.report(opened(tmp_path, scan), tmp_path / "report.html"))
    assert len(page.xpath("//article")) == 20
    assert len(page.xpath("//section[@id='findings']/ul/li")) == 10


def test_only_its_owner_may_read_it(four_refused: tuple[k8scap.Capture, Path]) -> None:
    assert stat.S_IMODE(four_refused[1].stat().st_mode) == 0o600


def test_a_place_that_cannot_hold_it_is_named(
    four_refused: tuple[k8scap.Capture, Path], tmp_path: Path
) -> None:
    cap, _ = four_refused
    with pytest.raises(UsageError, match="no folder"):
        k8scap.report(cap, tmp_path / "missing" / "report.html")
    with pytest.raises(UsageError, match="is a folder"):
        k8scap.report(cap, tmp_path)


@pytest.mark.root
def test_a_full_disk_keeps_the_report_that_was_there(
    four_refused: tuple[k8scap.Capture, Path], tmp_path: Path
) -> None:
    cap, _ = four_refused
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        (small / "report.html").write_text("the one before", encoding="utf-8")
        with pytest.raises(DiskFullError):
            k8scap.report(cap, small / "report.html")
        assert [file.name for file in small.iterdir()] == ["report.html"]
        assert (small / "report.html").read_text(encoding="utf-8") == "the one before"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_several_points_are_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("here", "there")]
    caps = []
    for folder in folders:
        folder.mkdir()
        opened(folder, refused(2))
        caps.append((folder / "crafted.pcap").rename(folder / f"{folder.name}.pcap"))
    page = parsed(k8scap.report(k8scap.load(*caps), tmp_path / "report.html"))
    said = words(page.xpath("//section[@id='findings']")[0])
    assert "at here" in said
    assert "at there" in said


def test_findings_of_the_report_are_those_of_diagnose(four_refused: tuple[k8scap.Capture, Path]) -> None:
    cap, path = four_refused
    titles = [h3.text_content().strip() for h3 in parsed(path).xpath("//article//h3")]
    assert titles == [f.title for f in k8scap.diagnose(cap) if f.status == "found"]
