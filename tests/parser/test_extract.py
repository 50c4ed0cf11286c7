"""Some frames as a capture of their own: tshark reads the same of them as in the whole."""

import gzip
import struct
import subprocess

import numpy as np
import pytest
from reference import CAPTURES, VERDICTS
from test_record_reader import block, interface, option, packet, section

from k8scap.parser.records.extract import write_frames

FIELDS = (
    "frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name", "frame.packet_flags_direction",
    "frame.protocols", "eth.src", "ip.src", "tcp.seq_raw", "frame.comment",
)  # fmt: skip


def told(path, numbers=None):
    """What tshark says of the frames, of those numbers only where they are given."""
    wanted = [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-T", "fields", *wanted], capture_output=True, text=True, check=True
    )
    lines = [line.replace("unknown", "").replace("0x00000000", "") for line in done.stdout.splitlines()]
    return lines if numbers is None else [lines[n - 1] for n in numbers]


@pytest.mark.parametrize(
    "name", ["verdicts.pcap", "nanoseconds.pcap", "cooked.pcap", "pcapng_with_interfaces.pcapng"]
)
def test_the_frames_read_as_in_the_whole(tmp_path, name):
    whole = CAPTURES / name
    every = len(told(whole))
    numbers = [n for n in (1, 3, every // 2, every) if n <= every]
    out = tmp_path / "some.pcapng"
    assert write_frames(out, [whole], np.array(numbers)) == len(set(numbers))
    assert told(out) == told(whole, sorted(set(numbers)))
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_compressed_source_is_streamed_through(tmp_path):
    packed = tmp_path / "packed.pcap.gz"
    packed.write_bytes(gzip.compress(VERDICTS.read_bytes()))
    write_frames(tmp_path / "some.pcapng", [packed], np.array([38, 7]))
    assert told(tmp_path / "some.pcapng") == told(VERDICTS, [7, 38])


def test_names_secrets_and_comments_go_along(tmp_path):
    names = block(
        4, struct.pack("<HH4s", 1, 4 + 6, bytes([198, 18, 0, 9])) + b"redis\0" + bytes(2) + bytes(4)
    )
    secrets = block(10, struct.pack("<II", 0x544C534B, 11) + b"CLIENT_RAND")
    source = tmp_path / "source.pcapng"
    source.write_bytes(
        section() + interface(1, option(2, b"eth0")) + names + secrets
        + packet(1_000_000, b"a" * 20) + packet(2_000_000, b"b" * 20, option(1, b"look"))
    )  # fmt: skip
    out = tmp_path / "some.pcapng"
    assert write_frames(out, [source], np.array([2])) == 1
    content = out.read_bytes()
    assert names in content
    assert secrets in content
    assert told(out) == told(source, [2])


def test_numbers_run_on_over_rotated_files(tmp_path):
    write_frames(tmp_path / "some.pcapng", [VERDICTS, VERDICTS], np.array([38, 39]))
    assert told(tmp_path / "some.pcapng") == told(VERDICTS, [38, 1])
