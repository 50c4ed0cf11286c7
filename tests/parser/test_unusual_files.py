"""Files that hold more than packets, or claim to be of another version: read as tshark reads them."""

import struct

import pytest
from engine_comparison import compare
from scapy.all import IP, TCP, Ether, Raw
from test_record_reader import VERDICTS, block, interface, option, packet, section

import k8scap
from k8scap.errors import UnreadableFileError

CUSTOM = block(0x0BAD, struct.pack("<I", 32473) + b"somebody's own")
JOURNAL = block(9, b"MESSAGE=hello\n__REALTIME_TIMESTAMP=1\n")
FRAME = b"\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5" + b"x" * 20


@pytest.mark.parametrize("other", [CUSTOM, JOURNAL])
def test_what_wireshark_numbers_as_a_frame_is_a_row(tmp_path, other):
    path = tmp_path / "others.pcapng"
    path.write_bytes(section() + interface() + packet(1, FRAME) + other + packet(2, FRAME))
    found, frames = compare(path)
    assert (found, frames) == ({}, 3)


@pytest.mark.parametrize("version", [(1, 1), (0, 1), (2, 0)])
def test_a_section_of_another_version_ends_the_file(tmp_path, version):
    path = tmp_path / "versions.pcapng"
    later = bytearray(section())
    later[12:16] = struct.pack("<HH", *version)
    path.write_bytes(section() + interface() + packet(1, FRAME) + later + interface() + packet(2, FRAME))
    found, frames = compare(path)
    assert (found, frames) == ({}, 1)


def test_a_pcap_of_the_first_version_is_refused(tmp_path):
    path = tmp_path / "old.pcap"
    content = bytearray(VERDICTS.read_bytes())
    content[4:8] = struct.pack("<HH", 1, 4)
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match="major version 1 unsupported"):
        k8scap.load(path).packets  # noqa: B018 - read only when it is asked for


def test_an_interface_without_a_name_is_called_by_its_description(tmp_path):
    path = tmp_path / "described.pcapng"
    description, name = option(3, b"the cable"), option(2, b"eth0")
    path.write_bytes(
        section() + interface(1, description) + interface(1, description, name) + interface()
        + packet(1, FRAME) + packet(2, FRAME, number=1) + packet(3, FRAME, number=2)
    )  # fmt: skip
    assert compare(path) == ({}, 3)
    assert k8scap.load(path).packets["interface"].tolist()[:2] == ["the cable", "eth0"]


def test_times_are_told_apart_where_there_are_none(tmp_path):
    path = tmp_path / "timeless.pcapng"
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")
    frames = [
        bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / p)
        for p in (
            there / TCP(sport=4000, dport=80, flags="S", seq=1),
            back / TCP(sport=80, dport=4000, flags="SA", seq=5, ack=2),
            there / TCP(sport=4000, dport=80, flags="A", seq=2, ack=6),
            there / TCP(sport=4000, dport=80, flags="PA", seq=2, ack=6) / Raw(b"x" * 9),
            there / TCP(sport=4000, dport=80, flags="PA", seq=2, ack=6) / Raw(b"x" * 9),
        )
    ]
    simple = b"".join(block(3, struct.pack("<I", len(frame)) + frame) for frame in frames)
    path.write_bytes(section() + interface() + simple + packet(1_700_000_000_000_000, frames[-1]))
    assert compare(path) == ({}, 6)


def test_times_too_far_away_are_told_apart(tmp_path):
    path = tmp_path / "far.pcapng"
    there, back = IP(src="10.1.0.1", dst="10.1.0.2"), IP(src="10.1.0.2", dst="10.1.0.1")
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    syn, answer = (
        TCP(sport=4000, dport=80, flags="S", seq=1),
        TCP(sport=80, dport=4000, flags="SA", seq=5, ack=2),
    )
    far = 2**64 - 500_000_000
    path.write_bytes(
        section() + interface()
        + packet(far, bytes(ether / there / syn)) + packet(far + 1500, bytes(ether / back / answer))
    )  # fmt: skip
    assert compare(path) == ({}, 2)
    table = k8scap.load(path).packets
    assert (table["time"].isna().tolist(), table["ack_rtt"].iloc[1]) == ([True, True], 0.0015)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "size"), [(1, 4), (4, 0), (5, 8), (10, 4)])
def test_a_block_too_short_for_its_kind_ends_the_file(tmp_path, kind, size, order):
    path = tmp_path / "short.pcapng"
    begun = section(order) + interface(order=order) + packet(1, FRAME, order=order)
    path.write_bytes(begun + block(kind, bytes(size), order) + packet(2, FRAME, order=order))
    assert compare(path) == ({}, 1)
