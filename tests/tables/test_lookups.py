from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, UDP
from wire import START, Wire, write_pcap

import k8scap

if TYPE_CHECKING:
    from pathlib import Path

CLIENT, RESOLVER, OTHER = "198.18.0.1", "198.18.0.53", "198.18.0.54"


class Asking:
    """A client's and a resolver's messages on a wire."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def ask(
        self, at: float, name: str, *, port: int, number: int, kind: str = "A", to: str = RESOLVER
    ) -> None:
        question = DNS(id=number, rd=1, qd=DNSQR(qname=name, qtype=kind))
        self.wire.put(at, IP(src=CLIENT, dst=to) / UDP(sport=port, dport=53) / question)

    def answer(
        self,
        at: float,
        name: str,
        *,
        port: int,
        number: int,
        kind: str = "A",
        rcode: int = 0,
        by: str = RESOLVER,
    ) -> None:
        record = DNSRR(rrname=name, type="A", rdata="198.18.0.9") if rcode == 0 and kind == "A" else None
        message = DNS(id=number, qr=1, rcode=rcode, qd=DNSQR(qname=name, qtype=kind), an=record or [])
        self.wire.put(at, IP(src=by, dst=CLIENT) / UDP(sport=53, dport=port) / message)


@pytest.fixture(scope="module")
def lookups(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Through the capture's own door, as it joins Wireshark's fields to the packets."""
    wire = Wire()
    dns = Asking(wire)
    dns.ask(0, "redis.shop", port=4001, number=1)  # 1
    dns.ask(0.1, "redis.shop", port=4001, number=2, kind="AAAA")  # 2
    dns.answer(3, "redis.shop", port=4001, number=1)  # 3
    dns.answer(4, "redis.shop", port=4001, number=2, kind="AAAA", rcode=3)  # 4
    dns.ask(100, "lost.example", port=4002, number=7)  # 5, lost
    dns.ask(5100, "lost.example", port=4002, number=7)  # 6, the same socket and ID again
    dns.answer(5130, "lost.example", port=4002, number=7)  # 7
    dns.ask(10_000, "down.example", port=4003, number=8)  # 8
    dns.ask(15_000, "down.example", port=4004, number=9, to=OTHER)  # 9
    dns.answer(15_010, "down.example", port=4004, number=9, rcode=2, by=OTHER)  # 10: SERVFAIL
    dns.ask(15_011, "down.example", port=4005, number=10)  # 11
    dns.ask(80_000, "down.example", port=4006, number=11)  # 12: a minute later, anew
    dns.ask(90_000, "redis.shop", port=4007, number=12)  # 13
    dns.answer(90_002, "redis.shop", port=4007, number=12)  # 14
    quoted = IP(src=CLIENT, dst=RESOLVER) / UDP(sport=4006, dport=53) / DNS(id=11, qd=DNSQR(qname="x"))
    wire.put(90_100, IP(src=RESOLVER, dst=CLIENT) / ICMP(type=3, code=3) / quoted)  # 15
    path = tmp_path_factory.mktemp("dns") / "dns.pcap"
    write_pcap(path, wire.frames)
    return k8scap.load(path).lookups


def test_one_row_a_query_and_none_for_what_icmp_quotes(lookups: pd.DataFrame) -> None:
    assert lookups["number"].tolist() == [1, 2, 5, 6, 8, 9, 11, 12, 13]
    assert set(lookups["src"]) == {CLIENT}
    assert lookups["dst"].tolist() == [RESOLVER] * 5 + [OTHER] + [RESOLVER] * 3
    assert lookups["dns_id"].tolist() == [1, 2, 7, 7, 8, 9, 10, 11, 12]


def test_each_answer_goes_to_its_question(lookups: pd.DataFrame) -> None:
    columns = ["query", "type", "answered", "rcode", "response", "response_ms"]
    told = lookups[columns].astype({"rcode": object, "response": object, "response_ms": object})
    rows = told.where(told.notna(), None).to_numpy().tolist()
    assert [[*row[:5], None if row[5] is None else round(row[5], 6)] for row in rows] == [
        ["redis.shop", "A", True, 0, 3, 3.0],
        ["redis.shop", "AAAA", True, 3, 4, 3.9],
        ["lost.example", "A", False, None, None, None],
        ["lost.example", "A", True, 0, 7, 30.0],
        ["down.example", "A", False, None, None, None],
        ["down.example", "A", True, 2, 10, 10.0],
        ["down.example", "A", False, None, None, None],
        ["down.example", "A", False, None, None, None],
        ["redis.shop", "A", True, 0, 14, 2.0],
    ]


def test_attempts_count_on_until_there_is_an_answer(lookups: pd.DataFrame) -> None:
    assert lookups["attempt"].tolist() == [1, 1, 1, 2, 1, 2, 3, 1, 1]


def test_times_are_the_querys(lookups: pd.DataFrame) -> None:
    assert lookups["time"][3] == START + pd.Timedelta("5.1s")


def test_a_capture_without_dns_has_no_lookups(tmp_path: Path) -> None:
    wire = Wire()
    wire.connection().open()
    write_pcap(tmp_path / "tcp.pcap", wire.frames)
    table = k8scap.load(tmp_path / "tcp.pcap").lookups
    assert table.empty
    assert str(table["response"].dtype) == "Int64"
