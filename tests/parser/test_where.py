"""Display filters compiled for the packets table: which are, what they need, and what cannot hurt."""

import time

import pandas as pd
import pytest
from filter_answers import tshark_answers
from filter_samples import ANSWERED, LEFT_TO_TSHARK, REFUSED
from reference import VERDICTS, verdicts

from k8scap.errors import SchemaError
from k8scap.parser.where import compile_filter
from k8scap.schema import PACKET_COLUMNS


@pytest.fixture(scope="module")
def tsharks_word():
    return tshark_answers(VERDICTS, [*ANSWERED, *LEFT_TO_TSHARK, *REFUSED])


def test_the_table_answers_what_tshark_takes(tsharks_word):
    assert [text for text in ANSWERED if compile_filter(text) is None] == []
    assert [text for text in ANSWERED if tsharks_word[text] is None] == []


def test_what_goes_beyond_the_table_is_left_to_tshark(tsharks_word):
    assert [text for text in LEFT_TO_TSHARK if compile_filter(text) is not None] == []
    assert [text for text in LEFT_TO_TSHARK if tsharks_word[text] is None] == []


def test_what_tshark_refuses_is_left_to_its_words(tsharks_word):
    assert [text for text in REFUSED if compile_filter(text) is not None] == []
    assert [text for text in REFUSED if tsharks_word[text] is not None] == []


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "tcp\r\nand ip", "tcp\0", "ünïcode", "\ud800", "tcp\u00a0and ip"]
)
def test_odd_characters_are_no_filter(text):
    assert compile_filter(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "(" * 3000 + "tcp" + ")" * 3000,
        "not " * 2400 + "tcp",
        "!" * 9000 + "tcp",
        "(" * 40 + "tcp" + ")" * 40,
        "tcp or " * 1_000_000 + "tcp",
        "ip.addr in {" + "10.0.0.1," * 100_000 + "10.0.0.1}",
        "tcp.port == " + "9" * 9000,
        "ip.addr == 10.0.0.0/" + "9" * 5000,
        "frame.time_epoch > " + "1." * 4000,
        "a" * 9999 + "!",
    ],
)
def test_what_is_nested_or_goes_on_forever_is_left_alone_at_once(text):
    start = time.monotonic()
    assert compile_filter(text) is None
    assert time.monotonic() - start < 2


def test_a_long_chain_is_a_filter():
    ports = " || ".join(f"tcp.port == {port}" for port in range(1, 500))
    where = compile_filter(ports)
    assert where.mask(verdicts()).all()
    assert compile_filter("tcp.port in {" + ", ".join(map(str, range(1, 1000))) + "}").mask(verdicts()).all()


def test_it_says_which_columns_it_needs():
    assert compile_filter("frame.number > 3 and frame.len < 100").columns == ("number", "length")
    assert "vlan" not in compile_filter("tcp.port == 80").columns
    for text in ANSWERED:
        assert set(compile_filter(text).columns) <= set(PACKET_COLUMNS)


def test_it_looks_at_no_other_column():
    for text in ANSWERED:
        where = compile_filter(text)
        needed = verdicts()[[name for name in where.columns if name != "number"]]
        assert (where.mask(needed) == where.mask(verdicts())).all(), text


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match="payload_length") as refused:
        compile_filter("tcp.len > 0").mask(verdicts().drop(columns="payload_length"))
    assert refused.value.missing == ("payload_length",)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_may_be_empty_or_a_piece(rows):
    piece = verdicts().iloc[5 : 5 + rows]
    for text in ANSWERED:
        where = compile_filter(text)
        assert len(where.mask(piece)) == len(where.unsure(piece)) == rows


def test_pieces_have_the_answers_of_the_whole():
    table = verdicts()
    for text in ANSWERED[::3]:
        where = compile_filter(text)
        pieces = [where.mask(table.iloc[i : i + 7]) for i in range(0, len(table), 7)]
        assert list(pd.Series(where.mask(table))) == [passes for piece in pieces for passes in piece]


def test_numbers_come_from_the_index_or_from_a_column():
    where = compile_filter("frame.number in {3 .. 5}")
    assert list(verdicts().index[where.mask(verdicts())]) == [3, 4, 5]
    assert list(where.mask(verdicts().reset_index())) == list(where.mask(verdicts()))


def test_an_ordinary_capture_needs_no_tshark():
    for text in ANSWERED:
        assert not compile_filter(text).unsure(verdicts()).any()
