from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from k8scap import plot
from k8scap.tables.throughput import throughput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture

RED = "#d55e00"
HEADER, SACK = 54, 12


def part(ax: Axes, label: str) -> Any:
    """The mark that the legend calls so."""
    for artist in [*ax.collections, *ax.lines]:
        if str(artist.get_label()).startswith(label):
            return artist
    raise AssertionError(f"nothing is called {label}")


def marks(artist: Any) -> list[tuple[float, float]]:
    return [(round(float(x), 6), float(y)) for x, y in np.asarray(artist.get_offsets())]


def bars(artist: Any) -> list[tuple[float, float, float]]:
    """(x, from, to) of vertical lines."""
    ends = np.column_stack(artist.get_data()).reshape(-1, 3, 2)[:, :2]
    return [(round(float(a[0]), 6), float(a[1]), float(b[1])) for a, b in ends]


def hexed(artist: Any) -> str:
    from matplotlib.colors import to_hex

    color = artist.get_color()
    return to_hex(color if isinstance(color, str) else np.atleast_2d(color)[0])


# ---- retransmissions ----


def test_each_event_is_a_mark_with_the_line_of_its_wait(cap: Capture) -> None:
    ax = plot.retransmissions(cap)
    assert marks(part(ax, "fast")) == [(0.033, 0.0)]
    assert marks(part(ax, "timeout")) == [(0.394, 0.0)]
    waits = next(c for c in ax.collections if hasattr(c, "get_segments"))
    spans = [(round(a[0], 6), round(b[0], 6)) for a, b in waits.get_segments()]
    assert spans == [(0.021, 0.033), (0.144, 0.394)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["198.18.0.1:40001 → 198.18.0.2:5001"]
    assert ax.get_title(loc="left") == "2 segments were sent again, the longest wait 250 ms"


def test_the_legend_counts_the_kinds(cap: Capture) -> None:
    said = [text.get_text() for text in plot.retransmissions(cap).get_legend().get_texts()]
    assert [s for s in said if s.startswith(("fast", "timeout"))] == [
        "timeout: nobody asked for it (1)",
        "fast: the receiver asked for it (1)",
    ]


def test_the_worst_conversations_have_rows_and_the_others_share_one(cap: Capture) -> None:
    table = cap.retransmissions
    many = pd.concat([table.head(1).assign(stream=n) for n in range(30) for _ in range(30 - n)])
    ax = plot.retransmissions(many)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 14
    assert labels[-1] == "17 other conversations"
    rows = pd.Series([y for _, y in marks(part(ax, "fast"))]).value_counts().sort_index()
    assert rows.tolist() == [*range(30, 17, -1), sum(range(1, 18))]


# ---- conversations ----


def test_bars_are_the_bytes_of_each_direction(cap: Capture) -> None:
    ax = plot.conversations(cap)
    upload = (8 * HEADER + 6000, 6 * HEADER + SACK)
    request = (4 * HEADER + 200, 2 * HEADER + 300)
    widths = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert widths == [
        (0, upload[0]),
        (upload[0], upload[1]),
        (0, request[0]),
        (request[0], request[1]),
    ]
    assert sum(width for _, width in widths) == cap.packets["length"].sum()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["198.18.0.1 → 198.18.0.2:5001 TCP", "198.18.0.1 → 198.18.0.2:80 TCP"]
    assert ax.texts[0].get_text().endswith("in 1 conversation")


def test_the_smallest_pairs_share_the_last_bar(cap: Capture) -> None:
    table = cap.conversations.head(1).assign(bytes_received=0)
    many = pd.concat([table.assign(dst_port=n, bytes=n, bytes_sent=n) for n in range(1, 21)])
    ax = plot.conversations(many)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "198.18.0.1 → 198.18.0.2:20 TCP"
    assert labels[-1] == "9 smaller pairs"
    assert [bar.get_width() for bar in ax.patches][::2] == [*range(20, 9, -1), sum(range(1, 10))]


def test_what_went_wrong_stands_beside_the_bar(cap: Capture) -> None:
    refused = cap.conversations.head(1).assign(state="REJ")
    assert "1 refused" in plot.conversations(refused).texts[0].get_text()


def test_words_lie_over_no_bar_and_in_the_picture(cap: Capture) -> None:
    table = cap.conversations.head(1)
    states = ["S0", "REJ", "RSTO", "RSTR", "RSTOS0"] * 20
    ax = plot.conversations(pd.concat([table.assign(state=state) for state in states]))
    ax.figure.canvas.draw()
    box, legend = ax.texts[0].get_window_extent(), ax.get_legend().get_window_extent()
    assert ax.get_window_extent().x1 <= box.x0
    assert box.x1 <= ax.figure.bbox.x1
    assert not legend.overlaps(box)
    assert not legend.overlaps(ax.get_window_extent())


def test_long_names_leave_half_of_the_picture_to_the_bars(cap: Capture) -> None:
    long = "production-shop/checkout-service-backend-7d9c5b8f6d-x2vlq"
    ax = plot.conversations(cap.conversations.assign(src_name=long, dst_name=long.replace("x2", "y3")))
    ax.figure.canvas.draw()
    assert ax.get_window_extent().width > 0.4 * ax.figure.bbox.width
    assert "checkout" in ax.get_yticklabels()[0].get_text()


# ---- throughput ----


def test_the_line_is_the_table(cap: Capture) -> None:
    """Bins of 10 ms: three full segments from 20 to 22 ms, one at 33, 144 and 394 ms each."""
    ax = plot.throughput(cap, interval="10ms")
    line = part(ax, "198.18.0.1 → 198.18.0.2")
    rate = {round(x, 3): y for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True) if y}
    full = (1000 + HEADER) * 8 / 0.01 / 1e6
    assert rate[0.02] == pytest.approx(3 * full)
    assert [rate[0.03], rate[0.14], rate[0.39]] == [pytest.approx(full)] * 3
    mine = cap.packets[cap.packets["src"] == "198.18.0.1"]
    assert np.sum(line.get_ydata()) * 0.01 / 8 * 1e6 == pytest.approx(mine["length"].sum())


