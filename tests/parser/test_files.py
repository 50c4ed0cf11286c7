"""Files of every kind: whole and broken, compressed, one and many."""

import gzip
import shutil
import struct
import subprocess
from itertools import pairwise

import pandas as pd
import pytest
from reference import CAPTURES, HEADER, VERDICTS, record_ends, same_rows, verdicts

from k8scap import load
from k8scap.errors import UnreadableFileError
from k8scap.model import Counters, Manifest
from k8scap.recording import manifest_path, write_manifest
from k8scap.schema import PACKETS


def write_parts(folder, cuts, *, suffix=".pcap", change=lambda data: data):
    """VERDICTS in several files, as a ring writes them, cut after these records."""
    data = VERDICTS.read_bytes()
    ends = [HEADER, *(record_ends(data)[cut - 1] for cut in cuts), len(data)]
    paths = []
    for n, (start, end) in enumerate(pairwise(ends), 1):
        paths.append(folder / f"web.{n:04d}{suffix}")
        paths[-1].write_bytes(change(data[:HEADER] + data[start:end]))
    return paths


def test_rotated_files_are_one_capture_whose_streams_and_analysis_go_on(tmp_path):
    cap = load(*reversed(write_parts(tmp_path, [2, 7, 20])))
    assert cap.points == ("web",)
    same_rows(cap.packets, verdicts())


def test_rotated_files_may_be_compressed(tmp_path):
    cap = load(*write_parts(tmp_path, [2, 7], suffix=".pcap.gz", change=gzip.compress))
    same_rows(cap.packets, verdicts())


def test_rotated_pcapng_files_are_joined_too(tmp_path):
    parts = write_parts(tmp_path, [5, 9])
    for part in parts:
        subprocess.run(["editcap", "-F", "pcapng", part, part.with_suffix(".pcapng")], check=True)
    cap = load(*(part.with_suffix(".pcapng") for part in parts))
    same_rows(cap.packets, verdicts())


def test_a_rotated_file_that_breaks_off_does_not_hide_the_next(tmp_path):
    first, second = write_parts(tmp_path, [10])
    first.write_bytes(first.read_bytes()[:-7])
    cap = load(first, second)
    assert len(cap.packets) == len(verdicts()) - 1
    assert cap.quality.cut_off


def damaged_after(count):
    """VERDICTS with a record of 300,000 bytes, more than there can be, behind `count` others."""
    data, end = VERDICTS.read_bytes(), record_ends(VERDICTS.read_bytes())[count - 1]
    return data[:end] + struct.pack("<IIII", 1, 0, 300_000, 300_000) + bytes(300_000) + data[end:]


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
def test_a_rotated_file_that_is_damaged_does_not_hide_the_next(tmp_path, form, engine):
    """Whoever is asked, the packets table or tshark, there are the same frames."""
    (tmp_path / "web.0001.pcap").write_bytes(damaged_after(3))
    second = tmp_path / f"web.0002.{form}"
    subprocess.run(["editcap", "-F", form, VERDICTS, second], check=True)
    cap = load(*tmp_path.iterdir(), engine=engine)
    assert (len(cap.packets), len(cap.fields("frame.len"))) == (41, 41)
    assert any("web.0001.pcap is damaged" in note for note in cap.quality.notes)


@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
def test_a_capture_that_is_damaged_in_the_middle_is_never_complete(tmp_path, engine):
    """Whatever its manifest says was written."""
    path = tmp_path / "web.pcap"
    path.write_bytes(damaged_after(10))
    counters = Counters(captured=39, received=39, dropped=0, on_disk=39)
    write_manifest(manifest_path(path), Manifest(name="web", point="web", counters=counters))
    quality = load(path, engine=engine).quality
    assert (quality.frames, quality.complete, quality.cut_off) == (10, False, True)


def test_an_error_in_reading_names_the_file(tmp_path):
    path = tmp_path / "web.pcap"
    path.symlink_to(VERDICTS)
    cap = load(path)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # whose first bytes give EIO
    with pytest.raises(UnreadableFileError, match=r"web\.pcap cannot be read: Input/output error"):
        _ = cap.packets


def test_files_of_two_names_are_two_points(tmp_path):
    other = tmp_path / "other.pcap"
    shutil.copy(CAPTURES / "headers.pcap", other)
    cap = load(VERDICTS, other)
    counts = cap.packets.groupby("point", observed=True).size()
    assert (cap.points, dict(counts)) == (("verdicts", "other"), {"verdicts": 38, "other": 17})
    assert list(cap.packets.index) == [*range(1, 39), *range(1, 18)]
    assert list(cap.packets["point"].cat.categories) == ["verdicts", "other"]


def test_two_points_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "a").mkdir()
    shutil.copy(VERDICTS, tmp_path / "a")
    assert load(VERDICTS, tmp_path / "a" / "verdicts.pcap").points == ("verdicts", "verdicts-2")


def test_a_compressed_file_reads_as_its_original(tmp_path):
    path = tmp_path / "verdicts.pcap.gz"
    path.write_bytes(gzip.compress(VERDICTS.read_bytes()))
    same_rows(load(path).packets, verdicts())


@pytest.mark.parametrize("lost", [1, 40, 60])
def test_a_file_that_is_cut_off_gives_its_whole_records_and_says_so(tmp_path, lost):
    path = tmp_path / "cut.pcap"
    data = VERDICTS.read_bytes()
    path.write_bytes(data[:-lost])
    whole = sum(end <= len(data) - lost for end in record_ends(data))
    cap = load(path)
    same_rows(cap.packets, verdicts().iloc[:whole])
    assert (cap.quality.cut_off, cap.quality.complete) == (True, False)


