"""The columnar engine against tshark, column by column: our own captures, and a sample of others.

`benchmarks/engine_parity.py` goes through all of them.
"""

from pathlib import Path

import pytest
from engine_comparison import compare, unknown

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
OWN = [*(ROOT / "notebooks" / "captures").glob("*.pcap"), *(ROOT / "tests/data/captures").glob("*.pcap*")]
SAMPLE = [*sorted(OWN), *sorted(p for p in CORPUS.glob("*/*") if p.is_file() and p.suffix != ".md")[::35]]


@pytest.mark.parametrize("path", SAMPLE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_cell_is_what_tshark_says(path):
    found, frames = compare(path)
    assert unknown(path, found) == {}
    assert frames > 0 or path.stat().st_size < 2000
