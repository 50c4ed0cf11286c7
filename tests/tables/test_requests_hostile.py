"""Captures that nobody meant to be read: cut off, padded, by the thousand, unfinished, binary."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP
from talk import Talk
from wire import Wire, write_pcap

import k8scap
from k8scap.parser.requests import asking, choosing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd


@pytest.fixture
def requests_in(tmp_path: Path) -> Callable[[Wire], pd.DataFrame]:
    def read(wire: Wire) -> pd.DataFrame:
        write_pcap(tmp_path / "made.pcap", wire.frames)
        return k8scap.load(tmp_path / "made.pcap").requests

    return read


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_many_conversations_are_read_by_as_many_tsharks_as_there_are_processors(
    requests_in: Callable[[Wire], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    monkeypatch.setattr(asking, "TASK_FRAMES", 100)
    read_fields = asking.read_fields
    monkeypatch.setattr(asking, "read_fields", lambda *a, **k: (runs.append(1), read_fields(*a, **k))[1])
    wire = Wire()
    for port in range(10_000, 10_400):
        talk = Talk(wire, port, 8000 + port % 500)
        talk.ask(port, get(f"/{port}"))
        talk.answer(port + 1, OK)
    table = requests_in(wire)
    assert table["target"].tolist() == [f"/{port}" for port in range(10_000, 10_400)]
    assert set(table["status"]) == {"200"}
    assert len(runs) == min(os.cpu_count() or 1, 8)


def test_more_frames_than_are_read_are_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_FRAMES", 10)
    wire = Wire()
    talk = Talk(wire, 40_001)
    for turn in range(20):
        talk.ask(10 + 10 * turn, get(f"/{turn}"))
        talk.answer(15 + 10 * turn, OK)
    write_pcap(tmp_path / "made.pcap", wire.frames)
    cap = k8scap.load(tmp_path / "made.pcap")
    assert len(cap.requests) == 5
    assert any("30 later ones were left out" in note for note in cap.quality.notes)


@pytest.mark.parametrize("trailer", [b"", b"\xde\xad\xbe\xef"], ids=["bare", "with its checksum"])
def test_padding_and_checksums_behind_a_payload_do_not_hide_it(
    requests_in: Callable[[Wire], pd.DataFrame], trailer: bytes
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 6379)
    talk.ask(10, b"*1\r\n$4\r\nPING\r\n")
    talk.answer(12, b":1\r\n")
    web = Talk(wire, 40_002)
    web.ask(20, get("/padded"))
    web.answer(21, OK)
    wire.frames = [(at, frame.ljust(60, b"\0") + trailer) for at, frame in wire.frames]
    assert requests_in(wire)["target"].tolist() == ["", "/padded"]
    assert requests_in(wire)["status"].tolist() == ["OK", "200"]


def test_a_capture_cut_short_by_its_snapshot_length_still_tells(tmp_path: Path) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001)
    talk.ask(10, get("/cut"))
    talk.answer(20, b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000)
    path = tmp_path / "cut.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 200, 1))
        for at, frame in wire.frames:
            seconds, rest = divmod(at, 10**9)
            file.write(struct.pack("<IIII", seconds, rest, min(len(frame), 200), len(frame)) + frame[:200])
    table = k8scap.load(path).requests
    assert table["target"].tolist() == ["/cut"]


@pytest.mark.parametrize(
    "said",
    [
        b"GET ",
        b"GET / HTTP/1.1\r\nHost: " + b"h" * 1_200_000,
        b"POST /\x00\xff\xfe\n HTTP/1.1\r\n\r\n" + bytes(3000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x01\x04\x00\x00\x00\x01" + b"\xff" * 5000,
        b"\x16\x03\x01\xff\xff\x01\xff\xff\xff" + bytes(9000),
        b"\x00\x00\xff\xff\x00\x03\x00\x00" + b"user\x00" * 500,
        b"*9999999\r\n$999999999\r\n" + b"x" * 4000,
        b"\xff\xff\xff\x00" + bytes(8) + b"\xdd\x07\x00\x00" + b"\xff" * 3000,
        b"\x00\x00\xff\xff\x00\x12\x00\x03" + b"\xff" * 4000,
        b"J\x00\x00\x00\x0a8.0.1\x00" + b"\xff" * 2000,
    ],
    ids=["method", "endless head", "binary", "HTTP/2", "TLS", "pgsql", "resp", "mongo", "kafka", "mysql"],
)
def test_what_only_begins_like_a_protocol_makes_no_trouble(
    requests_in: Callable[[Wire], pd.DataFrame], said: bytes
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 7777)
    talk.ask(10, said)
    talk.answer(20, said[::-1][:5000])
    talk.answer(30, said[:5000])
    table = requests_in(wire)
    assert len(table) <= 2
    texts = table[["method", "target", "host", "status", "error"]].to_numpy().ravel()
    assert all(text.isprintable() and len(text) <= 512 for text in texts)


def test_a_repeated_query_is_one_request_and_a_search_list_is_waste(
    requests_in: Callable[[Wire], pd.DataFrame],
) -> None:
    wire = Wire()

    def say(at: float, name: str, *, number: int, answer: int | None = None) -> None:
        ends, ports = ("198.18.0.1", "198.18.0.53"), (4000 + number, 53)
        message = DNS(id=number, rd=1, qd=DNSQR(qname=name))
        if answer is not None:
            ends, ports = ends[::-1], ports[::-1]
            found = [] if answer else DNSRR(rrname=name, rdata="198.18.0.9")
            message = DNS(id=number, qr=1, rcode=answer, qd=DNSQR(qname=name), an=found)
        wire.put(at, IP(src=ends[0], dst=ends[1]) / UDP(sport=ports[0], dport=ports[1]) / message)

    suffixes = (".shop.svc.cluster.local", ".svc.cluster.local", ".cluster.local")
    for number, suffix in enumerate(suffixes, start=1):
        say(10 * number, f"api.example.com{suffix}", number=number)
        say(10 * number + 2, f"api.example.com{suffix}", number=number, answer=3)
    say(40, "api.example.com", number=4)
    say(5040, "api.example.com", number=5)
    say(5045, "api.example.com", number=5, answer=0)
    say(6000, "down.example.com", number=6)
    say(6001, "down.example.com", number=6, answer=2)
    table = requests_in(wire)
    rows = table[["target", "status", "error", "retries", "wasted"]].itertuples(index=False, name=None)
    assert list(rows) == [
        *((f"api.example.com{suffix}", "NXDOMAIN", "NXDOMAIN", 0, 0) for suffix in suffixes),
        ("api.example.com", "NOERROR", "", 1, 3),
        ("down.example.com", "SERVFAIL", "SERVFAIL", 0, 0),
    ]
    assert table["latency_ms"].tolist() == pytest.approx([2, 2, 2, 5005, 1])
