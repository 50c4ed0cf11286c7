from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from k8scap import plot
from k8scap.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture


@pytest.fixture
def table(cap: Capture) -> pd.DataFrame:
    """1,000 round trips, one a millisecond: 10 ms each, every twentieth 200 ms."""
    one = cap.round_trips.head(1)
    many = one.iloc[np.zeros(1000, dtype=int)].reset_index(drop=True)
    many["time"] = one["time"].iloc[0] + pd.to_timedelta(np.arange(1000), unit="ms")
    many["rtt_ms"] = np.where(np.arange(1000) % 20 == 0, 200.0, 10.0)
    return many


def cells(ax: Axes) -> Any:
    return np.ma.filled(ax.collections[0].get_array(), 0)


def line(ax: Axes, label: str) -> Any:
    return next(line for line in ax.lines if line.get_label() == label)


def test_every_value_is_in_a_cell_of_its_time_and_latency(table: pd.DataFrame) -> None:
    ax = plot.latency_heatmap(table)
    counts = cells(ax)
    assert counts.sum() == 1000
    assert sorted(counts.sum(axis=1)[counts.sum(axis=1) > 0]) == [50, 950]
    assert counts.sum(axis=0).min() >= 1000 / counts.shape[1] - 1
    edges = ax.collections[0].get_coordinates()[:, 0, 1]
    slow = int(np.flatnonzero(counts.sum(axis=1) == 50)[0])
    assert edges[slow] <= 200 <= edges[slow + 1]
    assert ax.get_yscale() == "log"


def test_lines_are_the_percentiles_of_each_column(table: pd.DataFrame) -> None:
    table = table.assign(rtt_ms=np.tile(np.arange(1.0, 11.0), 100))  # each column holds 1 to 10 ms
    ax = plot.latency_heatmap(table)
    assert set(line(ax, "half are faster").get_ydata()) == {5.0}
    assert set(line(ax, "95 % are faster").get_ydata()) == {10.0}


def test_a_slow_spell_is_seen_where_it_was(table: pd.DataFrame) -> None:
    spell = table["time"].between(table["time"].iloc[600], table["time"].iloc[699])
    ax = plot.latency_heatmap(table.assign(rtt_ms=np.where(spell, 500.0, 5.0)))
    median = line(ax, "half are faster")
    slow = median.get_xdata()[median.get_ydata() > 100]
    assert 0.59 <= slow.min() <= 0.61
    assert 0.68 <= slow.max() <= 0.71


def test_exchanges_can_be_drawn_and_the_unanswered_are_counted(cap: Capture) -> None:
    """The upload got no answer but ACKs."""
    for data in (cap, cap.exchanges):
        ax = plot.latency_heatmap(data, of="exchanges")
        title = ax.get_title(loc="left")
        assert title == "1 exchange: half within 40 ms, 99 % within 40 ms, 1 never answered"
        assert ax.get_ylabel() == "from request to answer (ms, logarithmic)"


def test_an_unknown_latency_is_refused(cap: Capture) -> None:
    with pytest.raises(UsageError, match="dreams"):
        plot.latency_heatmap(cap, of="dreams")


def test_one_value_and_zeros_can_be_drawn(cap: Capture) -> None:
    one = cap.round_trips.head(1)
    for table in (one, one.assign(rtt_ms=0.0)):
        ax = plot.latency_heatmap(table)
        ax.figure.canvas.draw()
        assert cells(ax).sum() == 1


def test_a_million_values_are_one_picture(cap: Capture) -> None:
    """A cell, not a mark a value: a vector picture stays small."""
    many = cap.round_trips.iloc[np.zeros(1_000_000, dtype=int)].reset_index(drop=True)
    many["time"] += pd.to_timedelta(np.arange(len(many)), unit="us")
    ax = plot.latency_heatmap(many)
    assert cells(ax).size <= 4000
    assert ax.collections[0].get_rasterized()
