"""A plot that answers the mouse: what a box holds, what is drawn of very many marks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import k8scap
from k8scap import plot
from k8scap.errors import UsageError
from k8scap.plot.thinning import thin

CAPTURES = Path(__file__).resolve().parents[2] / "notebooks/captures"


@pytest.fixture(scope="module")
def lossy() -> k8scap.Capture:
    return k8scap.load(CAPTURES / "packet-loss.pcap")


def draw_box(picture, x, y) -> None:
    """As the mouse would: from one corner to the other."""
    picture._selector.extents = (*x, *y)
    press, release = (type("Event", (), {"xdata": a, "ydata": b}) for a, b in zip(x, y, strict=True))
    picture._selector.onselect(press, release)


def test_a_box_on_round_trips_is_their_two_packets(lossy):
    picture = plot.interactive(plot.latency, lossy)
    assert len(picture.selected) == 0
    told = []
    picture.on_select(told.append)
    draw_box(picture, (0.05, 0.3), (10.0, 25.0))
    trips = lossy.round_trips
    at = (trips["time"] - lossy.packets["time"].min()).dt.total_seconds()
    hit = trips[at.between(0.05, 0.3) & trips["rtt_ms"].between(10.0, 25.0)]
    expected = sorted({*hit["number"], *hit["segment"]})
    assert len(expected) > 10
    assert picture.selected.index.tolist() == expected
    assert list(picture.selected.columns) == list(lossy.packets.columns)
    assert told[0].equals(picture.selected)


def test_a_box_on_a_time_sequence_is_segments_and_answers(lossy):
    stream = 0
    picture = plot.interactive(plot.time_sequence, lossy, stream=stream)
    draw_box(picture, (0.0, 0.1), (1.0, 3000.0))
    own = lossy.packets[(lossy.packets["protocol"] == "TCP") & (lossy.packets["stream"] == stream)]
    at = (own["time"] - own["time"].min()).dt.total_seconds()
    client = own["src_port"] == own["src_port"].iloc[0]
    end = own["seq"] + own["payload_length"]
    sent = client & (own["payload_length"] > 0) & (end >= 1) & (own["seq"] <= 3000)
    answers = (~client) & own["ack"].between(1, 3000) & (own["tcp_flags"] & 0x10 > 0)
    expected = own.index[at.between(0, 0.1) & (sent | answers)]
    assert len(expected) > 3
    assert set(expected) <= set(picture.selected.index)
    assert (picture.selected["stream"] == stream).all()


def test_a_box_on_a_ladder_is_its_arrows(lossy):
    picture = plot.interactive(plot.exchange_ladder, lossy, stream=1)
    own = lossy.packets[(lossy.packets["protocol"] == "TCP") & (lossy.packets["stream"] == 1)]
    draw_box(picture, (0.3, 0.6), (-0.5, 2.5))
    assert 1 <= len(picture.selected) <= 3
    assert picture.selected.index.tolist() == own.index[: len(picture.selected)].tolist()


def test_where_marks_stand_for_no_packets_a_box_is_its_time(lossy):
    picture = plot.interactive(plot.throughput, lossy)
    draw_box(picture, (0.2, 0.4), picture.ax.get_ylim())
    at = (lossy.packets["time"] - lossy.packets["time"].min()).dt.total_seconds()
    assert picture.selected.index.tolist() == lossy.packets.index[at.between(0.2, 0.4)].tolist()


def test_a_plot_without_time_says_that_a_box_means_nothing(lossy):
    picture = plot.interactive(plot.latency_ecdf, lossy)
    draw_box(picture, picture.ax.get_xlim(), picture.ax.get_ylim())
    with pytest.raises(UsageError, match="no time on its x axis"):
        _ = picture.selected


def many_round_trips(count: int) -> pd.DataFrame:
    dice = np.random.default_rng(1)
    start = pd.Timestamp("2026-01-31T10:00:00Z")
    address = pd.CategoricalDtype(["198.18.0.1", "198.18.0.2"])
    return pd.DataFrame(
        {
            "point": pd.Categorical(["here"] * count),
            "number": np.arange(count) + 1,
            "time": start + pd.to_timedelta(np.sort(dice.uniform(0, 60, count)), unit="s"),
            "stream": pd.array([0] * count, dtype="Int32"),
            "src": pd.Categorical.from_codes([0] * count, dtype=address),
            "src_port": pd.array([40_000] * count, dtype="Int32"),
            "dst": pd.Categorical.from_codes([1] * count, dtype=address),
            "dst_port": pd.array([80] * count, dtype="Int32"),
            "kind": pd.Categorical(["ack"] * count),
            "segment": np.arange(count),
            "rtt_ms": dice.lognormal(1, 1, count),
        }
    )


def pixels(table, limits, *, thinned: bool) -> np.ndarray:
    """Where the picture is not white."""
    figure = Figure(figsize=(6, 3))
    FigureCanvasAgg(figure)
    ax = plot.latency(table, ax=figure.subplots())
    if thinned:
        thin(ax)
    if limits:
        ax.set_xlim(limits)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].min(axis=-1) < 250


@pytest.mark.parametrize("limits", [None, (10.0, 11.0), (30.0, 30.002)])
def test_thinned_marks_cover_what_all_of_them_cover(limits):
    table = many_round_trips(30_000)
    whole, thinned = (pixels(table, limits, thinned=t) for t in (False, True))
    assert whole.sum() > 2000
    assert (whole != thinned).sum() <= whole.sum() * 0.02  # marks' edges fall between pixels


def test_a_line_keeps_its_peaks():
    figure = Figure(figsize=(6, 3))
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    y = np.zeros(100_000)
    y[77_777] = 5.0
    (line,) = ax.plot(np.arange(100_000.0), y)
    thin(ax)
    figure.canvas.draw()
    assert len(line.get_xdata()) < 10_000
    assert line.get_ydata().max() == 5.0
    ax.set_xlim(77_700, 77_800)
    figure.canvas.draw()
    assert 77_777.0 in line.get_xdata()


def test_other_plots_are_drawn_as_before():
    code = (
        "import matplotlib; matplotlib.use('svg'); import k8scap; from k8scap import plot; "
        f"plot.interactive(plot.latency, k8scap.load({str(CAPTURES / 'clean.pcap')!r})); "
        "print(matplotlib.get_backend())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "svg"
