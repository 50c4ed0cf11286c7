"""The columnar engine piece by piece: any chunk, a growing file, times, columns, what it cannot read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from reference import VERDICTS, record_ends, same_rows, verdicts

import k8scap
from k8scap.errors import UsageError

ROOT = Path(__file__).parents[2]
LOSSY = ROOT / "notebooks" / "captures" / "packet-loss.pcap"


@pytest.mark.parametrize("chunk", [*range(1, 40), 1000])
def test_pieces_of_any_size_are_the_whole(chunk):
    pieces = list(k8scap.load(VERDICTS).iter_packets(chunk))
    assert [len(piece) for piece in pieces[:-1]] == [chunk] * (len(pieces) - 1)
    words = verdicts().select_dtypes("category").columns
    plain = [piece.astype(dict.fromkeys(words, object)) for piece in pieces]
    whole = pd.concat(plain)
    pd.testing.assert_frame_equal(
        whole, verdicts().astype(dict.fromkeys(words, object)), check_index_type=False, check_freq=False
    )


def test_a_lossy_capture_in_pieces_is_the_whole():
    whole = k8scap.load(LOSSY).packets
    pieces = pd.concat(
        [p.astype({"src": object, "dst": object}) for p in k8scap.load(LOSSY).iter_packets(777)]
    )
    for column in ("stream", "seq", "retransmission", "bytes_in_flight", "ack_rtt", "src"):
        assert pieces[column].astype(object).fillna(-1).tolist() == (
            whole[column].astype(object).fillna(-1).tolist()
        ), column


@pytest.mark.parametrize("chunk", [1000, 4096, 5000])
def test_a_piece_holds_as_many_frames_as_were_asked_for(tmp_path, chunk):
    path, content = tmp_path / "long.pcap", LOSSY.read_bytes()
    path.write_bytes(content[:24] + 20 * content[24:])
    whole = k8scap.load(path).packets
    pieces = list(k8scap.load(path).iter_packets(chunk))
    assert [len(p) for p in pieces] == [
        min(chunk, len(whole) - first) for first in range(0, len(whole), chunk)
    ]
    assert [number for p in pieces for number in p.index] == list(whole.index)
    assert pd.concat([p["ack_rtt"] for p in pieces]).equals(whole["ack_rtt"])


def test_a_chunk_holds_a_frame_at_least():
    with pytest.raises(UsageError, match="one frame"):
        next(k8scap.load(VERDICTS).iter_packets(0))


def test_a_growing_file_gives_what_is_there(tmp_path):
    content, path = VERDICTS.read_bytes(), tmp_path / "growing.pcap"
    path.write_bytes(content[: record_ends(content)[14] + 3])
    cap = k8scap.load(path)
    assert len(cap.packets) == 15
    path.write_bytes(content)
    same_rows(k8scap.load(path).packets, verdicts())


def test_only_the_wanted_columns_are_made():
    table = k8scap.load(LOSSY, columns=["time", "tcp_flags"]).packets
    assert list(table.columns) == ["time", "tcp_flags"]
    whole = k8scap.load(LOSSY).packets
    pd.testing.assert_frame_equal(table, whole[["time", "tcp_flags"]])


def test_times_choose_frames_and_their_numbers_stay():
    whole = verdicts()
    start, end = whole["time"].iloc[10], whole["time"].iloc[20]
    some = k8scap.load(VERDICTS, between=(start, end)).packets
    expected = whole[(whole["time"] >= start) & (whole["time"] <= end)]
    assert list(some.index) == list(expected.index)
    assert list(some["seq"]) == list(expected["seq"])


def test_rotated_files_are_numbered_on_and_keep_their_streams(tmp_path):
    content = VERDICTS.read_bytes()
    ends = record_ends(content)
    for number, (first, last) in enumerate([(24, ends[11]), (ends[11], ends[30]), (ends[30], ends[-1])]):
        (tmp_path / f"ring.{number + 1:04}.pcap").write_bytes(content[:24] + content[first:last])
    same_rows(k8scap.load(*sorted(tmp_path.glob("*.pcap"))).packets, verdicts())


def test_several_points_share_their_addresses_categories(tmp_path):
    (tmp_path / "a.pcap").write_bytes(VERDICTS.read_bytes())
    (tmp_path / "b.pcap").write_bytes(LOSSY.read_bytes())
    table = k8scap.load(tmp_path / "a.pcap", tmp_path / "b.pcap").packets
    assert table["src"].dtype == table["dst"].dtype == table["outer_src"].dtype
    for point, path in (("a", VERDICTS), ("b", LOSSY)):
        alone = k8scap.load(path).packets
        assert table.loc[table["point"] == point, "src"].tolist() == alone["src"].tolist()


def test_an_engine_that_there_is_not_is_said():
    with pytest.raises(UsageError, match="no engine"):
        k8scap.load(VERDICTS, engine="dpkt")


def test_what_this_engine_cannot_read_goes_to_the_other_with_a_note(tmp_path):
    path = tmp_path / "wireless.pcap"
    content = bytearray(VERDICTS.read_bytes())
    content[20:24] = (105).to_bytes(4, "little")  # LINKTYPE_IEEE802_11
    path.write_bytes(content)
    cap = k8scap.load(path)
    assert len(cap.packets) == 38
    assert any("link type 105" in note for note in cap.quality.notes)


@pytest.mark.longest
@pytest.mark.timeout(600)
def test_without_a_cache_folder_things_work():
    """Slower to start, and said, once: HOME may be read-only, as in many containers."""
    code = f"import k8scap; print([len(k8scap.load({str(VERDICTS)!r}).packets) for _ in range(3)])"
    environment = {**os.environ, "XDG_CACHE_HOME": "/proc/nowhere", "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[38, 38, 38]\n"
    compiling, compiled = done.stderr.splitlines()
    assert "compiling" in compiling
    assert "no cache folder" in compiled


def test_a_second_process_starts_from_the_cache():
    code = f"import k8scap; print(len(k8scap.load({str(VERDICTS)!r}).packets))"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("38\n", "")


@pytest.mark.longest
def test_ten_thousand_broken_packets_do_no_harm():
    """With Numba's bounds checks on, and twice: `benchmarks/fuzz_engine.py` says how, and tries a million."""
    argv = [sys.executable, "benchmarks/fuzz_engine.py", "--packets", "10000", "--files", "500"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    packets, files = re.match(
        r"([\d,]+) packets, ([\d,]+) files, bounds checked, nothing wrong", done.stdout
    ).groups()
    assert int(packets.replace(",", "")) >= 10_000
    assert int(files.replace(",", "")) >= 500
