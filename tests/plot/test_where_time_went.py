from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from k8scap import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture


def heights(ax: Axes) -> dict[str, list[float]]:
    """Seconds of each part, by its words in the legend, row by row."""
    return {str(bars.get_label()): [bar.get_width() for bar in bars] for bars in ax.containers}


def labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_each_part_is_as_long_as_it_lasted(cap: Capture) -> None:
    """The request's connection: handshake 10 ms, answer 40 ms after the request over a path of 10 ms."""
    ax = plot.where_time_went(cap)
    assert labels(ax) == ["198.18.0.2:80"]
    seconds = {words: pytest.approx(bars[0]) for words, bars in heights(ax).items()}
    assert seconds == {"connecting": 0.010, "the path's round trip": 0.010, "the server": 0.030}
    assert ax.texts[0].get_text() == "50 ms in 1 exchange, 60 % the server"
    assert ax.get_title(loc="left").replace("\n", " ") == (
        "Where the time went: clients waited 50 ms in all: 60 % the server; 1 never answered"
    )


def test_the_clients_own_time_stands_apart_and_only_if_asked_for(cap: Capture) -> None:
    idle = heights(plot.where_time_went(cap, idle=True))["client idle"]
    assert idle == [pytest.approx(0.001)]
    assert "client idle" not in heights(plot.where_time_went(cap))


def test_bars_are_sums_over_a_services_exchanges_the_longest_on_top(cap: Capture) -> None:
    one = cap.exchanges[cap.exchanges["dst_port"] == 80]
    table = pd.concat(
        [one.assign(dst_port=port, server_ms=1000.0, stall_ms=500.0) for port in (1, 2, 2, 2, 3, 3)]
    )
    ax = plot.where_time_went(table)
    assert labels(ax) == ["198.18.0.2:2", "198.18.0.2:3", "198.18.0.2:1"]
    assert heights(ax)["the server"] == pytest.approx([3.0, 2.0, 1.0])
    assert heights(ax)["stalled by loss"] == pytest.approx([1.5, 1.0, 0.5])
    ends = {round(bars[0].get_x() + bars[0].get_width(), 6) for bars in ax.containers}
    begins = {round(bars[0].get_x(), 6) for bars in ax.containers}
    assert begins - {0.0} < ends  # stacked: each begins where another ends


def test_services_beyond_the_tenth_share_the_last_bar(cap: Capture) -> None:
    one = cap.exchanges[cap.exchanges["dst_port"] == 80].assign(connect_ms=0.0, path_ms=0.0)
    ax = plot.where_time_went(pd.concat([one.assign(dst_port=n, server_ms=n * 1000.0) for n in range(1, 21)]))
    assert len(labels(ax)) == 10
    assert labels(ax)[-1] == "11 other services"
    assert heights(ax)["the server"] == pytest.approx([*range(20, 11, -1), sum(range(1, 12))])


def test_what_was_never_answered_is_counted_and_has_no_bar(cap: Capture) -> None:
    answered = cap.exchanges[cap.exchanges["response_end"].notna()]
    silent = answered.assign(response_end=pd.NaT, server_ms=float("nan"), connect_ms=float("nan"))
    silent["path_ms"] = silent["idle_ms"] = float("nan")
    ax = plot.where_time_went(pd.concat([answered, silent]))
    assert ax.texts[0].get_text() == "50 ms in 2 exchanges (1 unanswered), 60 % the server"
    assert plot.where_time_went(silent).texts[0].get_text() == (
        "None of the 1 requests in this capture was answered."
    )


def test_the_title_speaks_of_one_point(cap: Capture) -> None:
    """Two points see the same exchange: nobody waited twice."""
    both = pd.concat([cap.exchanges.assign(point=point) for point in ("node-a", "node-b")])
    assert "waited 50 ms in all" in plot.where_time_went(both).get_title(loc="left")
