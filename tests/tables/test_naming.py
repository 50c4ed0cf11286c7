"""Every table speaks names, each row by its own time: here an address changes hands in mid-capture."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, UDP
from wire import CLIENT, SERVER, START, Wire, write_pcap

import k8scap
from k8scap import plot
from k8scap.errors import SchemaError
from k8scap.model import NameEntry
from k8scap.names import Names
from k8scap.tables.naming import naming

if TYPE_CHECKING:
    from pathlib import Path

    from k8scap import Capture

TABLES = ("conversations", "round_trips", "retransmissions", "exchanges", "lookups", "throughput")
DETAILS = ["src_workload", "dst_workload", "src_node", "dst_node", "src_zone", "dst_zone"]
CHANGE = START + timedelta(seconds=10)
FIRST, SECOND = "shop/db-0", "shop/cache-5c9f"


def talk(wire: Wire, at: float) -> None:
    """A connection with one request, an answer and a repeat, and a DNS query to the same server."""
    c = wire.connection()
    c.open(at, rtt=2)
    c.send(at + 10, "client", "PA", seq=1, ack=1, size=100)
    c.send(at + 250, "client", "PA", seq=1, ack=1, size=100)
    c.send(at + 270, "server", "PA", seq=1, ack=101, size=100)
    query = DNS(id=int(at) % 60_000, qd=DNSQR(qname="redis.shop"))
    wire.put(at + 300, IP(src=CLIENT, dst=SERVER) / UDP(sport=5000 + int(at) % 1000, dport=53) / query)


def entries() -> tuple[NameEntry, ...]:
    pod = {"address": SERVER, "kind": "pod", "namespace": "shop"}
    return (
        NameEntry(address=CLIENT, name="web-1", namespace="shop", kind="pod", node="w1"),
        NameEntry(name="db-0", end=CHANGE.to_pydatetime(), workload="sts/db", node="w1", **pod),
        NameEntry(name="cache-5c9f", start=CHANGE.to_pydatetime(), workload="deploy/cache", node="w2", **pod),
        NameEntry(address="198.18.9.1", name="w1", kind="node", zone="zone-a"),
        NameEntry(address="198.18.9.2", name="w2", kind="node", zone="zone-b"),
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wire = Wire()
    talk(wire, 0)
    talk(wire, 20_000)
    path = tmp_path_factory.mktemp("naming") / "changed.pcap"
    write_pcap(path, wire.frames)
    return path


@pytest.fixture(scope="module")
def cap(path: Path) -> Capture:
    return k8scap.load(path, names=Names(entries()))


def table_of(cap: Capture, name: str) -> pd.DataFrame:
    if name == "throughput":
        return cap.throughput("1s")
    return cap.named(cap.packets) if name == "packets" else getattr(cap, name)


def expected(address: object, when: pd.Timestamp) -> tuple[str, str, str, str]:
    if address == CLIENT:
        return "shop/web-1", "", "w1", "zone-a"
    return (FIRST, "sts/db", "w1", "zone-a") if when < CHANGE else (SECOND, "deploy/cache", "w2", "zone-b")


@pytest.mark.parametrize("name", [*TABLES, "packets"])
def test_each_row_has_who_its_ends_were_at_its_time(cap: Capture, name: str) -> None:
    table = table_of(cap, name)
    when = next(table[c] for c in ("time", "start", "request_start") if c in table)
    assert {FIRST, SECOND} <= {*table["src_name"], *table["dst_name"]}
    for end in ("src", "dst"):
        columns = [f"{end}_{what}" for what in ("name", "workload", "node", "zone")]
        said = [tuple(row) for row in table[columns].astype("object").fillna("").to_numpy()]
        assert said == [expected(*row) for row in zip(table[end], when, strict=True)]


@pytest.mark.parametrize("name", [*TABLES, "packets"])
def test_names_stand_behind_their_address_and_details_behind_all(cap: Capture, name: str) -> None:
    columns = list(table_of(cap, name).columns)
    assert columns[columns.index("src") + 1] == "src_name"
    assert columns[columns.index("dst") + 1] == "dst_name"
    assert columns[-6:] == DETAILS


@pytest.mark.parametrize("name", TABLES)
def test_without_names_addresses_stand_in_their_place(path: Path, name: str) -> None:
    table = table_of(k8scap.load(path), name)
    assert table["src_name"].tolist() == table["src"].tolist()
    assert table["dst_name"].tolist() == table["dst"].tolist()
    assert not {*DETAILS} & {*table.columns}


def test_the_packets_table_stays_as_declared(cap: Capture) -> None:
    assert list(cap.packets.columns) == list(k8scap.schema.PACKET_COLUMNS)[1:]
    assert cap.named(cap.packets).index.equals(cap.packets.index)


def test_a_table_that_has_names_gets_those_of_the_capture(cap: Capture, path: Path) -> None:
    old = k8scap.load(path, names=Names([NameEntry(address=SERVER, name="old", node="n")])).conversations
    pd.testing.assert_frame_equal(cap.named(old), cap.conversations)
    pd.testing.assert_frame_equal(cap.named(cap.conversations), cap.conversations)


def test_any_table_with_src_and_dst_can_be_named() -> None:
    table = pd.DataFrame({"dst": [SERVER], "src": [CLIENT]}, index=[9])
    named = naming(table, Names(entries()))
    assert named.loc[9, ["dst", "dst_name", "src", "src_name"]].tolist() == [
        SERVER,
        SECOND,
        CLIENT,
        "shop/web-1",
    ]
    assert list(table.columns) == ["dst", "src"]
    with pytest.raises(SchemaError, match="dst"):
        naming(table.drop(columns="dst"), Names())


def test_plots_keep_apart_whom_an_address_belonged_to(cap: Capture) -> None:
    for view, table in (("conversations", cap.conversations), ("throughput", None), ("latency", None)):
        for data in (cap, table) if table is not None else (cap,):
            ax = getattr(plot, view)(data)
            words = [*ax.get_yticklabels(), *(ax.get_legend().get_texts() if ax.get_legend() else ())]
            said = " ".join(text.get_text() for text in words)
            assert FIRST in said, view
            assert SECOND in said, view


def test_findings_name_who_it_was_then(tmp_path: Path) -> None:
    wire = Wire()
    for at in (0, 20_000):
        for n in range(3):
            c = wire.connection(server_port=6379)
            c.send(at + n * 500, "client", "S", seq=0)
            c.send(at + n * 500 + 1, "server", "RA", seq=0, ack=1)
    write_pcap(tmp_path / "refused.pcap", wire.frames)
    cap = k8scap.load(tmp_path / "refused.pcap", names=Names(entries()))
    refused = [f for f in cap.findings if f.rule == "connection-refused"]
    found = {f.destination: f.next_step for f in refused}
    assert [(f.affected, f.frame_count) for f in refused] == [(3, 6), (3, 6)]
    assert found == {
        f"{FIRST} ({SERVER}:6379)": "kubectl describe pod -n shop db-0",
        f"{SECOND} ({SERVER}:6379)": "kubectl describe pod -n shop cache-5c9f",
    }
    assert FIRST in k8scap.report(cap, tmp_path / "r.html").read_text()
    assert SECOND in json.dumps([f.to_dict() for f in cap.findings])
