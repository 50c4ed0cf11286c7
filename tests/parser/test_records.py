"""The skeleton of capture files, against capinfos, and against files that lie."""

import gzip
import io
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8scap.parser.records.scan import scan, whole_records

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
PCAP = (CAPTURES / "verdicts.pcap").read_bytes()
PCAPNG = (CAPTURES / "pcapng_with_interfaces.pcapng").read_bytes()


def boundaries(data, first, size):
    """Where the header and each record (or block) end: `size` tells a record's from its offset."""
    ends = [first]
    while ends[-1] < len(data):
        ends.append(ends[-1] + size(data, ends[-1]))
    return frozenset(ends)


BOUNDARIES = {
    PCAP: boundaries(PCAP, 24, lambda data, at: 16 + struct.unpack_from("<I", data, at + 8)[0]),
    PCAPNG: boundaries(PCAPNG, 0, lambda data, at: struct.unpack_from("<I", data, at + 4)[0]) - {0},
}


def counted(path):
    """Packets, as capinfos counts them."""
    done = subprocess.run(["capinfos", "-Mcr", path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*")), ids=lambda p: p.name)
def test_records_are_as_many_as_capinfos_counts(path):
    found = scan(path)
    assert (found.records, found.cut_off) == (counted(path), False)
    assert found.whole_bytes == (path.stat().st_size if found.format == "pcap" else 0)


def test_it_knows_format_and_link_type():
    verdicts, cooked = scan(CAPTURES / "verdicts.pcap"), scan(CAPTURES / "cooked_with_index.pcap")
    assert (verdicts.format, verdicts.link_types, verdicts.compressed) == ("pcap", (1,), False)
    assert cooked.link_types == (276,)
    assert scan(CAPTURES / "pcapng_with_interfaces.pcapng").format == "pcapng"


def test_a_compressed_file_is_scanned_as_its_original(tmp_path):
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(PCAP))
    found = scan(path)
    assert (found.compressed, found.records, found.whole_bytes) == (True, 38, len(PCAP))


def test_big_endian_records_are_read(tmp_path):
    path = tmp_path / "big.pcap"
    header = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 113)
    path.write_bytes(header + struct.pack(">IIII", 1, 2, 4, 1500) + b"abcd")
    found = scan(path)
    assert (found.records, found.link_types, found.header) == (1, (113,), header)


def test_a_record_that_claims_gigabytes_costs_nothing(tmp_path):
    path = tmp_path / "liar.pcap"
    path.write_bytes(PCAP[:24] + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + b"x" * 100)
    found = scan(path)
    assert (found.records, found.cut_off, found.whole_bytes) == (0, True, 24)


def test_records_stop_where_tshark_does(tmp_path):
    path = tmp_path / "large.pcap"
    for size, records in ((262_144, 2), (262_145, 0)):
        record = struct.pack("<IIII", 0, 0, size, size) + bytes(size)
        path.write_bytes(PCAP[:24] + record + record)
        done = subprocess.run(["tshark", "-n", "-r", path], capture_output=True, text=True, check=False)
        found = scan(path)
        assert (found.records, found.cut_off, done.stdout.count("\n")) == (records, not records, records)


@pytest.mark.parametrize("name", ["verdicts.pcap", "nanoseconds.pcap"])
def test_whole_records_are_the_files_bytes(tmp_path, name):
    path = tmp_path / "cut.pcap.gz"
    content = (CAPTURES / name).read_bytes()
    path.write_bytes(gzip.compress(content[:-1]))
    found = scan(path)
    assert content.startswith(found.header + b"".join(bytes(part) for part in whole_records(path, found)))
    assert len(found.header) < found.whole_bytes < len(content)


@settings(max_examples=60, deadline=None)
@given(data=st.sampled_from([PCAP, PCAPNG]), end=st.integers(min_value=0))
def test_a_file_cut_anywhere_keeps_its_whole_records(tmp_path_factory, data, end):
    end %= len(data) + 1
    path = tmp_path_factory.mktemp("cut") / "cut"
    path.write_bytes(data[:end])
    found, whole = scan(path), scan_bytes(tmp_path_factory, data)
    assert found.whole_bytes <= end
    assert found.records <= whole.records
    assert found.cut_off == (end not in BOUNDARIES[data])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_changed_anywhere_is_still_scanned(tmp_path_factory, data):
    changed = bytearray(data.draw(st.sampled_from([PCAP, PCAPNG, gzip.compress(PCAP)])))
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    found = scan_bytes(tmp_path_factory, bytes(changed))
    assert 0 <= found.records <= len(PCAP)
    assert found.whole_bytes <= len(PCAP)


def scan_bytes(factory, data):
    path = factory.mktemp("scan") / "file"
    with io.FileIO(path, "w") as file:
        file.write(data)
    return scan(path)
