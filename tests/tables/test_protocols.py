from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from wire import CLIENT, SERVER, Wire, write_pcap

import k8scap
from k8scap.tables.protocols import protocols

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wire = Wire()
    there, back = IP(src=CLIENT, dst=SERVER), IP(src=SERVER, dst=CLIENT)
    wire.put(0, ARP(psrc=CLIENT, pdst=SERVER))
    wire.put(1, there / UDP(sport=4000, dport=53) / DNS(id=1, qd=DNSQR(qname="redis.shop")))
    wire.put(2, back / ICMP(type=3, code=3) / there / UDP(sport=4000, dport=53))
    wire.put(3, there / TCP(sport=4001, dport=80, flags="S", seq=1))
    request = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
    wire.put(4, there / TCP(sport=4001, dport=80, flags="PA", seq=2, ack=1) / Raw(request))
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n[1, 2]\r\n"
    wire.put(5, back / TCP(sport=80, dport=4001, flags="PA", seq=1, ack=2 + len(request)) / Raw(answer))
    wire.put(6, IPv6(src="2001:2::1", dst="2001:2::2") / UDP(sport=4000, dport=9999) / Raw(b"12345"))
    inner = IP(src="198.19.0.1", dst="198.19.0.2") / TCP(sport=4002, dport=443, flags="S")
    wire.put(7, there / UDP(sport=5000, dport=4789) / VXLAN(vni=42) / (_ether() / inner))
    path = tmp_path_factory.mktemp("phs") / "mixed.pcap"
    write_pcap(path, wire.frames)
    return path


def _ether() -> object:
    from scapy.layers.l2 import Ether

    return Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")


def test_the_hierarchy_is_tsharks(capture: Path) -> None:
    argv = ["tshark", "-n", "-q", "-r", str(capture), "-z", "io,phs"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    theirs = {}
    path: list[str] = []
    for line in text.splitlines():
        if "frames:" not in line:
            continue
        name = line.split("frames:")[0].rstrip()
        depth = (len(name) - len(name.lstrip())) // 2
        path[depth:] = [name.strip()]
        numbers = line.split("frames:")[1].replace("bytes:", "").split()
        theirs[":".join(path)] = (int(numbers[0]), int(numbers[1]))
    table = k8scap.load(capture).protocols
    ours = {row.protocol: (row.packets, row.bytes) for row in table.itertuples()}
    assert "eth:ip:udp:vxlan:eth:ip:tcp" in theirs
    assert ours == theirs


def test_parents_stand_before_what_they_carry(capture: Path) -> None:
    table = k8scap.load(capture).protocols
    paths = table["protocol"].tolist()
    assert paths[:2] == ["eth", "eth:ip"]
    assert all(path.rpartition(":")[0] in ["", *paths[:n]] for n, path in enumerate(paths))
    assert table["depth"].tolist() == [len(path.split(":")) for path in paths]


def test_frames_without_protocols_count_nowhere() -> None:
    frames = pd.DataFrame({"frame.protocols": ["eth:arp", None], "length": [60, 70]})
    assert protocols(frames)[["protocol", "bytes"]].to_numpy().tolist() == [["eth", 60], ["eth:arp", 60]]
