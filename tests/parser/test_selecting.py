"""Frames that a filter chooses, from a file or from a table that was read: tshark has the last word."""

import odd_frames
import pandas as pd
import pytest
from reference import VERDICTS, same_rows
from scapy.all import IP, UDP, Ether
from test_record_reader import interface, packet, section

from k8scap import load
from k8scap.errors import FilterError
from k8scap.parser import selecting
from k8scap.parser.reference.dissect import read_fields

SURE = ("tcp.port == 80", "frame.len > 100 or arp")
ASKED_ALONE = ("udp.port == 53 and ip.addr == 198.18.0.1", "icmp and not udp", "vlan.id == 5")
ASKED_OF_ALL = ("ip.addr == 10.9.9.9 and frame.number > 12", "tcp.stream == 0", "tcp.seq == 1")
FOR_TSHARK = ('frame contains "x"', "dns.qry.name", "ip.version == 4")
FILTERS = (*SURE, *ASKED_ALONE, *ASKED_OF_ALL, *FOR_TSHARK)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return odd_frames.write(tmp_path_factory.mktemp("odd") / "odd.pcap")


@pytest.fixture(scope="module")
def whole(odd):
    return load(odd).packets


def tsharks(path, where):
    return load(path, where=where, engine="pyshark", columns=["time"]).packets.index.tolist()


@pytest.mark.parametrize("where", FILTERS)
def test_a_filter_chooses_the_frames_that_tshark_chooses(odd, whole, where):
    chosen = load(odd, where=where).packets
    assert chosen.index.tolist() == tsharks(odd, where)
    assert 0 < len(chosen) < len(whole)
    same_rows(chosen, whole.loc[chosen.index])


@pytest.mark.parametrize("where", [SURE[1], ASKED_ALONE[0], ASKED_OF_ALL[0]])
def test_so_it_does_piece_by_piece_and_in_two_points_at_once(odd, tmp_path, where):
    expected = tsharks(odd, where)
    for chunk in (1, 7, 1000):
        pieces = [piece.index.to_series() for piece in load(odd).select(where).iter_packets(chunk)]
        assert pd.concat(pieces).tolist() == expected
    for name in ("a", "b"):
        (tmp_path / f"{name}.pcap").write_bytes(odd.read_bytes())
    both = load(tmp_path / "a.pcap", tmp_path / "b.pcap", where=where).packets
    assert [both.index[both["point"] == name].tolist() for name in ("a", "b")] == [expected, expected]


@pytest.mark.parametrize("where", FILTERS)
def test_a_selection_of_what_was_read_is_the_same(odd, where):
    cap = load(odd)
    assert len(cap.packets)
    chosen = cap.select(where)
    assert chosen.packets.index.tolist() == tsharks(odd, where)
    assert chosen.select("frame.len > 60").packets.index.tolist() == tsharks(
        odd, f"({where}) && frame.len > 60"
    )


def test_a_table_that_was_read_is_chosen_from_without_its_file(tmp_path):
    path = tmp_path / "gone.pcap"
    path.write_bytes(VERDICTS.read_bytes())
    cap = load(path)
    assert len(cap.packets)
    path.unlink()
    assert cap.select("tcp.len > 0").packets.index.tolist() == tsharks(VERDICTS, "tcp.len > 0")


def test_only_the_wanted_columns_remain(odd):
    some = load(odd, where="udp.port == 53", columns=["time", "dst_port"])
    assert list(some.packets.columns) == ["time", "dst_port"]
    assert [list(piece.columns) for piece in some.iter_packets(1000)] == [["time", "dst_port"]]
    assert some.select("tcp or frame.len > 1").packets.index.tolist() == some.packets.index.tolist()


def test_a_filter_that_lets_nothing_pass_and_a_capture_of_nothing(odd, whole, tmp_path):
    none = load(odd, where="tcp.port == 9").packets
    assert (len(none), none.dtypes.to_dict()) == (0, whole.dtypes.to_dict())
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(VERDICTS.read_bytes()[:24])
    assert len(load(empty, where="tcp").packets) == 0
    for where in (None, "tcp"):
        (piece,) = load(empty, where=where).iter_packets(10)
        assert (len(piece), list(piece.columns)) == (0, list(whole.columns))


def test_tshark_is_asked_once_however_small_the_pieces_are(odd, monkeypatch):
    asked = []
    monkeypatch.setattr(selecting, "read_fields", lambda *a, **k: asked.append(a) or read_fields(*a, **k))
    for where in (ASKED_ALONE[0], ASKED_OF_ALL[0]):
        asked.clear()
        list(load(odd, where=where).iter_packets(2))
        assert len(asked) == 1


def test_a_selection_that_is_no_filter_is_refused(odd):
    with pytest.raises(FilterError):
        load(odd).select("tcp.prot == 1")


def test_where_the_engine_meets_a_link_type_that_it_does_not_know_the_other_goes_on(tmp_path):
    path = tmp_path / "two.pcapng"
    datagram = bytes(Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / UDP(sport=1, dport=2) / b"x")
    known = [packet(i * 1_000_000, datagram) for i in range(5000)]
    private = interface(147) + packet(6_000_000_000, bytes(40), number=1)
    path.write_bytes(section() + interface() + b"".join(known) + private)
    for where, frames in ((None, 5001), ("udp", 5000)):
        cap = load(path, where=where)
        pieces = list(cap.iter_packets(700))
        assert [number for piece in pieces for number in piece.index] == list(range(1, frames + 1))
        assert any("link type 147" in note for note in cap.quality.notes)
