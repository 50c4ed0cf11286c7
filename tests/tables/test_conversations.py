from __future__ import annotations

import re

import pandas as pd
import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP
from scapy.packet import Raw
from wire import CLIENT, SERVER, Connection, Scene, Wire, shoot

from k8scap.tables.conversations import conversations

STATES = {
    "S0": ("S", [("client", "S", 0, 0, 0), ("client", "S", 0, 0, 0)]),
    "S1": ("ShA", [("client", "S", 0, 0, 0), ("server", "SA", 0, 1, 0), ("client", "A", 1, 1, 0)]),
    "SF": (
        "ShADadFf",
        [
            ("client", "S", 0, 0, 0),
            ("server", "SA", 0, 1, 0),
            ("client", "A", 1, 1, 0),
            ("client", "PA", 1, 1, 50),
            ("server", "A", 1, 51, 0),
            ("server", "PA", 1, 51, 70),
            ("client", "FA", 51, 71, 0),
            ("server", "FA", 71, 52, 0),
            ("client", "A", 52, 72, 0),
        ],
    ),
    "REJ": ("Sr", [("client", "S", 0, 0, 0), ("server", "RA", 0, 1, 0)]),
    "S2": (
        "ShAF",
        [
            ("client", "S", 0, 0, 0),
            ("server", "SA", 0, 1, 0),
            ("client", "A", 1, 1, 0),
            ("client", "FA", 1, 1, 0),
        ],
    ),
    "S3": (
        "ShAf",
        [
            ("client", "S", 0, 0, 0),
            ("server", "SA", 0, 1, 0),
            ("client", "A", 1, 1, 0),
            ("server", "FA", 1, 1, 0),
        ],
    ),
    "RSTO": (
        "ShADR",
        [
            ("client", "S", 0, 0, 0),
            ("server", "SA", 0, 1, 0),
            ("client", "A", 1, 1, 0),
            ("client", "PA", 1, 1, 10),
            ("client", "RA", 11, 1, 0),
        ],
    ),
    "RSTR": (
        "ShADr",
        [
            ("client", "S", 0, 0, 0),
            ("server", "SA", 0, 1, 0),
            ("client", "A", 1, 1, 0),
            ("client", "PA", 1, 1, 10),
            ("server", "R", 1, 0, 0),
        ],
    ),
    "RSTOS0": ("SR", [("client", "S", 0, 0, 0), ("client", "R", 1, 0, 0)]),
    "RSTRH": ("hr", [("server", "SA", 0, 1, 0), ("server", "R", 1, 0, 0)]),
    "SH": ("SF", [("client", "S", 0, 0, 0), ("client", "FA", 1, 1, 0)]),
    "SHR": ("hf", [("server", "SA", 0, 1, 0), ("server", "FA", 1, 1, 0)]),
    "OTH": ("Dd", [("client", "PA", 1, 1, 10), ("server", "PA", 1, 11, 10)]),
}
"""Zeek's own words for each state (its documentation of conn_state), played: history, and segments."""


def played(state: str) -> object:
    def scene(wire: Wire) -> None:
        c = wire.connection()
        for n, (sender, flags, seq, ack, size) in enumerate(STATES[state][1]):
            c.send(10 * n, sender, flags, seq=seq, ack=ack, size=size)

    return scene


def letters(wire: Wire) -> None:
    """A repeat (T), ten of them (a second T), zero windows (w), a gap in the server's bytes (g)."""
    c = wire.connection()
    c.open()
    c.send(30, "client", "PA", seq=1, ack=1, size=10)
    for n in range(10):
        c.send(250 + 200 * n, "client", "PA", seq=1, ack=1, size=10)
    c.send(2300, "server", "A", seq=1, ack=11, window=0)
    c.send(2400, "server", "A", seq=1, ack=11)
    c.send(2500, "server", "PA", seq=1001, ack=11, size=500)
    c.send(2501, "client", "A", seq=11, ack=1501)


def counted(wire: Wire) -> None:
    """An HTTP exchange, DNS over UDP, a ping, ARP, and a midstream connection of the server's first."""
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=200)
    c.send(50, "server", "A", seq=1, ack=201, size=1400)
    c.send(50.5, "server", "PA", seq=1401, ack=201, size=600)
    c.send(70, "client", "A", seq=201, ack=2001)
    c.send(1000, "client", "RA", seq=201, ack=2001)
    wire.put(100, IP(src=CLIENT, dst="198.18.0.53") / UDP(sport=5353, dport=5300) / Raw(b"q" * 40))
    wire.put(101, IP(src="198.18.0.53", dst=CLIENT) / UDP(sport=5300, dport=5353) / Raw(b"a" * 90))
    wire.put(102, IP(src=CLIENT, dst="198.18.0.53") / UDP(sport=5354, dport=5300) / Raw(b"q" * 40))
    wire.put(200, IP(src=SERVER, dst=CLIENT) / ICMP(type=8, id=1, seq=1) / Raw(b"p" * 32))
    wire.put(201, IP(src=CLIENT, dst=SERVER) / ICMP(type=0, id=1, seq=1) / Raw(b"p" * 32))
    wire.put(300, ARP(psrc=CLIENT, pdst=SERVER))
    midstream = wire.connection()
    midstream.send(400, "server", "PA", seq=1, ack=1, size=10)
    midstream.send(401, "client", "A", seq=1, ack=11)


