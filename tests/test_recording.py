"""Which files are one recording, in which order, and which are none."""

import json
import os
import shutil
import struct
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k8scap import load
from k8scap.errors import UnreadableFileError
from k8scap.model import CaptureManifest, Manifest, NameEntry, RecordingFile
from k8scap.recording import read_capture_manifest, read_manifest, write_manifest

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


def captured_together(folder, *, files=None):
    """Two points' recordings, their manifests, and the one over all."""
    for number, pod in enumerate(("web-1", "db.0")):
        (folder / f"shop.{pod}.pcap").write_bytes(second(number))
        own = (NameEntry(address=f"198.18.0.{number}", name=pod, kind="pod", namespace="shop"),)
        listed = (RecordingFile(name=f"shop.{pod}.pcap", bytes=100, records=1),)
        manifest = Manifest(
            name=f"shop.{pod}", point=pod, state="complete", names=own, files=listed, capture="shop.json"
        )
        write_manifest(folder / f"shop.{pod}.json", manifest)
    together = CaptureManifest(
        name="shop",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        state="complete",
        recordings=tuple(
            {"name": f"shop.{pod}", "point": pod, "files": files or [{"name": f"shop.{pod}.pcap"}]}
            for pod in ("web-1", "db.0")
        ),
        names=(NameEntry(address="198.18.9.9", name="redis", kind="service", namespace="shop"),),
        events=({"reason": "Unhealthy", "object": "pod/web-1"},),
        dataplane={"cni": "cilium"},
    )
    write_manifest(folder / "shop.json", together)
    return together


def test_the_manifest_over_all_opens_every_recording(tmp_path):
    together = captured_together(tmp_path)
    cap = load(tmp_path / "shop.json")
    assert (cap.points, seconds(cap.packets)) == (("web-1", "db.0"), [0, 1])
    assert read_capture_manifest(tmp_path / "shop.json") == together
    assert {entry.name for entry in cap.names.entries} == {"web-1", "db.0", "redis"}


def test_one_recording_of_several_has_the_names_of_the_manifest_over_all(tmp_path):
    captured_together(tmp_path)
    for given in ("shop.web-1.pcap", "shop.web-1.json"):
        cap = load(tmp_path / given)
        assert cap.points == ("web-1",)
        assert {entry.name for entry in cap.names.entries} == {"web-1", "redis"}


def test_a_running_capture_lists_no_files_and_opens(tmp_path):
    captured_together(tmp_path)
    data = json.loads((tmp_path / "shop.json").read_text())
    for files in (None, [], 7, "shop.db.0.pcap"):
        for recording in data["recordings"]:
            recording["files"] = files
        (tmp_path / "shop.json").write_text(json.dumps(data))
        assert load(tmp_path / "shop.json").points == ("web-1", "db.0")


@pytest.mark.parametrize("name", ["../x.pcap", "/etc/passwd", "..", "", "a/b.pcap", "a\\b", "a\0b", 7, None])
def test_a_manifest_opens_only_files_beside_it(tmp_path, name):
    (tmp_path / "x.pcap").write_bytes(second(1))
    folder = tmp_path / "in"
    folder.mkdir()
    captured_together(folder, files=[{"name": name}])
    with pytest.raises(UnreadableFileError, match="only files beside it"):
        load(folder / "shop.json")


def test_a_recording_that_names_a_manifest_elsewhere_does_without(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    captured_together(tmp_path)
    captured_together(folder)
    own = replace(read_manifest(folder / "shop.web-1.json"), capture="../shop.json")
    write_manifest(folder / "shop.web-1.json", own)
    assert [entry.name for entry in load(folder / "shop.web-1.pcap").names.entries] == ["web-1"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "[" * 100_000, '{"kind": "capture", "format": 1, "name": "x", "recordings": [3]}'],
)
def test_json_that_is_no_manifest_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UnreadableFileError, match=r"no recording's manifest|is empty"):
        load(tmp_path / "x.json")


def test_what_a_newer_version_writes_is_passed_over(tmp_path):
    captured_together(tmp_path)
    data = json.loads((tmp_path / "shop.json").read_text())
    data["tomorrow"] = data["names"][0]["tomorrow"] = {"x": 1}
    (tmp_path / "shop.json").write_text(json.dumps(data))
    assert [entry.name for entry in read_capture_manifest(tmp_path / "shop.json").names] == ["redis"]
