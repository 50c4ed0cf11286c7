"""Files of every kind, whole and broken, one and many; tshark that is missing or dies."""

import asyncio
import gzip
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from k8scap import load
from k8scap.errors import FilterError, ToolMissingError, UnreadableFileError, UsageError
from k8scap.schema import PACKETS

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
VERDICTS = CAPTURES / "verdicts.pcap"
HEADER = 24


@cache
def verdicts():
    return load(VERDICTS).packets


def record_ends(data):
    """Where each record of a little-endian pcap ends."""
    ends, at = [], HEADER
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        ends.append(at)
    return ends


def same_rows(ours, theirs):
    """Equal in everything but the point's name and the numbering of categories."""
    words = [c.name for c in PACKETS if c.dtype == "category"]
    left, right = (t.astype(dict.fromkeys(words, str)).drop(columns="point") for t in (ours, theirs))
    pd.testing.assert_frame_equal(left, right)


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


# ---- filters ----


def test_where_is_a_display_filter_and_keeps_numbers_and_streams():
    packets = load(VERDICTS, where="tcp.port == 40001").packets
    same_rows(packets, verdicts()[verdicts()["stream"] == 1])


@pytest.mark.parametrize("where", ["nonsense ===", "-w /tmp/x", "tcp.prot == 1", ")", "a\0b"])
def test_what_is_no_filter_is_refused_before_anything_is_read(where):
    with pytest.raises(FilterError) as refused:
        load(VERDICTS, where=where)
    assert (refused.value.filter, refused.value.exit_code) == (where, 2)


def test_a_filter_that_starts_with_a_dash_is_data(tmp_path):
    with pytest.raises(FilterError):
        load(VERDICTS, where=f"-w{tmp_path}/stolen")
    assert not list(tmp_path.iterdir())


def test_between_takes_both_ends_to_the_nanosecond():
    times = list(load(CAPTURES / "nanoseconds.pcap").packets["time"])
    kept = load(CAPTURES / "nanoseconds.pcap", between=(times[1], times[2])).packets
    assert list(kept["time"]) == times[1:3]


def test_between_takes_text_and_joins_where():
    kept = load(
        VERDICTS, where="tcp.len > 0", between=("2023-11-14T22:13:20.2Z", "2023-11-14T23:13:20.6+01:00")
    ).packets
    assert list(kept.index) == [14, 15]


@pytest.mark.parametrize(
    "between", [("2023-11-14T22:13:20", "2024-01-01T00:00Z"), ("yesterday", "2024-01-01T00:00Z")]
)
def test_a_time_without_a_zone_is_refused(between):
    with pytest.raises(UsageError):
        load(VERDICTS, between=between)


def test_a_column_that_is_not_in_the_schema_is_refused():
    with pytest.raises(UsageError, match="colour"):
        load(VERDICTS, columns=["src", "colour"])


# ---- surroundings ----


def test_it_works_inside_a_running_event_loop():
    async def inside():
        cap = load(VERDICTS)
        return len(cap.packets), cap.dissect(1).tcp.dstport

    assert asyncio.run(inside()) == (38, "80")


def test_it_works_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(len(load(VERDICTS).packets)))
    thread.start()
    thread.join()
    assert found == [38]


def test_nothing_is_warned_of_or_left_on_the_terminal():
    code = (
        f"import k8scap; c = k8scap.load({str(VERDICTS)!r}, where='tcp'); print(len(c.packets)); c.dissect(3)"
    )
    argv = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("38\n", "", 0)


def test_the_users_own_wireshark_profile_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "preferences").write_text("tcp.relative_sequence_numbers: FALSE\nip.defragment: TRUE\n")
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path))
    same_rows(load(VERDICTS).packets, verdicts())


def test_without_tshark_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="tshark") as missing:
        _ = load(VERDICTS).packets
    assert (missing.value.exit_code, missing.value.next_step) == (5, "apt-get install tshark")


def test_when_tshark_dies_what_came_is_kept_and_said(monkeypatch, tmp_path):
    dying = tmp_path / "tshark"
    real = shutil.which("tshark")
    dying.write_text(f'#!/bin/sh\n{real} "$@" | head -c 3000\nkill -SEGV $$\n')
    dying.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    cap = load(VERDICTS)
    assert 0 < len(cap.packets) < 38
    assert cap.quality.complete is False
    assert any("crashed" in note for note in cap.quality.notes)


def test_the_current_folder_cannot_choose_what_is_run(monkeypatch, tmp_path):
    """pyshark would read the config.ini of the current folder, be it a project's own or somebody's trap."""
    trap = tmp_path / "tshark"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for text in (f"[tshark]\ntshark_path = {trap}\n", "[server]\nport = 1\n"):
        (tmp_path / "config.ini").write_text(text)
        assert len(load(VERDICTS, columns=["time"]).packets) == 38
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_vanished_meanwhile_is_said_to_be_gone(tmp_path):
    path = tmp_path / "gone.pcap"
    shutil.copy(VERDICTS, path)
    cap = load(path)
    path.unlink()
    with pytest.raises(UnreadableFileError, match="no longer there"):
        _ = cap.packets


def test_an_interrupt_ends_tshark_too(tmp_path):
    stuck = tmp_path / "tshark"
    stuck.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    stuck.chmod(0o755)
    code = f"import k8scap; k8scap.load({str(VERDICTS)!r}).packets"
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    reading = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    time.sleep(2)  # until it waits for output
    reading.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in reading.communicate(timeout=60)[1]
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_rows_do_not_depend_on_where_the_output_is_cut_in_blocks(monkeypatch):
    monkeypatch.setattr("k8scap.parser.tshark.BLOCK", 701)
    same_rows(load(VERDICTS).packets, verdicts())
    assert len(load(VERDICTS).fields("ip.src", "tcp.seq").dropna()) == 38


def test_temporary_files_go_with_the_capture(monkeypatch, tmp_path):
    parts = write_parts(tmp_path, [3])
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    cap = load(*parts)
    assert len(cap.packets) == 38
    del cap
    assert list(room.iterdir()) == []
