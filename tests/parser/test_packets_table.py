"""The packets table against captures that were built with known values, and against tshark's own answers."""

import csv
import json
from functools import cache
from pathlib import Path

import detail_tree
import pandas as pd
import pytest

import k8scap
from k8scap.model import Manifest
from k8scap.recording import write_manifest
from k8scap.schema import PACKET_COLUMNS, PACKETS

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
BUILT = ("tunnels", "quoted", "headers", "cooked", "pcapng_with_interfaces", "nanoseconds")
ADDRESSES = ("src", "dst", "outer_src", "outer_dst")


def capture_file(name):
    return next(p for p in CAPTURES.glob(f"{name}.pcap*"))


ENGINES = ("columnar", "pyshark")


@pytest.fixture(autouse=True, params=ENGINES)
def engine(request, monkeypatch):
    """Both engines fill the same table: every test here is asked of both."""
    monkeypatch.setattr(f"{__name__}.current", request.param)


current = ENGINES[0]


def load(*files, **options):
    return k8scap.load(*files, engine=current, **options)


def packets_of(name):
    return packets_by(name, current)


@cache
def packets_by(name, engine):
    return k8scap.load(capture_file(name), engine=engine).packets


def plain(value):
    """A cell as JSON has it."""
    if isinstance(value, pd.Timestamp):
        return value.value
    return None if pd.isna(value) else value


def differences(packets, expected):
    """Cells that are not as the packet was built: (frame, column, ours, expected)."""
    assert len(packets) == len(expected)
    cells = [
        (number, column, plain(packets.loc[number, column]), value)
        for number, row in zip(packets.index, expected, strict=True)
        for column, value in row.items()
    ]
    return [cell for cell in cells if cell[2] != cell[3]]


@pytest.mark.parametrize("name", BUILT)
def test_columns_hold_what_the_packets_were_built_with(name):
    expected = json.loads((CAPTURES / f"{name}.expected.json").read_text())
    assert differences(packets_of(name), expected) == []


def test_a_cooked_index_becomes_a_name_through_the_manifest(tmp_path):
    path = tmp_path / "cooked.pcap"
    path.write_bytes(capture_file("cooked_with_index").read_bytes())
    manifest = Manifest(name="cooked", point="web", interface="any", interfaces={"2": "eth0"})
    write_manifest(tmp_path / "cooked.json", manifest)
    packets = load(path).packets
    expected = json.loads((CAPTURES / "cooked_with_index.expected.json").read_text())
    assert differences(packets, expected) == []
    assert list(packets["point"].unique()) == ["web"]


def test_a_capture_on_one_interface_bears_its_name(tmp_path):
    path = tmp_path / "one.pcap"
    path.write_bytes(capture_file("headers").read_bytes())
    write_manifest(tmp_path / "one.json", Manifest(name="one", point="one", interface="eth0"))
    assert set(load(path).packets["interface"]) == {"eth0"}


GOLDEN = list(csv.DictReader((CAPTURES / "verdicts.tshark.csv").open()))


@pytest.mark.parametrize("column", GOLDEN[0])
def test_every_column_is_what_tshark_answers_when_asked_for_it_alone(column):
    packets = packets_of("verdicts").reset_index()
    assert [plain(v) for v in packets[column]] == [answer(column, row[column]) for row in GOLDEN]


def answer(column, text):
    """tshark's text as the schema's type."""
    dtype = next(c.dtype for c in PACKETS if c.name == column)
    if dtype == "bool":
        return text != ""
    if text == "":
        return None
    if dtype == "boolean":
        return text == "1"
    if dtype == "float64":
        return float(text)
    if dtype.startswith("datetime64"):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 10**9 + int(fraction)
    return text if dtype == "category" else int(text, 0)


def test_the_golden_capture_shows_every_verdict():
    verdicts = [c.name for c in PACKETS if c.dtype == "bool"]
    never = [v for v in verdicts if not any(row[v] for row in GOLDEN)]
    assert (len(verdicts), never) == (15, [])


@pytest.mark.parametrize("name", ["verdicts", *BUILT, "cooked_with_index"])
def test_the_table_agrees_with_the_shape_of_tsharks_detail_tree(name):
    frames, lines = detail_tree.compare(capture_file(name))
    assert frames > 0
    assert lines == []


def test_every_column_is_held_to_something_outside():
    built = {
        column
        for name in (*BUILT, "cooked_with_index")
        for row in json.loads((CAPTURES / f"{name}.expected.json").read_text())
        for column in row
    }
    assert set(PACKET_COLUMNS) - built - set(GOLDEN[0]) - {"point"} == set()


@pytest.mark.parametrize("name", [*BUILT, "verdicts"])
def test_dtypes_are_the_schemas(name):
    packets = packets_of(name)
    wrong = [c.name for c in PACKETS[1:] if str(packets[c.name].dtype) != c.dtype]
    assert (wrong, str(packets.index.dtype), packets.index.name) == ([], "int64", "number")
    assert list(packets.columns) == [c.name for c in PACKETS[1:]]


def test_addresses_share_one_dtype_so_that_they_can_be_compared():
    packets = packets_of("tunnels")
    assert len({packets[column].dtype for column in ADDRESSES}) == 1
    assert not (packets["src"] == packets["outer_src"]).any()


def test_asking_for_a_few_columns_gives_those():
    packets = load(capture_file("headers"), columns=["dst_port", "src", "time"]).packets
    assert list(packets.columns) == ["time", "src", "dst_port"]
    whole = packets_of("headers")
    pd.testing.assert_frame_equal(packets.astype({"src": str}), whole[list(packets)].astype({"src": str}))
