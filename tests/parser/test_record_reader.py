"""Records, block by block: cut files, files that grow, odd formats; against tshark and struct."""

import gzip
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from reference import CAPTURES, VERDICTS, record_ends, same_rows, verdicts

import k8scap
from k8scap.parser.records.reader import RecordReader

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "captures" / "connection-refused.pcap"


def read(path, **options):
    """A file's records as tuples, and the reader."""
    reader = RecordReader([path], **options)
    records = [
        (int(b.time[i]), int(b.length[i]), b.buffer[b.start[i] : b.start[i] + b.captured[i]].tobytes())
        for b in reader
        for i in range(len(b))
    ]
    return records, reader


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    length = 12 + len(body)
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def option(code, value, order="<"):
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, *options, order="<", snaplen=0):
    return block(1, struct.pack(f"{order}HHI", link, 0, snaplen) + b"".join(options), order)


def packet(ticks, data, *options, number=0, length=None, order="<"):
    head = struct.pack(
        f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length or len(data)
    )
    return block(6, head + data + bytes(-len(data) % 4) + b"".join(options), order)


SMALL_PCAPNG = (
    section() + interface() + packet(1_000_000, b"a" * 61, option(1, b"see here"))
    + block(4, struct.pack("<HH", 0, 0)) + packet(2_500_000, b"b" * 14, length=1500)
    + packet(3_000_000, b"c" * 15)
)  # fmt: skip


def tshark_says(path):
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-T", "fields",
         "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(int(t.replace(".", "")), int(n), int(c)) for t, n, c in rows]


@pytest.mark.parametrize("most", [1, 2, 7, 10_000])
def test_a_block_may_be_of_any_size(most):
    records, reader = read(VERDICTS, most_records=most)
    assert [(t, n, len(data)) for t, n, data in records] == tshark_says(VERDICTS)
    assert (reader.frames, reader.cut_off) == (38, False)


def test_a_pcap_cut_at_every_byte_gives_its_whole_records(tmp_path):
    content = VERDICTS.read_bytes()[: record_ends(VERDICTS.read_bytes())[4]]
    ends, path = record_ends(content), tmp_path / "cut.pcap"
    for end in range(25, len(content) + 1):
        path.write_bytes(content[:end])
        records, reader = read(path)
        assert (len(records), reader.cut_off) == (sum(e <= end for e in ends), end not in (24, *ends)), end


def test_a_pcapng_cut_at_every_byte_gives_its_whole_records(tmp_path):
    whole = [section() + interface()]
    for piece in (SMALL_PCAPNG[len(whole[0]) :],):
        at = 0
        while at < len(piece):
            size = struct.unpack_from("<I", piece, at + 4)[0]
            whole.append(piece[at : at + size])
            at += size
    ends = np.cumsum([len(part) for part in whole])
    packets = [end for end, part in zip(ends, whole, strict=True) if part[:4] == b"\x06\0\0\0"]
    path = tmp_path / "cut.pcapng"
    boundaries = {28, *ends}
    for end in range(28, len(SMALL_PCAPNG) + 1):
        path.write_bytes(SMALL_PCAPNG[:end])
        records, reader = read(path)
        assert (len(records), reader.cut_off) == (sum(e <= end for e in packets), end not in boundaries), end


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_a_compressed_file_reads_as_its_original(tmp_path, pack):
    path = tmp_path / "packed.pcap"
    path.write_bytes(pack(VERDICTS.read_bytes()))
    assert read(path)[0] == read(VERDICTS)[0]
    same_rows(k8scap.load(path).packets, verdicts())


def test_several_gzip_members_are_one_file(tmp_path):
    content = VERDICTS.read_bytes()
    path = tmp_path / "members.pcap.gz"
    path.write_bytes(gzip.compress(content[:999]) + gzip.compress(content[999:]))
    assert read(path)[0] == read(VERDICTS)[0]