SCENES = {state: played(state) for state in STATES} | {"letters": letters, "counted": counted}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


@pytest.mark.parametrize("state", STATES)
def test_the_states_are_zeeks(scenes: dict[str, Scene], state: str) -> None:
    table = conversations(scenes[state].packets)
    assert table[["state", "history"]].to_numpy().tolist() == [[state, STATES[state][0]]]
    assert table[["src", "dst"]].to_numpy().tolist() == [[CLIENT, SERVER]]


def test_history_counts_repeats_zero_windows_and_gaps(scenes: dict[str, Scene]) -> None:
    row = conversations(scenes["letters"].packets).iloc[0]
    assert row["history"] == "ShADTTawdg"
    assert (row["retransmissions"], row["zero_windows"]) == (10, 1)


def test_every_conversation_has_its_row(scenes: dict[str, Scene]) -> None:
    scene = scenes["counted"]
    table = conversations(scene.packets)
    told = table[["protocol", "src", "src_port", "dst", "dst_port", "packets", "state"]].astype(object)
    ports = scene.packets["src_port"].astype(object)
    assert told.where(told.notna(), None).to_numpy().tolist() == [
        ["TCP", CLIENT, ports[1], SERVER, 80, 8, "RSTO"],
        ["UDP", CLIENT, 5353, "198.18.0.53", 5300, 2, "SF"],
        ["UDP", CLIENT, 5354, "198.18.0.53", 5300, 1, "S0"],
        ["ICMP", SERVER, None, CLIENT, None, 2, "OTH"],
        ["TCP", CLIENT, ports[16], SERVER, 80, 2, "OTH"],
    ]
    assert table["stream"].isna().tolist() == [False, False, False, True, False]


def test_both_directions_are_measured(scenes: dict[str, Scene]) -> None:
    scene = scenes["counted"]
    row = conversations(scene.packets).iloc[0]
    assert scene.ms(pd.Series([row["start"], row["end"]])) == [0.0, 1000.0]
    assert (row["packets_sent"], row["packets_received"]) == (5, 3)
    assert (row["bytes_sent"], row["bytes_received"]) == (5 * 54 + 200, 3 * 54 + 2000)
    assert (row["payload_sent"], row["payload_received"]) == (200, 2000)
    assert (row["first_frame"], row["last_frame"], row["resets"]) == (1, 8, 1)
    assert row["sent_mbps"] == pytest.approx(470 * 8 / 1e6)
    assert row["received_mbps"] == pytest.approx(2162 * 8 / 1e6)
    assert row["handshake_rtt_ms"] == pytest.approx(20)
    assert row["connect_ms"] == pytest.approx(20)


def test_a_conversation_of_one_frame_has_no_rate(scenes: dict[str, Scene]) -> None:
    table = conversations(scenes["counted"].packets)
    alone = table[table["packets"] == 1]
    assert alone[["sent_mbps", "received_mbps"]].isna().all(axis=None)
    assert alone["duration_s"].tolist() == [0.0]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_packets_and_bytes_are_those_of_tsharks_statistics(scenes: dict[str, Scene], protocol: str) -> None:
    """`-z conv`: ADDRESS:PORT <-> ADDRESS:PORT, frames and bytes ←, →, and both."""
    text = scenes["counted"].tshark("-q", "-z", f"conv,{protocol}")
    theirs = set()
    for line in text.splitlines():
        if "<->" in line:
            left, right, rest = re.match(r"(\S+)\s+<->\s+(\S+)\s+(.*)", line).groups()
            numbers = [int(n) for n in re.sub(r"\s*(bytes|kB|MB)", "", rest).split()[:6]]
            theirs.add((left, right, *numbers))
    packets = pd.concat(
        scene.packets.set_index(scene.packets.index + 1000 * n) for n, scene in enumerate(scenes.values())
    )
    packets.index.name = "number"
    ours = set()
    for row in conversations(packets).query(f"protocol == '{protocol.upper()}'").itertuples():
        ends = (f"{row.src}:{row.src_port}", f"{row.dst}:{row.dst_port}")
        backward, forward = (row.packets_received, row.bytes_received), (row.packets_sent, row.bytes_sent)
        both = (row.packets, row.bytes)
        ours.add((*ends, *backward, *forward, *both))
        ours.add((*ends[::-1], *forward, *backward, *both))
    assert theirs
    assert theirs <= ours
    assert len(ours) == 2 * len(theirs)


def test_a_reused_port_is_another_conversation(tmp_path_factory: pytest.TempPathFactory) -> None:
    def scene(wire: Wire) -> None:
        first = wire.connection()
        for c, at in ((first, 0), (Connection(wire, first.client_port, client_isn=77_000_000), 60_000)):
            c.open(at)
            c.send(at + 30, "client", "FA", seq=1, ack=1)
            c.send(at + 50, "server", "FA", seq=1, ack=2)
            c.send(at + 51, "client", "A", seq=2, ack=2)

    made = shoot(tmp_path_factory.mktemp("reuse") / "reuse.pcap", {"reuse": scene})
    table = conversations(made["reuse"].packets)
    assert table[["state", "history", "packets", "connect_ms"]].to_numpy().tolist() == [
        ["SF", "ShAFf", 6, 20.0],
        ["SF", "ShAFf", 6, 20.0],
    ]
