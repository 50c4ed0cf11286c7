from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from k8scap import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def points(ax: Axes) -> set[tuple[float, float]]:
    return {(round(x, 6), round(y, 6)) for part in ax.collections for x, y in np.asarray(part.get_offsets())}


def test_each_round_trip_is_a_mark_at_the_time_of_its_answer(cap: Capture) -> None:
    """Times in seconds and round trips in ms, as the capture was made."""
    expected = {
        (0.01, 10.0),  # SYN of the upload
        (0.01, 0.0),  # its SYN-ACK
        (0.03, 10.0),  # 4 by 7
        (0.51, 10.0),  # SYN of the request
        (0.51, 0.0),
        (0.551, 40.0),  # the request by its response
        (0.552, 1.0),  # the response
    }
    assert points(plot.latency(cap)) == expected


def test_the_legend_has_median_and_95th_percentile_of_each_service(cap: Capture) -> None:
    said = legend(plot.latency(cap))
    assert "198.18.0.2:5001\n  median 10 ms, 95 % ≤ 10 ms" in said
    assert "198.18.0.2:80\n  median 25 ms, 95 % ≤ 38.5 ms" in said
    assert any(entry.startswith("198.18.0.1, as client") for entry in said)
    assert {"measured by handshake", "measured by acknowledgment"} <= set(said)


def test_the_title_speaks_of_the_services_not_of_the_clients_kernel(cap: Capture) -> None:
    """To the services: 10, 10, 10, 40 ms."""
    assert plot.latency(cap).get_title(loc="left") == (
        "Round trips to the services: half within 10 ms, 95 % within 35.5 ms"
    )


@pytest.mark.parametrize(("slowest", "scale"), [(30.0, "linear"), (3000.0, "log")])
def test_the_scale_is_logarithmic_where_the_spread_asks_for_it(
    cap: Capture, slowest: float, scale: str
) -> None:
    table = cap.round_trips.assign(rtt_ms=10.0)
    table.loc[0, "rtt_ms"] = slowest
    ax = plot.latency(table)
    assert ax.get_yscale() == scale
    assert ("logarithmic" in ax.get_ylabel()) == (scale == "log")


def test_the_busiest_services_are_named_and_the_rest_counted(cap: Capture) -> None:
    one = cap.round_trips[cap.round_trips["dst_port"] == 80].head(1)
    many = pd.concat([one.assign(dst_port=80 + n) for n in range(9) for _ in range(9 - n)])
    said = legend(plot.latency(many))
    assert [entry.split("\n")[0] for entry in said] == [
        *(f"198.18.0.2:{80 + n}" for n in range(5)),
        "4 other services",
    ]


def test_many_samples_are_drawn_as_pixels(cap: Capture) -> None:
    ack = cap.round_trips[cap.round_trips["kind"] == "ack"].head(1)
    for copies, pixels in ((4000, True), (40, False)):
        ax = plot.latency(pd.concat([ack] * copies))
        drawn = [part for part in ax.collections if len(part.get_offsets())]
        assert [part.get_rasterized() for part in drawn] == [pixels]


def test_a_curve_rises_by_the_share_of_each_sample(cap: Capture) -> None:
    table = cap.round_trips.head(4).assign(
        dst="198.18.0.2", dst_name="web", dst_port=80, src_port=50_000, rtt_ms=[4.0, 1.0, 3.0, 2.0]
    )
    ax = plot.latency_ecdf(table)
    curve = next(line for line in ax.lines if len(line.get_xdata()) > 2)
    assert list(zip(curve.get_xdata(), curve.get_ydata(), strict=True)) == [
        (1.0, 0.0),
        (1.0, 25.0),
        (2.0, 50.0),
        (3.0, 75.0),
        (4.0, 100.0),
    ]
    assert curve.get_drawstyle() == "steps-post"


def test_the_three_shares_are_marked_and_said(cap: Capture) -> None:
    ax = plot.latency_ecdf(cap)
    assert {line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"} == {50, 95, 99}
    assert ax.get_title(loc="left") == (
        "Round trips to the services: 50 % within 10 ms, 95 % within 35.5 ms, 99 % within 39.1 ms"
    )
