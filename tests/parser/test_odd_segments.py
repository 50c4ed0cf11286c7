"""Segments that captures of elsewhere held, built again: every cell is what tshark says."""

import struct

from scapy.all import IP, TCP, Ether, Raw
from test_odd_headers import FRAME, table


def test_data_below_the_first_number_is_in_flight(tmp_path):
    """A direction's numbers begin with what the other side acknowledged: what came before may come later."""
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")
    packets = [
        FRAME / back / TCP(sport=80, dport=40001, flags="PA", seq=9000, ack=5120) / Raw(b"x" * 424),
        FRAME / there / TCP(sport=40001, dport=80, flags="PA", seq=5000, ack=7000) / Raw(b"y" * 120),
    ]
    rows = table(tmp_path / "late.pcap", packets)
    assert rows["bytes_in_flight"].tolist() == [424, 120]


def test_a_syn_ack_with_another_number_moves_what_is_in_flight(tmp_path):
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")

    def data(seq, flags="PA"):
        return FRAME / there / TCP(sport=20, dport=40001, flags=flags, seq=seq, ack=7000) / Raw(b"x" * 100)

    acked = FRAME / back / TCP(sport=40001, dport=20, flags="A", seq=7000, ack=50_100)
    packets = [
        data(50_000),
        data(50_100),
        acked,
        data(50_200),
        data(90_000, "SA"),
        data(90_101),
        data(90_201),
    ]
    rows = table(tmp_path / "moved.pcap", packets)
    assert rows["reused_ports"].tolist() == [False] * 4 + [True, False, False]
    assert rows["bytes_in_flight"].isna().tolist() == [False, False, True, False, True, True, True]


def tcp_with(options, payload=b"", offset=0):
    options += b"\1" * (-len(options) % 4)
    words = offset or 5 + len(options) // 4
    head = struct.pack(">HHIIBBHHH", 40001, 80, 7, 7, words << 4, 0x10, 100, 0, 0)
    return FRAME / IP(src="10.1.0.1", dst="10.1.0.2", proto=6) / Raw(head + options + payload)


def test_an_option_too_short_for_what_it_holds_ends_the_analysis(tmp_path):
    lengths = [2, 3, 6, 9, 10]
    packets = [tcp_with(b"\5" + bytes([n]) + bytes(n - 2), b"x" * 20) for n in lengths]
    packets += [tcp_with(b"\x1e\2", b"x"), tcp_with(b"\1\1\1\0", offset=9), tcp_with(b"\0\0\0\1" * 2)]
    rows = table(tmp_path / "options.pcap", packets)
    assert rows["bytes_in_flight"].isna().tolist() == [True] * 4 + [False, True, True, True]


def test_multipath_options_hold_what_their_flags_say(tmp_path):
    def multipath(kind, length, flags=0):
        return tcp_with((bytes([30, length, kind << 4, flags]) + bytes(30))[:length], b"x" * 20)

    whole = [(0, 4), (1, 12), (2, 8, 1), (2, 12, 3), (2, 14, 4), (2, 22, 13), (5, 3), (6, 12), (8, 4)]
    short = [(0, 3), (2, 7, 1), (2, 11, 3), (2, 13, 4), (2, 21, 13), (6, 8), (7, 11), (8, 3)]
    rows = table(tmp_path / "multipath.pcap", [multipath(*option) for option in whole + short])
    assert rows["bytes_in_flight"].isna().tolist() == [False] * len(whole) + [True] * len(short)


def test_what_is_half_a_circle_away_is_not_acknowledged(tmp_path):
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")
    far = 5100 + 2**31
    packets = [
        FRAME / there / TCP(sport=4000, dport=80, flags="PA", seq=5000, ack=9000) / Raw(b"x" * 100),
        FRAME / back / TCP(sport=80, dport=4000, flags="A", seq=9000, ack=far),
        FRAME / there / TCP(sport=4000, dport=80, flags="PA", seq=far, ack=9000) / Raw(b"x" * 100),
        FRAME / back / TCP(sport=80, dport=4000, flags="A", seq=9000, ack=far + 1),
        FRAME / there / TCP(sport=4000, dport=80, flags="PA", seq=far + 100, ack=9000) / Raw(b"x" * 10),
    ]
    table(tmp_path / "half.pcap", packets)


def test_a_cut_off_end_of_options_ends_the_analysis(tmp_path):
    packet = Ether(bytes(tcp_with(b"\0\0\0\0" + bytes(8), b"x" * 20)))
    cut = Raw(bytes(packet)[:60])
    cut.wirelen = len(packet)
    rows = table(tmp_path / "cut.pcap", [Ether(bytes(packet)), FRAME.__class__(bytes(cut))])
    assert rows["bytes_in_flight"].tolist()[0] == 20
