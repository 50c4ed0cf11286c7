"""Packets in a VXLAN tunnel: what the link sees of them and does to them, held against scapy and tshark."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

import k8scap
from k8scap.lab.packets import damaged, inner

OUTER = IP(src="198.18.0.10", dst="198.18.0.20") / UDP(sport=5555, dport=4789, chksum=0) / VXLAN(vni=7)
SYN = IP(src="198.18.0.31", dst="198.18.0.32") / TCP(sport=40_000, dport=80, flags="S", seq=9)
SCENARIO = "vxlan-checksum-offload"


def test_what_a_tunnel_carries_is_seen() -> None:
    assert inner(bytes(OUTER / Ether() / SYN)) == bytes(SYN)


@pytest.mark.parametrize(
    "packet",
    [SYN, OUTER / Ether() / ARP(), OUTER, OUTER[IP] / UDP(dport=53) / Raw(b"x" * 80)],
    ids=["no tunnel", "no IPv4 inside", "nothing inside", "no VXLAN"],
)
def test_anything_else_is_what_it_is(packet) -> None:
    assert inner(bytes(packet)) == bytes(packet)


@pytest.mark.parametrize("outside", [True, False], ids=["in a tunnel", "by itself"])
def test_a_damaged_packet_differs_in_its_own_checksum_only(*, outside: bool) -> None:
    whole = bytes(OUTER / Ether() / SYN) if outside else bytes(SYN)
    spoilt = damaged(whole)
    was, became = (IP(inner(packet))[TCP] for packet in (whole, spoilt))
    assert was.chksum != became.chksum
    became.chksum = was.chksum
    assert bytes(became) == bytes(was)
    assert spoilt[: len(whole) - len(bytes(was))] == whole[: len(whole) - len(bytes(was))]


@pytest.mark.root
def test_syns_damaged_in_the_tunnel_are_found_where_it_ends(run) -> None:
    made = run(SCENARIO, seed=2)
    (found,) = [f for f in k8scap.diagnose(made.capture) if f.status == "found" and f.severity != "info"]
    spoilt = [row for row in made.log if row["action"] == "damage"]
    assert (found.rule, found.consistent_with[0]) == ("bad-checksums", "vxlan-checksum-offload")
    assert found.affected == len(spoilt)
    seen = made.tshark(
        *("tcp.srcport", "vxlan.vni", "udp.dstport"),
        where="tcp.checksum.status == 0 && tcp.dstport == 8095",
        prefer=("tcp.check_checksum:TRUE",),
    )
    vni = str(made.truth["parameters"]["vni"])
    assert sorted(seen) == sorted((str(row["src_port"]), vni, "4789") for row in spoilt)


@pytest.mark.root
def test_who_lost_a_syn_in_the_tunnel_waited_and_got_an_answer(run) -> None:
    made = run(SCENARIO, seed=2)
    jobs = made.truth["hosts"]["client-pod"]["jobs"]
    late = {job["client_port"] for job in jobs if job["connected_ns"] - job["start_ns"] > 0.9e9}
    # others may be late, too: some kernels hold the first packets of a new tunnel for up to a second
    assert late >= {row["src_port"] for row in made.log if row["action"] == "damage"} != set()
    assert all(job["received_bytes"] for job in jobs)
    assert made.truth["whole"] is True
