"""Headers that captures of elsewhere held, built again: every cell is what tshark says."""

import struct

from engine_comparison import compare
from scapy.all import GRE, IP, TCP, UDP, Ether, IPv6, Raw, wrpcap

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


def ip_with(options):
    options += b"\1" * (-len(options) % 4)
    size = 28 + len(options)
    head = struct.pack(
        ">BBHHHBBHII", 0x45 + len(options) // 4, 0, size, 1, 0, 64, 17, 0, 0x0A010001, 0x0A010002
    )
    return FRAME / Raw(head + options + struct.pack(">HHHH", 7, 8, 8, 0))


def test_an_ip_option_too_short_for_what_it_holds_hides_what_follows(tmp_path):
    least = {7: 3, 11: 4, 25: 8, 68: 4, 82: 12, 130: 3, 131: 3, 136: 4, 148: 4}
    too_short = [ip_with(bytes([kind, 2]) + bytes(2)) for kind in least]
    enough = [ip_with(bytes([kind, size]) + bytes(size - 2)) for kind, size in least.items()]
    for packet in too_short + enough:
        packet[Ether].type = 0x0800
    rows = table(tmp_path / "options.pcap", [*too_short, *enough])
    assert rows["src_port"].isna().tolist() == [True] * len(least) + [False] * len(least)
    assert rows["dst"].notna().all()


def typed(kind, rest):
    return Ether(src=FRAME.src, dst=FRAME.dst, type=kind) / Raw(rest)


def test_tags_of_providers_and_what_they_carry(tmp_path):
    snap = b"\xaa\xaa\3\0\0\0\x08\0" + bytes(INNER)
    length = struct.pack(">H", len(snap))
    addresses = bytes(Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b"))[:12]
    packets = [
        typed(0x88A8, b"\0\5" + length + snap),
        typed(0x88A8, b"\0\5\x81\0\0\6" + length + snap),
        typed(0x88E7, b"\0\x12\x34\x56" + addresses + b"\x08\0" + bytes(INNER)),
        typed(0x88E7, b"\0\x12\x34\x56" + addresses + length + snap),
        typed(0x88E7, b"\0\x12\x34\x56" + addresses[:9]),
        typed(0x8864, b"\x11\0\0\1\0\0"),
        typed(0x8864, b"\x11\0\0\1\0\2\0\x21"),
    ]
    rows = table(tmp_path / "provided.pcap", packets)
    assert rows["protocol"].tolist()[:4] == ["IEEE8021AD", "TCP", "TCP", "IEEE8021AH"]


def test_macsec_is_named_where_it_can_be(tmp_path):
    clear = b"\0\0\0\0\1\x08\0" + bytes(INNER) + bytes(16)
    packets = [
        typed(0x88E5, b"\0" + clear),
        typed(0x88E5, b"\x0c" + clear),
        typed(0x88E5, b"\x80" + clear),
        *(
            typed(0x88E5, control + clear[: size - 1])
            for size in (22, 23, 30, 31)
            for control in (b"\0", b"\x20")
        ),
    ]
    rows = table(tmp_path / "macsec.pcap", packets)
    assert rows["protocol"].tolist()[:4] == ["TCP", "MACSEC", "Ethernet", "Ethernet"]


def test_a_pseudowire_has_a_control_word_where_no_known_vendors_addresses_stand(tmp_path):
    def wire(rest):
        return typed(0x8847, b"\0\x01\x01\x40" + rest)

    known = bytes(Ether(src="00:1b:21:00:00:03", dst="00:1b:21:00:00:04") / INNER)
    local = bytes(Ether(src="02:11:22:33:44:55", dst="02:66:77:88:99:aa") / INNER)
    near = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / INNER)
    packets = [
        wire(known),
        wire(bytes(4) + known),
        wire(bytes(4) + local),
        wire(local),
        wire(bytes(4) + near),
    ]
    rows = table(tmp_path / "wires.pcap", [*packets, wire(bytes(5)), wire(bytes(8))])
    assert rows["src"].notna().tolist()[:3] == [True] * 3