def test_a_cut_archive_gives_what_it_still_holds(tmp_path):
    content = NOTEBOOK.read_bytes()
    packed = gzip.compress(content)
    path = tmp_path / "cut.pcap.gz"
    path.write_bytes(packed[: len(packed) // 2])
    records, reader = read(path)
    assert 0 < len(records) < len(record_ends(content))
    assert records == read(NOTEBOOK)[0][: len(records)]
    assert reader.cut_off


def test_pcapng_tells_times_interfaces_directions_and_comments(tmp_path):
    path = tmp_path / "rich.pcapng"
    nanoseconds = option(9, b"\x09")
    binary = option(9, b"\x8a")  # 2^-10 s
    later = option(14, struct.pack("<q", 100))
    path.write_bytes(
        section() + interface(1, option(2, b"eth0"), nanoseconds)
        + interface(1, option(2, b"lo"), binary, later)
        + packet(1_500_000_000_123_456_789, b"x" * 14, option(2, struct.pack("<I", 1)))
        + packet(2048 + 512, b"y" * 14, option(1, b"odd"), option(2, struct.pack("<I", 2)), number=1)
    )  # fmt: skip
    reader = RecordReader([path])
    (records,) = reader
    assert list(records.time) == [1_500_000_000_123_456_789, 102_500_000_000]
    assert [i.name for i in reader.interfaces] == ["eth0", "lo"]
    assert (list(records.interface), list(records.direction)) == ([0, 1], [1, 2])
    assert reader.comments == {2: "odd"}
    assert tshark_says(path) == [(t, 14, 14) for t in records.time]


def test_sections_have_byte_orders_and_interfaces_of_their_own(tmp_path):
    path = tmp_path / "two.pcapng"
    path.write_bytes(
        section() + interface(101) + packet(1, b"a" * 20)
        + section(">") + interface(1, order=">") + packet(2, b"b" * 14, order=">")
    )  # fmt: skip
    records, reader = read(path)
    assert [(t, data[:1]) for t, _, data in records] == [(1000, b"a"), (2000, b"b")]
    assert [i.link_type for i in reader.interfaces] == [101, 1]


def test_a_simple_packet_has_no_time_and_is_cut_by_the_interface(tmp_path):
    path = tmp_path / "simple.pcapng"
    path.write_bytes(section() + interface(1, snaplen=20) + block(3, struct.pack("<I", 60) + b"s" * 20))
    table = k8scap.load(path).packets
    assert pd.isna(table["time"].iloc[0])
    assert (table["length"].iloc[0], table["captured_length"].iloc[0]) == (60, 20)


def test_what_grows_is_read_on_where_it_ended(tmp_path):
    content, path = VERDICTS.read_bytes(), tmp_path / "growing.pcap"
    ends = record_ends(content)
    path.write_bytes(content[: ends[9] + 5])
    reader = RecordReader([path])
    first = sum(len(b) for b in reader)
    assert (first, reader.cut_off) == (10, True)
    with path.open("ab") as growing:
        growing.write(content[ends[9] + 5 : ends[20]])
    assert (sum(len(b) for b in reader), reader.cut_off) == (11, False)
    with path.open("ab") as growing:
        growing.write(content[ends[20] :])
    assert (sum(len(b) for b in reader), reader.frames) == (17, 38)


def test_a_file_truncated_while_it_is_read_ends_there(tmp_path):
    path = tmp_path / "shrinking.pcap"
    record = struct.pack("<IIII", 1, 0, 1000, 1000) + bytes(1000)
    path.write_bytes(VERDICTS.read_bytes()[:24] + record * 20_000)
    reader = RecordReader([path], most_records=100)
    blocks = iter(reader)
    got = len(next(blocks))
    with path.open("r+b") as file:
        file.truncate(24 + 300 * len(record) + 8)
    got += sum(len(b) for b in blocks)
    assert 100 <= got < 20_000


def test_a_length_that_cannot_be_ends_the_file_with_a_note(tmp_path):
    path = tmp_path / "liar.pcap"
    path.write_bytes(VERDICTS.read_bytes() + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(99))
    cap = k8scap.load(path)
    assert len(cap.packets) == 38
    assert any("damaged" in note for note in cap.quality.notes)


@pytest.mark.parametrize("name", ["pcapng_with_interfaces.pcapng", "nanoseconds.pcap", "cooked.pcap"])
def test_times_and_lengths_are_tsharks(name):
    records, _ = read(CAPTURES / name)
    assert [(t, n, len(data)) for t, n, data in records] == tshark_says(CAPTURES / name)


def test_many_small_blocks_between_packets_cost_little(tmp_path):
    """Statistics, names, interfaces: each in its time, however many there are."""
    path = tmp_path / "many.pcapng"
    statistics, names = block(5, bytes(12)), block(4, struct.pack("<HH", 0, 0))
    path.write_bytes(
        section()
        + b"".join(interface() + statistics + packet(i, b"a" * 60, number=i) for i in range(5000))
        + 50_000 * names
    )
    verdicts()  # so that no kernel is compiled, or loaded, meanwhile
    begun = time.process_time()
    assert len(k8scap.load(path).packets) == 5000
    assert time.process_time() - begun < 5


def test_secrets_that_are_not_kept_are_said(tmp_path):
    path = tmp_path / "secrets.pcapng"
    secrets = block(10, struct.pack("<II", 0x544C534B, 60_000) + b"s" * 60_000)
    path.write_bytes(section() + interface() + 400 * secrets + packet(1, b"a" * 60))
    cap = k8scap.load(path)
    assert len(cap.packets) == 1
    assert any("names and secrets" in note for note in cap.quality.notes)
