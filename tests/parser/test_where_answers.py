"""The packets table's answers to display filters beside tshark's, frame by frame.

Frames that the table is unsure of are settled by tshark, alone where that is said to be enough. A wrong
answer is one too many: whatever the table does not know, it has to call unsure.
`benchmarks/where_parity.py` goes on, with more captures and more filters.
"""

from pathlib import Path

import odd_frames
import pytest
from filter_answers import contradictions, judge
from filter_samples import ANSWERED, Filters

from k8scap import load
from k8scap.parser.where.fields import FIELDS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
MADE = sorted((ROOT / "tests" / "data" / "captures").glob("*.pcap*"))
OWN = sorted((ROOT / "notebooks" / "captures").glob("*.pcap"))
SAMPLE = sorted(p for p in CORPUS.glob("*/*") if p.is_file() and p.stat().st_size < 50_000)[::400]
FILES = [*MADE, *OWN, *SAMPLE]
RANDOM = 60


def filters(table, seed):
    """The fixed ones, and random ones about the table's values."""
    about = Filters(table, FIELDS, seed)
    return list(dict.fromkeys([*ANSWERED, *(about.make() for _ in range(RANDOM))]))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_it_answers_as_tshark_does(path):
    table = load(path, engine="pyshark").packets
    assert contradictions(path, table, filters(table, path.name)) == {}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return odd_frames.write(tmp_path_factory.mktemp("odd") / "odd.pcap")


@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
def test_frames_with_hidden_headers_never_give_a_wrong_answer(odd, engine):
    table = load(odd, engine=engine).packets
    assert contradictions(odd, table, filters(table, engine)) == {}


@pytest.mark.parametrize(
    "text", ["tcp.port == 443", "ip.addr == 10.1.0.1", "tcp.analysis.flags", "eth.src == 02:00:00:00:00:09"]
)
def test_ordinary_frames_are_sure_beside_odd_ones(odd, text):
    table = load(odd).packets
    whole = table["tunnel"].isna() & (table["captured_length"] > 60) & (table["length"] < 94)
    segments = (table["protocol"] == "TCP") & ~table["src_port"].isin([6633])
    discovery = table["icmp_type"].isin([8, 128, 133, 135, 136])
    ordinary = set(table.index[whole & (segments | discovery)])
    assert len(ordinary) >= 6
    assert not judge(table, text)[1] & ordinary


def test_what_depends_on_other_frames_is_not_asked_of_a_few(odd):
    table = load(odd).packets
    quotes = table[~table["src_port"].isin([6633])]
    assert judge(quotes, "ip.addr == 10.0.0.9")[1]
    assert judge(quotes, "ip.addr == 10.0.0.9")[2]
    assert not judge(table, "ip.addr == 10.0.0.9")[2]
    for text in ("tcp.stream == 0", "frame.number > 3 and ip.addr == 10.0.0.9", "tcp.seq == 1"):
        assert judge(table, text)[1]
        assert not judge(table, text)[2]
