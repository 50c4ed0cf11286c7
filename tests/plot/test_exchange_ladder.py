from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from matplotlib.text import Annotation
from wire import Wire, write_pcap

import k8scap
from k8scap import plot

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from k8scap import Capture

RED = "#d55e00"


def arrows(ax: Axes) -> list[Any]:
    """(from, to, colour, dashed) from top to bottom."""
    from matplotlib.colors import to_hex

    found = [t for t in ax.texts if isinstance(t, Annotation) and t.arrow_patch is not None]
    found.sort(key=lambda t: t.xyann[1])
    return [
        (t.xyann[0], t.xy[0], to_hex(t.arrow_patch.get_edgecolor()), t.arrow_patch.get_linestyle() == "--")
        for t in found
    ]


def said(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def times(ax: Axes) -> list[float]:
    return [float(label.get_text()) for label in ax.get_yticklabels()]


def test_every_packet_is_an_arrow_from_its_sender_at_its_time(cap: Capture) -> None:
    ax = plot.exchange_ladder(cap, stream=1)
    assert [(a, b) for a, b, _, _ in arrows(ax)] == [(0, 1), (1, 0), (0, 1), (0, 1), (1, 0), (0, 1)]
    assert times(ax) == [0.5, 0.51, 0.51, 0.511, 0.551, 0.552]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["198.18.0.1:40002", "198.18.0.2:80"]
    assert [words for words in said(ax) if "len=" in words] == [
        "PSH ACK seq=1 len=200 ack=1 win=60000",
        "PSH ACK seq=1 len=300 ack=201 win=60000",
    ]
    assert "SYN seq=0 win=60000" in said(ax)


def test_what_was_sent_again_is_red_and_what_was_lost_is_dashed(cap: Capture) -> None:
    """Frames 9 and 13 repeat 5 and 12."""
    ax = plot.exchange_ladder(cap, stream=0)
    drawn = arrows(ax)
    assert len(drawn) == 14
    assert [n for n, arrow in enumerate(drawn, 1) if arrow[2] == RED] == [9, 13]
    assert [n for n, arrow in enumerate(drawn, 1) if arrow[3]] == [5, 12]
    assert all(0 < arrow[1] < 1 for arrow in drawn if arrow[3])
    remarks = [words for words in said(ax) if words.startswith("again")]
    assert remarks[0].startswith("again after 12 ms (fast)")
    assert remarks[1].startswith("again after 250 ms (")
    assert said(ax).count("lost") == 2


def test_the_worst_connection_is_the_one_that_is_drawn(cap: Capture) -> None:
    for data in (cap, cap.packets):
        assert "14 packets" in plot.exchange_ladder(data).get_title(loc="left")


def test_a_frames_own_conversation_is_the_one_around_it(cap: Capture) -> None:
    assert len(arrows(plot.exchange_ladder(cap, around=18))) == 6


def test_a_closed_window_is_marked_at_its_sender(cap: Capture) -> None:
    ax = plot.exchange_ladder(cap, stream=0)
    marks = [line for line in ax.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in marks] == [1]
    assert "window closed" in said(ax)


def test_a_long_wait_is_cut_and_says_how_long_it_was(cap: Capture) -> None:
    ax = plot.exchange_ladder(cap, stream=0)
    assert "… 250 ms …" in said(ax)
    rows = ax.get_yticks()
    assert max(b - a for a, b in pairwise(rows)) <= 4.0
    assert min(b - a for a, b in pairwise(rows)) >= 1.0


def test_waits_between_a_row_and_the_longest_step_are_to_scale(tmp_path: Path) -> None:
    wire = Wire()
    c = wire.connection()
    at = 0.0
    for n in range(21):  # 10 and 20 ms by turns
        c.send(at, "client", "PA", seq=1 + n, ack=1, size=1)
        at += 10 if n % 2 else 20
    write_pcap(tmp_path / "even.pcap", wire.frames)
    rows = plot.exchange_ladder(k8scap.load(tmp_path / "even.pcap")).get_yticks()
    steps = [b - a for a, b in pairwise(rows)]
    assert steps[0] == pytest.approx(2 * steps[1])


def test_of_many_packets_a_part_is_drawn_and_said(tmp_path: Path) -> None:
    wire = Wire()
    c = wire.connection()
    c.open()
    for n in range(200):
        c.send(30 + n, "client", "PA", seq=1 + 100 * n, ack=1, size=100)
    c.send(400, "client", "PA", seq=1 + 100 * 199, ack=1, size=100)
    write_pcap(tmp_path / "many.pcap", wire.frames)
    many = k8scap.load(tmp_path / "many.pcap")
    ax = plot.exchange_ladder(many)
    assert len(arrows(ax)) == 60
    assert any(arrow[2] == RED for arrow in arrows(ax))  # there is where something happened
    assert "here packets 145 to 204" in ax.get_title(loc="left").replace("\n", " ")
    first = plot.exchange_ladder(many, around=1, most=10)
    assert times(first)[0] == 0.0
    assert len(arrows(first)) == 10


def test_several_conversations_share_the_lifelines_of_their_ends(tmp_path: Path) -> None:
    """client → proxy → server: three ends, though the proxy has two ports."""
    wire = Wire()
    near = wire.connection(client="198.18.0.1", server="198.18.0.5", server_port=80)
    far = wire.connection(client="198.18.0.5", server="198.18.0.9", server_port=8080)
    near.send(0, "client", "S", seq=0)
    far.send(1, "client", "S", seq=0)
    far.send(2, "server", "SA", seq=0, ack=1)
    near.send(3, "server", "SA", seq=0, ack=1)
    write_pcap(tmp_path / "proxy.pcap", wire.frames)
    ax = plot.exchange_ladder(k8scap.load(tmp_path / "proxy.pcap"), stream=[0, 1])
    assert [(a, b) for a, b, _, _ in arrows(ax)] == [(0, 1), (1, 2), (2, 1), (1, 0)]
    heads = [label.get_text().strip() for label in ax.get_xticklabels()]
    assert heads == ["198.18.0.1", "198.18.0.5", "198.18.0.9"]


def test_the_client_is_left_even_where_its_server_was_captured_first(cap: Capture) -> None:
    midstream = cap.packets[cap.packets["stream"] == 1].iloc[4:]
    ax = plot.exchange_ladder(midstream)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["198.18.0.1:40002", "198.18.0.2:80"]
    assert [(a, b) for a, b, _, _ in arrows(ax)] == [(1, 0), (0, 1)]


def test_of_several_points_one_is_drawn(cap: Capture) -> None:
    later = cap.packets.assign(point="node-b", time=cap.packets["time"] + pd.Timedelta("1s"))
    both = pd.concat([cap.packets.assign(point="node-a"), later])
    assert len(arrows(plot.exchange_ladder(both, stream=1))) == 6


def test_one_packet_can_be_drawn_and_none_says_so(cap: Capture) -> None:
    assert len(arrows(plot.exchange_ladder(cap.packets.head(1)))) == 1
    assert "TCP stream 77" in plot.exchange_ladder(cap, stream=77).texts[0].get_text()
    assert not plot.exchange_ladder(cap, protocol="UDP").axison
