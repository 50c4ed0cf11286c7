"""Requests of the repository's own captures and, where they are there, of a sample of others.

They are those that tshark finds when it reads the whole of each file.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

import k8scap

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
OWN = sorted((ROOT / "notebooks" / "captures").glob("*.pcap"))
SAMPLE = [
    *OWN,
    *sorted(CORPUS.glob("suricata/http-*.pcap"))[::40],
    *sorted(CORPUS.glob("zeek/tls__tls1*.pcap"))[:4],
]
BETWEEN = "\x1f"


def told_by_tshark(path: Path) -> tuple[Counter[tuple[str, str]], int]:
    """Methods and URIs of HTTP/1 over TCP, and how many frames have a TLS client's hello."""
    fields = ("http.request.method", "http.request.uri", "tls.handshake.type")
    argv = ["tshark", "-n", "-r", str(path), "-Y", "tcp && (http.request.method || tls.handshake.type == 1)"]
    argv += ["-o", "http.desegment_body:FALSE", "-T", "fields", "-E", f"aggregator={BETWEEN}"]
    argv += [word for field in fields for word in ("-e", field)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, errors="replace").stdout
    asked: Counter[tuple[str, str]] = Counter()
    hellos = 0
    for line in said.splitlines():
        methods, targets, types = (cell.split(BETWEEN) if cell else [] for cell in line.split("\t"))
        asked.update(zip(methods, targets, strict=True))
        hellos += "1" in types
    return asked, hellos


@pytest.mark.parametrize("path", SAMPLE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_requests_are_those_that_tshark_finds_in_the_whole_file(path: Path) -> None:
    asked, hellos = told_by_tshark(path)
    table = k8scap.load(path).requests_of(masked=False)
    http = table[table["protocol"] == "HTTP/1"]
    assert Counter(zip(http["method"], http["target"], strict=True)) == Counter(
        {(method, target[:512]): count for (method, target), count in asked.items()}
    )
    assert table["protocol"].eq("TLS").sum() == hellos