def test_the_title_has_the_mean_and_the_peak(cap: Capture) -> None:
    total = cap.packets["length"].sum() * 8 / 1e6 / 0.6
    said = plot.throughput(cap, interval="100ms").get_title(loc="left")
    assert said.startswith(f"Throughput: {total * 1000:.3g} kbit/s on average")
    assert "at most" in said


def test_a_long_capture_has_wider_bins(cap: Capture) -> None:
    """Half an hour in bins of 100 ms would be 18,000 steps."""
    packets = cap.packets.copy()
    packets["time"] = packets["time"].where(packets.index != 20, packets["time"] + pd.Timedelta("30min"))
    ax = plot.throughput(
        SimpleNamespace(packets=packets, throughput=lambda i: throughput(packets, interval=i))
    )
    assert ax.get_ylabel() == "Mbit/s in each 1 s"
    assert "minutes since" in ax.get_xlabel()


def test_between_two_connections_of_a_pair_the_line_is_at_zero(cap: Capture) -> None:
    line = part(plot.throughput(cap, interval="10ms"), "198.18.0.1 → 198.18.0.2")
    steps = list(zip(line.get_xdata().round(3), line.get_ydata(), strict=True))
    assert steps[0] == (0.0, 0.0)
    assert (0.4, 0.0) in steps
    assert all(rate > 0 for at, rate in steps if at in (0.39, 0.5))


def test_pairs_beyond_the_busiest_are_one_line(cap: Capture) -> None:
    table = cap.throughput("10ms").head(1)
    many = pd.concat([table.assign(dst=f"198.18.1.{n}", bytes=100 - n) for n in range(9)])
    said = [text.get_text() for text in plot.throughput(many).get_legend().get_texts()]
    assert len(said) == 6
    assert said[-1] == "4 other pairs"


# ---- time_sequence ----


def test_segments_are_bars_from_their_first_byte_to_their_last(cap: Capture) -> None:
    ax = plot.time_sequence(cap)
    assert bars(part(ax, "segments")) == [
        (0.0, 0.0, 1.0),
        (0.02, 1.0, 1001.0),
        (0.021, 1001.0, 2001.0),
        (0.022, 2001.0, 3001.0),
        (0.144, 3001.0, 4001.0),
    ]
    again = part(ax, "sent again")
    assert bars(again) == [(0.033, 1001.0, 2001.0), (0.394, 3001.0, 4001.0)]
    assert hexed(again) == RED


