"""Headers that captures of elsewhere held, built again: every cell is what tshark says."""

import struct

from engine_comparison import compare
from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw, wrpcap

import k8scap

OUTER, FRAME = IP(src="198.18.0.1", dst="198.18.0.2"), Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
INNER = IP(src="10.1.0.1", dst="10.1.0.2", ttl=9) / TCP(sport=40001, dport=80, flags="S", seq=7)
INNER6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=40001, dport=80, flags="S", seq=7)


def table(path, packets):
    """Their packets table, after it was held against tshark's."""
    for i, packet in enumerate(packets):
        packet.time = 1_700_000_000 + i / 2
    wrpcap(str(path), packets)
    assert compare(path) == ({}, len(packets))
    return k8scap.load(path).packets


def l2tp(flags, rest=b""):
    return FRAME / OUTER / UDP(sport=1701, dport=1701) / Raw(struct.pack(">H", flags) + rest)


def test_l2tp_carries_ppp(tmp_path):
    ids, ppp, ppp6 = b"\0\5\0\6", b"\xff\3\0\x21" + bytes(INNER), b"\0\x57" + bytes(INNER6)
    carried = [
        l2tp(2, ids + ppp),
        l2tp(2, ids + b"\x21" + bytes(INNER)),
        l2tp(0x4002, b"\0\x99" + ids + ppp),
        l2tp(0x0802, ids + b"\0\1\0\2" + ppp),
        l2tp(0x4A02, b"\0\x99" + ids + b"\0\1\0\2\0\3pad" + ppp6),
    ]
    others = [
        l2tp(0xC802, b"\0\x14" + ids + b"\0\1\0\2" + b"\x80\x08\0\0\0\0\0\1"),
        l2tp(3, b"\0\0\0\0\0\7" + bytes(FRAME / INNER)),
        l2tp(2, ids),
        l2tp(0x0202, ids + b"\xff\xff"),
        l2tp(0x4002),
    ]
    rows = table(tmp_path / "l2tp.pcap", [*carried, *others])
    assert rows["tunnel"].head(5).tolist() == ["l2tp"] * 5
    assert rows["src"].head(5).tolist() == ["10.1.0.1"] * 4 + ["2001:db8::1"]
    assert rows["tunnel"].tail(5).isna().all()


def test_lisp_carries_either_version_of_ip(tmp_path):
    def lisp(rest):
        return FRAME / OUTER / UDP(sport=4341, dport=4341) / Raw(rest)

    header = b"\x80" + bytes(7)
    packets = [
        lisp(header + bytes(INNER)),
        lisp(header + bytes(INNER6)),
        lisp(header + b"\x35"),
        lisp(header[:5]),
    ]
    rows = table(tmp_path / "lisp.pcap", packets)
    assert rows["tunnel"].tolist()[:2] == ["lisp-data"] * 2
    assert rows["src"].tolist() == ["10.1.0.1", "2001:db8::1", "198.18.0.1", "198.18.0.1"]


def test_data_below_the_first_number_is_in_flight(tmp_path):
    """A direction's numbers begin with what the other side acknowledged: what came before may come later."""
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")
    packets = [
        FRAME / back / TCP(sport=80, dport=40001, flags="PA", seq=9000, ack=5120) / Raw(b"x" * 424),
        FRAME / there / TCP(sport=40001, dport=80, flags="PA", seq=5000, ack=7000) / Raw(b"y" * 120),
    ]
    rows = table(tmp_path / "late.pcap", packets)
    assert rows["bytes_in_flight"].tolist() == [424, 120]