def test_a_compressed_file_that_is_cut_off_gives_what_can_be_unpacked(tmp_path):
    path = tmp_path / "cut.pcap.gz"
    path.write_bytes(gzip.compress(VERDICTS.read_bytes())[:-200])
    cap = load(path)
    assert 0 < len(cap.packets) < 38
    assert cap.quality.cut_off


@pytest.mark.parametrize("zeros", [1, 70_000, 200_000])
def test_zeros_behind_a_gzip_file_are_padding(tmp_path, zeros):
    path = tmp_path / "padded.pcap.gz"
    path.write_bytes(gzip.compress(VERDICTS.read_bytes()) + bytes(zeros))
    cap = load(path)
    assert (len(cap.packets), cap.quality.cut_off) == (38, False)


def test_a_capture_of_no_packets_is_an_empty_table_of_the_right_types(tmp_path):
    path = tmp_path / "none.pcap"
    path.write_bytes(VERDICTS.read_bytes()[:HEADER])
    cap = load(path)
    assert len(cap.packets) == 0
    assert [str(t) for t in cap.packets.dtypes] == [c.dtype for c in PACKETS[1:]]
    assert (
        len(cap.conversations)
        == len(cap.retransmissions)
        == len(cap.lookups)
        == len(cap.fields("ip.src"))
        == 0
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pcap", b""),
        ("text.pcap", b"hello, this is no capture at all\n" * 9),
        ("stub.pcap", b"\xd4\xc3\xb2\xa1"),
    ],
)
def test_what_is_no_capture_is_refused_with_its_name(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=name) as refused:
        load(path)
    assert (refused.value.path, refused.value.exit_code) == (str(path), 7)
    assert refused.value.next_step


@pytest.mark.parametrize("path", ["nowhere.pcap", "."])
def test_a_path_without_a_file_is_refused(path):
    with pytest.raises(UnreadableFileError):
        load(path)


def test_frames_of_an_unknown_link_type_have_times_and_lengths(tmp_path):
    path = tmp_path / "strange.pcap"
    data = VERDICTS.read_bytes()
    path.write_bytes(data[:20] + struct.pack("<I", 9999) + data[HEADER:])
    cap = load(path)
    pd.testing.assert_frame_equal(cap.packets[["time", "length"]], verdicts()[["time", "length"]])
    assert cap.packets["protocol"].isna().all()
    assert any("9999" in note for note in cap.quality.notes)


def as_link_type(number, data=None):
    """VERDICTS, or another pcap, as if it came from a link of this type."""
    data = VERDICTS.read_bytes() if data is None else data
    return data[:20] + struct.pack("<I", number) + data[HEADER:]


@pytest.mark.parametrize("kinds", [(1, 9999), (9999, 1), (9999, 9998), (9999, 9999)])
def test_a_ring_may_have_files_of_an_unknown_link_type(tmp_path, kinds):
    for number, kind in enumerate(kinds, 1):
        (tmp_path / f"web.000{number}.pcap").write_bytes(as_link_type(kind))
    cap = load(*tmp_path.iterdir())
    lengths = [*verdicts()["length"], *verdicts()["length"]]
    assert cap.packets["length"].tolist() == lengths
    assert cap.packets["protocol"].notna().sum() == 38 * kinds.count(1)
    assert cap.fields("frame.len")["frame.len"].tolist() == [str(length) for length in lengths]
    assert all(any(str(kind) in note for note in cap.quality.notes) for kind in {*kinds} - {1})


@pytest.mark.parametrize("files", [1, 2])
def test_a_pcapng_may_have_interfaces_of_an_unknown_link_type(tmp_path, files):
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interfaces = b"".join(block(1, struct.pack("<HHI", link_type, 0, 0)) for link_type in (1, 9999))
    packets = b"".join(block(6, struct.pack("<IIIII", i, 0, 5, 60, 60) + bytes(60)) for i in (0, 1, 0))
    for number in range(files):
        (tmp_path / f"two.000{number}.pcapng").write_bytes(section + interfaces + packets)
    cap = load(*tmp_path.iterdir())
    assert cap.packets["src_mac"].notna().tolist() == [True, False, True] * files
    assert len(cap.fields("frame.len")) == 3 * files
    assert any("9999" in note for note in cap.quality.notes)


def test_a_name_that_looks_like_an_option_is_a_file(tmp_path, monkeypatch):
    shutil.copy(VERDICTS, tmp_path / "-r.pcap")
    monkeypatch.chdir(tmp_path)
    assert len(load("-r.pcap").packets) == 38


def test_an_interfaces_name_may_hold_anything(tmp_path):
    """A pcapng is somebody else's file: its text can neither break a row in two nor end the reading."""
    names = [b"a\tb", b"a\nb", b"a\r\nb", b"a|b", b"a\xff\xfeb", b"a\x1f\x0b\x01", b'"a', b"x" * 60000]
    interfaces = b"".join(block(1, struct.pack("<HHIHH", 1, 0, 0, 2, len(n)) + padded(n)) for n in names)
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    packets = b"".join(
        block(6, struct.pack("<IIIII", i, 0, i, 60, 60) + b"\0" * 60) for i in range(len(names))
    )
    path = tmp_path / "names.pcapng"
    path.write_bytes(section + interfaces + packets)
    table = load(path).packets
    assert len(table) == len(names)
    assert table["interface"].nunique() == len(names)
    assert list(table["interface"])[3] == "a|b"
    assert not [name for name in table["interface"] if "\n" in name or "\t" in name]


def block(kind, body):
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def padded(value):
    return value + b"\0" * (-len(value) % 4)


def test_temporary_files_go_with_the_capture(monkeypatch, tmp_path):
    parts = write_parts(tmp_path, [3])
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    cap = load(*parts)
    assert len(cap.packets) == 38
    del cap
    assert list(room.iterdir()) == []
