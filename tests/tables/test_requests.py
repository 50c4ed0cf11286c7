"""Requests in the application's words, of conversations made by hand: what was said is the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from talk import Talk
from wire import Wire, write_pcap

import k8scap
from k8scap.tables.requests import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd


@pytest.fixture
def requests_in(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """The requests table of what was put on a wire."""

    def read(wire: Wire, *, masked: bool = True, **options: Any) -> pd.DataFrame:
        write_pcap(tmp_path / "made.pcap", wire.frames)
        return k8scap.load(tmp_path / "made.pcap", **options).requests_of(masked=masked)

    return read


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(table[list(columns)].itertuples(index=False, name=None))


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: shop.test", *headers, "", ""]).encode()


def ok(body: bytes = b"hello") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_the_columns_are_those_declared_full_and_empty(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    empty = requests_in(wire)
    talk.ask(10, get("/"))
    full = requests_in(wire)
    declared = {column.name: column.dtype for column in COLUMNS}
    for table, size in ((empty, 0), (full, 1)):
        assert len(table) == size
        assert {name: str(table[name].dtype) for name in declared} == declared


def test_http_requests_have_their_words_and_the_time_to_the_answer(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    asked = [talk.ask(10, get("/a")), 0]
    answered = [talk.answer(35, ok()), 0]
    asked[1] = talk.ask(100, get("/missing"))
    answered[1] = talk.answer(107.5, b"HTTP/1.1 404 Not here\r\nContent-Length: 0\r\n\r\n")
    lonely = talk.ask(200, get("/silence"))
    table = requests_in(wire)
    assert rows(table, "protocol", "method", "target", "host", "status", "error", "number") == [
        ("HTTP/1", "GET", "/a", "shop.test", "200", "", asked[0]),
        ("HTTP/1", "GET", "/missing", "shop.test", "404", "Not Found", asked[1]),
        ("HTTP/1", "GET", "/silence", "shop.test", "", "", lonely),
    ]
    assert table["response"].tolist()[:2] == answered
    assert table["latency_ms"].tolist()[:2] == pytest.approx([25, 7.5])
    assert table["response"].isna().tolist() == table["latency_ms"].isna().tolist() == [False, False, True]
    assert set(table["src"]) == {"198.18.0.1"}
    assert set(table["dst_port"]) == {80}


def test_bodies_of_any_size_hide_nothing_and_are_not_handed_to_tshark(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    """A body that looks like messages, large ones, and one whose end was never captured."""
    wire = Wire()
    talk = Talk(wire, 40_001, 7777)
    talk.ask(10, get("/big"))
    talk.answer(20, ok(b"GET /not-a-request HTTP/1.1\r\n\r\n" * 30_000))
    upload = talk.ask(
        2000, b"POST /upload HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 99000\r\n\r\n" + b"u" * 99_000
    )
    talk.answer(2050, b"HTTP/1.1 201 Created\r\nContent-Length: 50000\r\n\r\n" + b"c" * 9_000)
    talk.lose("server", 41_000)
    talk.ask(3000, get("/after"))
    talk.answer(3001, ok())
    table = requests_in(wire)
    assert rows(table, "method", "target", "status") == [
        ("GET", "/big", "200"),
        ("POST", "/upload", "201"),
        ("GET", "/after", "200"),
    ]
    end_of_upload = wire.frames[upload - 1][0] / 1e6
    assert table["latency_ms"].tolist() == pytest.approx([10, 2050 - end_of_upload, 1])


def test_pipelined_requests_get_their_own_answers(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    talk.ask(10, get("/1") + get("/2") + get("/3"))
    talk.answer(
        20, ok(b"x" * 5000) + b"HTTP/1.1 500 Oops\r\nContent-Length: 3000\r\n\r\n" + b"y" * 3000 + ok()
    )
    table = requests_in(wire)
    assert rows(table, "target", "status", "error") == [
        ("/1", "200", ""),
        ("/2", "500", "Internal Server Error"),
        ("/3", "200", ""),
    ]


def test_a_head_in_many_segments_is_read_and_an_interim_answer_is_none(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    asked = talk.ask(10, get("/long", "Expect: 100-continue", "X-Pad: " + "p" * 20_000))
    talk.answer(30, b"HTTP/1.1 100 Continue\r\n\r\n")
    answered = talk.answer(80, ok())
    table = requests_in(wire)
    assert rows(table, "target", "status", "number", "response") == [("/long", "200", asked, answered)]


def test_a_segment_captured_twice_is_one_request(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    talk.ask(10, get("/once"))
    wire.frames.append((wire.frames[-1][0] + 2_000, wire.frames[-1][1]))
    talk.answer(20, ok())
    wire.frames.append((wire.frames[-1][0] + 2_000, wire.frames[-1][1]))
    assert rows(requests_in(wire), "target", "status") == [("/once", "200")]


def test_query_strings_tokens_and_users_are_masked_unless_asked_for(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    segment = "4f9a8c7e6b5d4c3b2a1908f7e6d5c4b3a29180"
    targets = [
        f"/reset/{segment}/now",
        "/a?user=bob&password=hunter2",
        "/plain/index.html",
        "http://bob:pw@h.test/x",
    ]
    talk = Talk(wire, 40_001)
    for i, target in enumerate(targets):
        talk.ask(10 + 20 * i, get(target, "Authorization: Bearer hunter2", "Cookie: session=hunter2"))
        talk.answer(20 + 20 * i, ok())
    masked = requests_in(wire)
    assert masked["target"].tolist() == ["/reset/…/now", "/a?…", "/plain/index.html", "http://h.test/x"]
    assert "hunter2" not in masked.to_csv()
    assert requests_in(wire, masked=False)["target"].tolist() == targets


def test_what_is_not_printable_is_escaped(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    talk.ask(10, b"GET /\x1b[31m\x07\x1f\xff HTTP/1.1\r\nHost: h\x1b]0;x\r\n\r\n")
    talk.answer(20, ok())
    table = requests_in(wire)
    assert len(table) == 1
    assert all(
        text.isprintable() for column in ("method", "target", "host", "error") for text in table[column]
    )


def test_what_speaks_no_known_protocol_costs_no_tshark(
    requests_in: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 7777)
    talk.ask(10, b"\x01\x02\x03secret protocol")
    talk.answer(20, b"\x04" * 9000)
    monkeypatch.setenv("PATH", "")
    assert requests_in(wire).empty
