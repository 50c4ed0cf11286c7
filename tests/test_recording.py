"""Which files are one recording, in which order, and which are none."""

import os
import shutil
import struct
from pathlib import Path

import pytest

from k8scap import load
from k8scap.errors import UnreadableFileError

VERDICTS = Path(__file__).parent / "data" / "captures" / "verdicts.pcap"
HEADER = VERDICTS.read_bytes()[:24]


def second(number):
    """A capture of one frame, of this second after 1970."""
    return HEADER + struct.pack("<IIII", number, 0, 60, 60) + bytes(60)


def seconds(packets):
    return (packets["time"].astype("int64") // 10**9).tolist()


@pytest.mark.parametrize(
    "names",
    [
        ["x.pcap", *(f"x.pcap{n}" for n in range(1, 12))],  # tcpdump -C
        [f"x.pcap{n:02d}" for n in range(12)],  # tcpdump -C -W 12
        ["x.pcap.gz", "x.pcap1", "x.pcap10"],
        ["web.9998.pcap", "web.9999.pcap", "web.10000.pcap"],
    ],
)
def test_rotated_files_follow_one_another_as_they_were_written(tmp_path, names):
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(second(number))
    cap = load(*(tmp_path / name for name in sorted(names, reverse=True)))
    assert (len(cap.points), seconds(cap.packets)) == (1, list(range(len(names))))


def test_a_file_that_is_given_twice_is_read_once(tmp_path, monkeypatch):
    shutil.copy(VERDICTS, tmp_path / "a.pcap")
    (tmp_path / "link.pcap").symlink_to("a.pcap")
    monkeypatch.chdir(tmp_path)
    cap = load("a.pcap", "a.pcap", "./a.pcap", tmp_path / "a.pcap", "link.pcap")
    assert (cap.points, len(cap.packets)) == (("a",), 38)


def test_files_of_one_folder_are_one_recording_however_they_are_written(tmp_path, monkeypatch):
    for number in (1, 2):
        (tmp_path / f"web.000{number}.pcap").write_bytes(second(number))
    monkeypatch.chdir(tmp_path)
    cap = load(tmp_path / "web.0002.pcap", "web.0001.pcap")
    assert (cap.points, seconds(cap.packets)) == (("web",), [1, 2])


@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
@pytest.mark.parametrize("size", [0, 2, 10, 23])
def test_a_ring_that_is_still_written_is_read_as_far_as_it_came(tmp_path, size, engine):
    (tmp_path / "web.0001.pcap").write_bytes(VERDICTS.read_bytes())
    (tmp_path / "web.0002.pcap").write_bytes(HEADER[:size])
    cap = load(tmp_path / "web.0001.pcap", tmp_path / "web.0002.pcap", engine=engine)
    assert (len(cap.packets), len(cap.fields("frame.len"))) == (38, 38)
    assert any("web.0002.pcap" in note for note in cap.quality.notes)
    assert cap.quality.cut_off == (size > 0)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 10), (10, 2)])
def test_a_ring_without_a_whole_header_is_refused(tmp_path, sizes):
    for number, size in enumerate(sizes):
        (tmp_path / f"web.000{number}.pcap").write_bytes(HEADER[:size])
    with pytest.raises(UnreadableFileError, match=r"web\.0000\.pcap"):
        load(*tmp_path.iterdir())


@pytest.mark.timeout(60)
def test_a_pipe_is_refused_with_the_command_that_keeps_it(tmp_path):
    pipe = tmp_path / "fifo.pcap"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableFileError, match="pipe") as refused:
        load(pipe)
    assert refused.value.next_step == f"cat {pipe} > capture.pcap"