def test_acknowledgments_selective_ones_and_closed_windows_are_drawn(cap: Capture) -> None:
    ax = plot.time_sequence(cap)
    line = part(ax, "acknowledged")
    steps = [(round(x, 6), y) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    assert steps == [
        (0.01, 1),
        (0.03, 1001),
        (0.032, 1001),
        (0.043, 3001),
        (0.143, 3001),
        (0.404, 4001),
    ]
    edge = part(ax, "window's end")
    assert edge.get_ydata()[0] == 1001 + 60_000
    assert bars(part(ax, "selective ACK")) == [(0.032, 2001.0, 3001.0)]
    assert marks(part(ax, "window closed")) == [(0.043, 3001.0)]


def test_the_title_says_who_what_and_how_much_again(cap: Capture) -> None:
    assert plot.time_sequence(cap).get_title(loc="left") == (
        "198.18.0.1:40001 → 198.18.0.2:5001: 6 kB in 0.374 s, 2 of 7 segments sent again"
    )


def test_another_stream_can_be_asked_for(cap: Capture) -> None:
    stream = cap.conversations["stream"].iloc[1]
    ax = plot.time_sequence(cap, stream=stream)
    assert ax.get_title(loc="left").startswith("198.18.0.2:80 → 198.18.0.1:40002: 300 B")
    assert "No data in TCP stream 77" in plot.time_sequence(cap, stream=77).texts[0].get_text()


def test_of_several_points_the_first_is_drawn(cap: Capture) -> None:
    packets = cap.packets
    later = packets.assign(point="node-b", time=packets["time"] + pd.Timedelta("1s"))
    ax = plot.time_sequence(pd.concat([packets.assign(point="node-a"), later]))
    assert len(bars(part(ax, "sent again"))) == 2
    assert "03:04:05.000" in ax.get_xlabel()


def test_beyond_four_gibibytes_the_numbers_go_on(cap: Capture) -> None:
    size = 900_000_000
    packets = pd.concat([cap.packets.iloc[[3]]] * 6)
    packets.index = pd.RangeIndex(1, 7, name="number")
    starts = pd.Series([1 + size * n for n in range(6)], index=packets.index)
    packets["seq"] = (starts % 2**32).astype("Int64")
    packets["seq_raw"] = ((starts + 1_000_000) % 2**32).astype("Int64")
    packets["payload_length"] = pd.Series(size, index=packets.index, dtype="Int32")
    packets["time"] += pd.to_timedelta(range(6), unit="s")
    ax = plot.time_sequence(packets)
    assert [low for _, low, _ in bars(part(ax, "segments"))] == [float(n) for n in starts]


def test_the_ground_is_grey_while_the_window_is_closed(cap: Capture) -> None:
    """Closed at 43 ms, open again at 143 ms."""
    ax = plot.time_sequence(cap)
    (ground,) = [
        path
        for collection in ax.collections
        if collection.get_transform() == ax.get_xaxis_transform()
        for path in collection.get_paths()
    ]
    assert sorted({round(x, 6) for x in ground.vertices[:, 0]}) == [0.043, 0.143]


def test_each_segment_sent_again_says_why(cap: Capture) -> None:
    """The first was asked for by duplicate ACKs, the second by nobody."""
    ax = plot.time_sequence(cap)
    assert marks(part(ax, "fast")) == [(0.033, 1501.0)]
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "fast: the receiver asked for it (1)" in said


def test_the_class_of_a_loss_tells_more_than_its_kind(cap: Capture) -> None:
    table = cap.retransmissions.assign(loss_class=["tail_probe", "reordering"])
    said = [text.get_text() for text in plot.retransmissions(table).get_legend().get_texts()]
    assert "tail loss probe: a guess that it was lost (1)" in said
    assert "reordering: late, not lost (1)" in said
    unknown = plot.retransmissions(table.assign(loss_class="phase of the moon"))
    assert "phase of the moon (2)" in [text.get_text() for text in unknown.get_legend().get_texts()]
