"""Stream numbers where a payload announces conversations: what tshark answers, asked live."""

import openings
import pandas as pd
import pytest
from engine_comparison import compare

import k8scap

GROUPS = {
    "calls": openings.calls,
    "descriptions": openings.descriptions,
    "written_addresses": openings.written_addresses,
    "notices": openings.notices,
    "over_tcp": openings.over_tcp,
    "transfers": openings.transfers,
    "relays": openings.relays,
    "bound": openings.bound,
}


@pytest.mark.parametrize("group", GROUPS)
def test_streams_are_numbered_as_by_tshark(group, tmp_path):
    packets = openings.apart(GROUPS[group]())
    path = openings.write(tmp_path / f"{group}.pcap", [packet for _, packet in packets])
    found, frames = compare(path)
    assert {packets[frame - 1][0] for cells in found.values() for frame, _, _ in cells} == set()
    assert frames == len(packets)


def test_announcements_are_carried_over_from_piece_to_piece(tmp_path):
    """All on the same addresses: what was announced before is still there."""
    some = {name: packets for group in GROUPS.values() for name, packets in group().items()}
    del some["modem"]  # SPRT's own packets open conversations, too, where they come after others
    packets = [packet for group in some.values() for packet in group]
    path = openings.write(tmp_path / "all.pcap", packets)
    assert compare(path) == ({}, len(packets))
    whole = k8scap.load(path).packets["stream"].tolist()
    for chunk in (1, 2, 7, 100):
        pieces = pd.concat(
            [piece["stream"] for piece in k8scap.load(path, columns=["stream"]).iter_packets(chunk)]
        )
        assert pieces.tolist() == whole, chunk
