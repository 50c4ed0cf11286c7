"""What holds for every view."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from k8scap import plot
from k8scap.errors import SchemaError
from k8scap.model import NameEntry
from k8scap.names import Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture

VIEWS = tuple(name for name in plot.__all__ if name not in {"interactive", "one_way_delays"})
TABLE_OF = {
    "conversations": "conversations",
    "exchange_ladder": "packets",
    "latency": "round_trips",
    "latency_ecdf": "round_trips",
    "latency_heatmap": "round_trips",
    "retransmissions": "retransmissions",
    "service_map": "conversations",
    "time_sequence": "packets",
    "where_time_went": "exchanges",
}
WITHOUT_X = ("exchange_ladder", "service_map")
NAMELESS = ("latency_heatmap",)
"""Of all ends together."""
OF_ONE_POINT = ("exchange_ladder", "latency_heatmap", "service_map", "time_sequence")


def table_for(cap: Capture, view: str) -> pd.DataFrame:
    return cap.throughput("10ms") if view == "throughput" else getattr(cap, TABLE_OF[view])


def words(ax: Axes) -> str:
    """All that can be read in a plot."""
    ax.figure.canvas.draw()
    ticks = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    legend = ax.get_legend()
    entries = legend.get_texts() if legend else []
    texts = [*ax.texts, *ticks, *entries, ax.xaxis.label, ax.yaxis.label]
    return "\n".join([*(t.get_text() for t in texts), ax.get_title(loc="left")])


@pytest.mark.parametrize("view", VIEWS)
def test_a_capture_or_its_table_can_be_drawn(cap: Capture, view: str) -> None:
    for data in (cap, table_for(cap, view)):
        ax = getattr(plot, view)(data)
        assert ax.get_title(loc="left")
        assert ax.get_xlabel() or view in WITHOUT_X
        assert ax.get_legend() or view in NAMELESS


@pytest.mark.parametrize(
    ("view", "units"),
    [
        ("conversations", ("bytes on the wire",)),
        ("latency", ("seconds since 03:04:05.000 UTC on 2026-01-02", "round-trip time (ms)")),
        ("exchange_ladder", ("seconds since 03:04:05.000 UTC on 2026-01-02", "len=1000")),
        ("latency_ecdf", ("(ms", "(%)")),
        ("latency_heatmap", ("seconds since 03:04:05.000 UTC on 2026-01-02", "round-trip time (ms,")),
        ("service_map", ("ms", "% again")),
        ("retransmissions", ("seconds since 03:04:05.000 UTC on 2026-01-02",)),
        ("throughput", ("seconds since", "Mbit/s in each 100 ms")),
        ("time_sequence", ("seconds since", "(bytes, relative)")),
        ("where_time_went", ("seconds, summed over exchanges",)),
    ],
)
def test_axes_tell_their_units(cap: Capture, view: str, units: tuple[str, ...]) -> None:
    said = words(getattr(plot, view)(cap))
    assert all(unit in said for unit in units)


@pytest.mark.parametrize("view", VIEWS)
def test_given_axes_are_used_and_nothing_global_is_touched(cap: Capture, view: str) -> None:
    _, ax = plt.subplots()
    figures, style = plt.get_fignums(), mpl.rcParams.copy()
    assert getattr(plot, view)(cap, ax=ax) is ax
    assert plt.get_fignums() == figures
    assert mpl.rcParams == style


@pytest.mark.parametrize("view", VIEWS)
def test_a_plot_without_data_says_so(cap: Capture, view: str) -> None:
    ax = getattr(plot, view)(table_for(cap, view).head(0))
    assert not ax.axison
    assert len(ax.texts[0].get_text().split()) >= 4


@pytest.mark.parametrize("view", VIEWS)
def test_a_missing_column_is_named(cap: Capture, view: str) -> None:
    with pytest.raises(SchemaError, match="dst"):
        getattr(plot, view)(table_for(cap, view).drop(columns="dst"))


@pytest.mark.parametrize("view", sorted({*VIEWS} - {*NAMELESS}))
def test_names_from_outside_stay_text(cap: Capture, view: str) -> None:
    """Broken mathtext would end the drawing, whole mathtext would change the name."""
    hostile = [
        NameEntry(address="198.18.0.1", name=r"$\frac$"),
        NameEntry(address="198.18.0.2", name="$x_1$"),
    ]
    shown = named(cap, Names(hostile))
    ax = getattr(plot, view)(shown)
    assert r"\$x_1\$" in words(ax)


@pytest.mark.parametrize("view", sorted({*VIEWS} - {*NAMELESS}))
def test_the_captures_names_stand_for_addresses(cap: Capture, view: str) -> None:
    entry = NameEntry(
        address="198.18.0.2", name="checkout-7d9c5b8f6d-x2vlq-with-a-long-tail", namespace="shop"
    )
    said = words(getattr(plot, view)(named(cap, Names([entry])))).replace("/\n", "/")
    assert "shop/checkout" in said
    assert "long-tail" in said
    assert "…" in said
    assert "198.18.0.2" not in said


@pytest.mark.parametrize("view", sorted({*VIEWS} - {*NAMELESS}))
def test_name_columns_stand_for_addresses(cap: Capture, view: str) -> None:
    table = table_for(cap, view).assign(src_name="frontend", dst_name="redis")
    said = words(getattr(plot, view)(table))
    assert "redis" in said
    assert "198.18.0.2" not in said


@pytest.mark.parametrize("view", sorted({*VIEWS} - {*OF_ONE_POINT}))
def test_several_points_are_told_apart(cap: Capture, view: str) -> None:
    table = table_for(cap, view)
    both = pd.concat([table.assign(point="node-a"), table.assign(point="node-b")])
    said = words(getattr(plot, view)(both))
    assert "at node-a" in said
    assert "at node-b" in said


@pytest.mark.parametrize(
    ("apart", "unit"), [("4min", "minutes"), ("1h", "hours"), ("1D", "days"), ("3000D", "days")]
)
def test_a_long_capture_counts_in_longer_units(cap: Capture, apart: str, unit: str) -> None:
    table = cap.round_trips.copy()
    table["time"] = table["time"].min() + pd.Timedelta(apart) * table.index.to_series()
    ax = plot.latency(table)
    assert f"{unit} since 03:04:05.010 UTC" in words(ax)
    assert 3 <= len(ax.get_xticks()) <= 12


def named(cap: Capture, names: Names) -> Any:
    """The capture's tables under other names."""
    tables = {name: getattr(cap, name) for name in {*TABLE_OF.values()}}
    return SimpleNamespace(**tables, throughput=cap.throughput, names=names)
