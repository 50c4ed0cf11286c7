"""The declared schema: sound in itself, written down for people, known to Wireshark."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from k8scap.errors import SchemaError
from k8scap.schema import PACKET_COLUMNS, PACKETS, require

ROOT = Path(__file__).parent.parent
ABSENT_OF = {
    "category": "NaN",
    "float64": "NaN",
    "bool": "never",
    "int64": "never",
    "datetime64[ns, UTC]": "NaT",
}


def test_names_are_unique_and_number_is_the_index():
    assert len(set(PACKET_COLUMNS)) == len(PACKET_COLUMNS)
    assert PACKET_COLUMNS[:3] == ("number", "time", "point")


def test_every_column_says_what_it_means_and_what_stands_where_there_is_nothing():
    wrong = [
        c.name
        for c in PACKETS
        if not c.meaning or (c.absent != ABSENT_OF.get(c.dtype, "<NA>") and c.name != "point")
    ]
    assert wrong == []


def test_integers_that_may_be_absent_are_nullable_and_wide_enough_for_differences():
    widths = {c.name: c.dtype for c in PACKETS if c.name in {"seq", "ack", "seq_raw", "tsval", "window"}}
    assert set(widths.values()) == {"Int64"}
    assert not [c.name for c in PACKETS if c.dtype.startswith("uint")]


def test_wireshark_knows_every_field():
    listed = subprocess.run(["tshark", "-G", "fields"], capture_output=True, check=True, text=True).stdout
    known = {line.split("\t")[2] for line in listed.splitlines() if line.startswith("F\t")}
    assert [field for c in PACKETS for field in c.fields if field not in known] == []


def test_the_documentation_is_up_to_date():
    script = [sys.executable, str(ROOT / "scripts" / "schema_table.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_documentation_has_a_row_for_every_column():
    rows = [r for r in (ROOT / "docs" / "schema.md").read_text().splitlines() if r.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(PACKET_COLUMNS)


def test_a_missing_column_is_named():
    table = pd.DataFrame({"src": []}, index=pd.Index([], name="number"))
    require(table, ["number", "src"], what="this")
    with pytest.raises(SchemaError, match="this needs the columns dst, seq") as refused:
        require(table, ["src", "dst", "seq"], what="this")
    assert refused.value.missing == ("dst", "seq")
