from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from k8scap import plot
from k8scap.plot.layers import layered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from k8scap import Capture

CALM, SOME, BAD = "#0072b2", "#e69f00", "#d55e00"


def arrows(ax: Axes) -> list[FancyArrowPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def boxes(ax: Axes) -> list[FancyBboxPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def said(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def calling(cap: Capture, *pairs: tuple[str, str], **more: Any) -> pd.DataFrame:
    """A conversation a pair, of 100 packets with 10,000 bytes, nothing lost."""
    one = cap.conversations.head(1).assign(
        packets=100, bytes=10_000, retransmissions=0, state="SF", handshake_rtt_ms=5.0, **more
    )
    return pd.concat([one.assign(src_name=a, dst_name=b) for a, b in pairs], ignore_index=True)


def test_a_box_an_end_an_arrow_a_pair_and_what_goes_over_it(cap: Capture) -> None:
    ax = plot.service_map(cap)
    assert len(boxes(ax)) == 2
    assert len(arrows(ax)) == 1
    assert {"198.18.0.1", "198.18.0.2"} < set(said(ax))
    edge = next(words for words in said(ax) if ":80" in words)
    assert ":5001" in edge
    assert "40 ms" in edge  # the one exchange's answer
    assert "10 % again" in edge  # 2 of 20 packets
    assert "exchanges/s" in edge


def test_callers_stand_left_of_whom_they_call(cap: Capture) -> None:
    ax = plot.service_map(calling(cap, ("web", "api"), ("api", "db"), ("web", "db"), ("api", "redis")))
    at = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert at["web"] < at["api"] < at["db"]
    assert at["db"] == at["redis"]


@pytest.mark.parametrize(
    ("changes", "color"),
    [
        ({}, CALM),
        ({"retransmissions": 2}, SOME),
        ({"retransmissions": 3}, BAD),
        ({"retransmissions": 3, "packets": 1000}, SOME),
        ({"state": "REJ"}, BAD),
    ],
)
def test_the_colour_is_the_worst_of_an_edge(cap: Capture, changes: dict[str, Any], color: str) -> None:
    ax = plot.service_map(calling(cap, ("web", "api")).assign(**changes))
    assert to_hex(arrows(ax)[0].get_edgecolor()) == color


def test_failed_conversations_and_the_rate_are_told(cap: Capture) -> None:
    table = calling(cap, *[("web", "api")] * 4)
    table["state"] = ["REJ", "S0", "SF", "SF"]
    table["end"] = table["start"] + pd.Timedelta("1s")
    ax = plot.service_map(table)
    edge = next(words for words in said(ax) if "failed" in words)
    assert "2 failed" in edge
    assert "320 kbit/s" in edge  # 40,000 bytes in a second
    assert "rtt 5 ms" in edge


def test_workloads_stand_for_their_pods(cap: Capture) -> None:
    table = calling(cap, ("web-1", "api-1"), ("web-2", "api-2"))
    ax = plot.service_map(table.assign(src_workload="deploy/web", dst_workload=["deploy/api", None]))
    assert {"deploy/web", "deploy/api", "api-2"} < set(said(ax))
    assert len(boxes(ax)) == 3


def test_a_pair_that_two_points_saw_counts_once(cap: Capture) -> None:
    one = calling(cap, ("web", "api"))
    both = pd.concat([one.assign(point="node-a"), one.assign(point="node-b")])
    both["end"] = both["start"] + pd.Timedelta("1s")
    assert any("80 kbit/s" in words for words in said(plot.service_map(both)))


def test_of_many_pairs_the_busiest_and_the_worst_are_drawn(cap: Capture) -> None:
    table = calling(cap, *(("web", f"s{n:02d}") for n in range(50)))
    table["bytes"] = [1000 * (50 - n) for n in range(50)]
    table.loc[49, "state"] = "REJ"
    ax = plot.service_map(table)
    assert len(arrows(ax)) == 30
    assert {"s00", "s19", "s49"} < set(said(ax))
    assert "50 pairs, 1 of them in trouble; 30 drawn, the others carried" in ax.get_title(loc="left")


def test_words_on_edges_do_not_cover_boxes(cap: Capture) -> None:
    pairs = [("web", "api"), ("web", "auth"), ("api", "cart"), ("cart", "db"), ("auth", "db"), ("web", "db")]
    ax = plot.service_map(calling(cap, *pairs))
    ax.figure.canvas.draw()
    frames = [box.get_window_extent() for box in boxes(ax)]
    on_edges = [text.get_window_extent() for text in ax.texts if "rtt" in text.get_text()]
    assert len(on_edges) == 6
    assert not any(words.overlaps(frame) for words in on_edges for frame in frames)
    assert not any(a.overlaps(b) for n, a in enumerate(on_edges) for b in on_edges[:n])


def test_cycles_and_calls_to_itself_are_drawn(cap: Capture) -> None:
    ax = plot.service_map(calling(cap, ("a", "b"), ("b", "c"), ("c", "a"), ("b", "b")))
    ax.figure.canvas.draw()
    assert len(arrows(ax)) == 4
    assert len(boxes(ax)) == 3


# ---- the layout ----


def layers_of(edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    return {node: layer for node, (layer, _) in layered(edges)[0].items()}


def test_no_edge_without_a_cycle_leads_back() -> None:
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("x", "d"), ("d", "y")]
    layer = layers_of(edges)
    assert all(layer[source] < layer[target] for source, target in edges)


def test_of_a_ring_one_edge_leads_back_whatever_its_length() -> None:
    for length in (2, 3, 3000):
        edges = [*pairwise(map(str, range(length))), (str(length - 1), "0")]
        layer = layers_of(edges)
        assert sum(layer[source] >= layer[target] for source, target in edges) == 1


def test_nothing_stands_on_another_and_edges_pass_between() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d"), ("d", "c"), ("a", "e")]
    places, ways = layered(edges)
    taken = [*places.values(), *(place for way in ways for place in way)]
    assert len(set(taken)) == len(taken)
    assert [len(way) for way in ways] == [0, 0, 1, 0, 0, 0]


def test_two_that_are_called_by_two_do_not_cross() -> None:
    places, _ = layered([("a", "y"), ("b", "x"), ("a", "z")])
    order = [node for node, _ in sorted(places.items(), key=lambda item: item[1])]
    by_caller = {"a": ["y", "z"], "b": ["x"]}
    callers = [node for node in order if node in by_caller]
    assert [n for n in order if n not in by_caller] == [n for c in callers for n in sorted(by_caller[c])]