def test_tunnels_say_how_much_they_carry_and_what(tmp_path):
    def gtp(flags, size, rest):
        return (
            FRAME
            / OUTER
            / UDP(sport=2152, dport=2152)
            / Raw(struct.pack(">BBHI", flags, 255, size, 77) + rest)
        )

    def erspan(last, rest):
        head = struct.pack(">HHIHH", 0x2001, 0x1865, 0, 0, last)
        return FRAME / OUTER / GRE(proto=0x22EB, seqnum_present=1) / Raw(head + rest)

    inner, frame = bytes(INNER), bytes(FRAME / INNER)
    packets = [
        gtp(0x30, len(inner), inner), gtp(0x30, 8, inner), gtp(0x30, 0, inner), gtp(0x30, 14, frame),
        gtp(0x20, len(inner), inner), erspan(0, frame), erspan(0x8000, frame), erspan(2 << 10, inner),
        erspan(7 << 10, frame), erspan(1, bytes(8) + frame),
    ]  # fmt: skip
    rows = table(tmp_path / "tunnels.pcap", packets)
    assert rows["tunnel"].astype(object).fillna("").tolist() == [
        "gtp:77", "gtp:77", "", "", "", "gre/erspan", "gre/erspan", "", "", "gre/erspan",
    ]  # fmt: skip


def test_a_ppp_frame_may_be_ciscos(tmp_path):
    path = tmp_path / "cisco.pcap"
    packets = [
        Raw(b"\x0f\0\x08\0" + bytes(INNER)),
        Raw(b"\x8f\0\x80\x35"),
        Raw(b"\xff\3\0\x21" + bytes(INNER)),
    ]
    wrpcap(str(path), packets, linktype=9)
    assert compare(path) == ({}, 3)


def test_what_runs_beside_a_label_switched_path(tmp_path):
    def labelled(label, rest):
        return typed(0x8847, struct.pack(">I", label << 12 | 0x140) + rest)

    ip, channel = bytes(INNER), b"\x10\0\0\x21"
    packets = [
        labelled(16, channel + ip), labelled(13, channel + ip), labelled(16, b"\x10\0\0\7" + bytes(24)),
        labelled(13, ip), labelled(14, ip), labelled(16, b"\x10\0"), labelled(16, b"\x10\0\x7f\xff" + ip),
    ]  # fmt: skip
    rows = table(tmp_path / "channels.pcap", packets)
    assert rows["protocol"].tolist() == ["TCP", "TCP", "PWACH", "PWACH", "MPLS", "PWACH", "PWACH"]


def test_an_unknown_length_of_ip_is_the_frames(tmp_path):
    whole, short = bytearray(bytes(INNER)), bytearray(bytes(INNER)[:22])
    whole[2:4] = short[2:4] = b"\0\0"
    short[0] = 0x47
    rows = table(tmp_path / "offloaded.pcap", [typed(0x0800, bytes(whole)), typed(0x0800, bytes(short))])
    assert rows["dst"].tolist() == ["10.1.0.2", "10.1.0.2"]


def test_udp_lite_is_numbered_whatever_its_checksum_covers(tmp_path):
    def lite(covered, rest=b""):
        head = struct.pack(">HHHH", 5, 6, covered, 1)
        return FRAME / IP(src="10.1.0.3", dst="10.1.0.4", proto=136) / Raw(head + rest)

    rows = table(tmp_path / "lite.pcap", [lite(n, b"data") for n in (0, 1, 8, 9, 200)] + [lite(8)])
    assert rows["stream"].tolist() == [0] * 6


def test_hdlc_frames_in_gre_are_left_alone(tmp_path):
    packets = [
        FRAME / OUTER / GRE(proto=kind) / Raw(b"\xff\3\0\x21" + bytes(INNER))
        for kind in (0x8881, 0x88D2, 0x880B)
    ]
    rows = table(tmp_path / "hdlc.pcap", packets)
    assert rows["tunnel"].notna().tolist() == [False, False, True]


def test_cooked_frames_of_netlink_and_of_whole_frames(tmp_path):
    path = tmp_path / "cooked.pcap"
    frame, address = bytes(FRAME / INNER), b"\2\1\1\1\1\1\0\0"

    def cooked(hardware, kind, rest):
        return Raw(struct.pack(">HHIHBB", kind, 0, 3, hardware, 0, 6) + address + rest)

    packets = [
        cooked(824, 0, bytes(20)), cooked(1, 0x6558, frame), cooked(1, 0x0800, bytes(INNER)),
        cooked(803, 4, bytes(3)),
    ]  # fmt: skip
    for i, packet in enumerate(packets):
        packet.time = i
    wrpcap(str(path), packets, linktype=276)
    assert compare(path) == ({}, 4)


def test_raw_ip_may_be_cut_off_anywhere(tmp_path):
    path = tmp_path / "raw.pcap"
    inner = bytes(INNER)
    packets = [Raw((before + inner)[:n]) for before in (b"", b"\xff\3\0\x21") for n in range(1, 30)]
    wrpcap(str(path), packets, linktype=101)
    assert compare(path) == ({}, len(packets))
