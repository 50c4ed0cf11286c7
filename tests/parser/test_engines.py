"""Which engine reads what: only a point that the columnar one does not know goes to tshark."""

import os
import shutil
import struct
from itertools import pairwise

import pandas as pd
import pytest
from reference import CAPTURES, HEADER, VERDICTS, record_ends, verdicts

from k8scap import load

ADDRESSES = ["src", "dst", "outer_src", "outer_dst"]


@pytest.fixture
def strange(tmp_path):
    """VERDICTS as a point whose link type (PPI) tshark knows, and the columnar engine does not."""
    path = tmp_path / "strange.pcap"
    data = VERDICTS.read_bytes()
    records = [data[:20] + struct.pack("<I", 192)]
    for start, end in pairwise([HEADER, *record_ends(data)]):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", data, start)
        records.append(struct.pack("<IIII", seconds, fraction, captured + 8, length + 8))
        records.append(struct.pack("<BBHI", 0, 0, 8, 1) + data[start + 16 : end])
    path.write_bytes(b"".join(records))
    return path


def comparable(table):
    words = [name for name, dtype in table.dtypes.items() if dtype == "category"]
    return table.astype(dict.fromkeys(words, object))


def notes_of_tshark(cap):
    return [note for note in cap.quality.notes if "tshark" in note]


def test_an_odd_point_leaves_the_others_to_the_columnar_engine(strange):
    cap = load(CAPTURES / "headers.pcap", strange, VERDICTS)
    counts = cap.packets.groupby("point", observed=True).size()
    assert dict(counts) == {"headers": 17, "strange": 38, "verdicts": 38}
    (note,) = notes_of_tshark(cap)
    assert "strange" in note
    ours = cap.packets[cap.packets["point"] == "verdicts"]
    pd.testing.assert_frame_equal(comparable(ours), comparable(verdicts()))


def test_tshark_is_not_given_the_other_points(strange, tmp_path, monkeypatch):
    """It is a hundred times slower."""
    listening = tmp_path / "tshark"
    listening.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {shutil.which("tshark")} "$@"\n')
    listening.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert len(load(strange, VERDICTS).packets) == 76
    asked = (tmp_path / "asked").read_text()
    assert "strange.pcap" in asked
    assert "verdicts.pcap" not in asked


def test_tables_of_both_engines_have_one_set_of_addresses(strange):
    packets = load(CAPTURES / "tunnels.pcap", strange, VERDICTS).packets
    assert len({packets[name].dtype for name in ADDRESSES}) == 1
    assert packets["src_mac"].dtype == packets["dst_mac"].dtype
    assert list(packets["point"].cat.categories) == ["tunnels", "strange", "verdicts"]
    assert (packets["src"] == packets["dst"]).sum() < len(packets)  # pandas refuses where categories differ


@pytest.mark.parametrize("where", ["tcp.port == 80", "frame contains 00:01"])
def test_a_filter_chooses_from_odd_points_too(strange, where):
    alone = [len(load(path, where=where).packets) for path in (strange, VERDICTS)]
    cap = load(strange, VERDICTS, where=where)
    counts = cap.packets.groupby("point", observed=False).size()
    assert [int(counts.get(point, 0)) for point in cap.points] == alone
    assert len(notes_of_tshark(cap)) == 1


@pytest.mark.parametrize("chunk", [5, 1000])
def test_pieces_go_on_behind_an_odd_point(strange, chunk):
    cap = load(CAPTURES / "headers.pcap", strange, VERDICTS)
    pieces = [comparable(piece) for piece in cap.iter_packets(chunk)]
    assert max(map(len, pieces)) <= chunk
    pd.testing.assert_frame_equal(pd.concat(pieces), comparable(cap.packets))
    assert len(notes_of_tshark(cap)) == 1
