"""A full disk ends a capture at once; what came is kept, and said."""

import subprocess
from pathlib import Path

import pytest
from outside import count_packets, python, tshark_complaint

from k8scap import live
from k8scap.errors import DiskFullError
from k8scap.recording import read_manifest


@pytest.mark.parametrize("ring", [None, (3, "4MB")], ids=["one-file", "ring"])
def test_what_came_is_kept(pair, small_disk, ring):
    disk = small_disk("5m")
    pair.keep_sending(size=1400, pause=0)

    with pytest.raises(DiskFullError, match="The disk is full") as caught:
        live.capture(pair.target, seconds=30, ring=ring, output=disk, name="web", progress=False)

    files = sorted(disk.glob("*.pcap"))
    manifest = read_manifest(disk / "web.json")
    assert caught.value.exit_code == 6
    assert caught.value.files == tuple(map(str, files))
    assert [tshark_complaint(file) for file in files] == [""] * len(files)
    assert count_packets(*files) == manifest.counters.on_disk > 1000
    assert (manifest.state, manifest.ended_by) == ("incomplete", "disk-full")
    assert manifest.evidence["end"]
    assert {path.name for path in disk.iterdir()} == {"web.json", *(file.name for file in files)}


def test_a_disk_without_room_for_a_manifest_is_not_begun_with(pair, small_disk):
    disk = small_disk("512k")

    with pytest.raises(DiskFullError, match="no room"):
        live.capture(pair.target, output=disk, name="web", progress=False)

    assert list(disk.iterdir()) == []


def test_a_stream_to_a_full_device(pair):
    pair.keep_sending()
    code = """
        import sys
        from k8scap import live
        from k8scap.errors import K8scapError
        try:
            live.capture(sys.argv[1], output="-", progress=False)
        except K8scapError as error:
            print(error.exit_code, error.message, file=sys.stderr)
        """
    with Path("/dev/full").open("wb") as full:
        capture = python(code, pair.target, stdout=full, stderr=subprocess.PIPE, text=True)
        said = capture.communicate(timeout=30)[1]

    assert said.startswith("6 The disk is full, and the capture ended")
