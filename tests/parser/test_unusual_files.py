"""Files that hold more than packets, or claim to be of another version: read as tshark reads them."""

import struct

import pytest
from engine_comparison import compare
from test_record_reader import VERDICTS, block, interface, packet, section

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
