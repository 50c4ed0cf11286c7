"""The repository's own captures and, where the folder of them is there, a sample of those that nobody here
made: each opens, frame for frame.

`benchmarks/parity.py` goes through all of them, column by column.
"""

import csv
import subprocess
from pathlib import Path

import pytest
from scapy.all import RawPcapReader

from k8scap import load
from k8scap.schema import PACKETS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
OWN = sorted((ROOT / "notebooks" / "captures").glob("*.pcap"))
SAMPLE = [*OWN, *sorted(p for p in CORPUS.glob("*/*") if p.is_file())[::25]]


@pytest.fixture(scope="module")
def counts():
    """Packets in each file, as Wireshark's own reader counts them: one run for all."""
    done = subprocess.run(
        ["capinfos", "-TmMrcQ", *map(str, SAMPLE)], capture_output=True, text=True, check=False
    )
    return {name: int(count) for name, count in csv.reader(done.stdout.splitlines())}


@pytest.mark.parametrize("path", SAMPLE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_it_opens_with_as_many_rows_as_wireshark_reads(path, counts):
    packets = load(path).packets
    refused = str(path) not in counts  # a link type that Wireshark does not know
    assert len(packets) == (len(list(RawPcapReader(str(path)))) if refused else counts[str(path)])
    assert [str(dtype) for dtype in packets.dtypes] == [c.dtype for c in PACKETS[1:]]
    assert packets.index.is_unique
