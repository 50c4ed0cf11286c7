"""Events and pods that came or went, as marks on every time axis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from k8scap import plot
from k8scap.model import Manifest, NameEntry
from k8scap.names import Names
from k8scap.plot.marks import happenings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap import Capture

START = pd.Timestamp("2026-01-02T03:04:05Z")
TIME_VIEWS = ("latency", "latency_heatmap", "retransmissions", "throughput", "time_sequence")


def at(ms: float) -> str:
    return (START + pd.Timedelta(milliseconds=ms)).isoformat()


def event(
    ms: float, reason: str, about: str = "pod/web", kind: str = "Normal", **more: Any
) -> dict[str, Any]:
    return {"time": at(ms), "type": kind, "reason": reason, "object": about, **more}


def with_events(cap: Capture, *events: Any, names: Names | None = None) -> Any:
    """The capture as it would be with these Events in its manifest."""
    tables = ("packets", "round_trips", "retransmissions", "exchanges", "conversations", "throughput")
    return SimpleNamespace(
        **{name: getattr(cap, name) for name in tables},
        names=names or Names(),
        recordings=(),
        manifests=(Manifest(name="c", point="c", events=tuple(events)),),
    )


def lines(ax: Axes) -> list[float]:
    """Where dashed lines go from the bottom to the top."""
    tall = [c for c in ax.collections if c.get_transform() == ax.get_xaxis_transform()]
    segments = [segment for c in tall if hasattr(c, "get_segments") for segment in c.get_segments()]
    return sorted(round(float(segment[0][0]), 6) for segment in segments)


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("view", TIME_VIEWS)
def test_an_event_is_a_line_at_its_time_on_an_axis_that_stays(cap: Capture, view: str) -> None:
    shown = with_events(cap, event(250, "Unhealthy", kind="Warning"), event(-60_000, "Pulled"))
    ax, plain = getattr(plot, view)(shown), getattr(plot, view)(shown, marks=False)
    assert lines(ax) == [0.25]
    assert lines(plain) == []
    assert "1  Unhealthy pod/web" in legend(ax)
    assert not any("Pulled" in text for text in legend(ax))
    assert ax.get_xlim() == plain.get_xlim()
    assert ax.get_ylim() == plain.get_ylim()


def test_a_warning_has_the_colour_of_alarm_and_numbers_go_by_time(cap: Capture) -> None:
    ax = plot.throughput(with_events(cap, event(300, "BackOff", kind="Warning"), event(100, "Started")))
    numbers = {text.get_text(): (text.xy[0], text.get_color()) for text in ax.texts}
    assert numbers["1"][0] == pytest.approx(0.1)
    assert numbers["2"] == (pytest.approx(0.3), "#D55E00")
    assert numbers["1"][1] != "#D55E00"


def test_one_that_happens_often_has_one_number(cap: Capture) -> None:
    often = [event(100 + 20 * n, "Unhealthy", count=2) for n in range(5)]
    ax = plot.throughput(with_events(cap, *often))
    assert "1  Unhealthy pod/web (10 times)" in legend(ax)
    assert lines(ax) == [0.1, 0.12, 0.14, 0.16, 0.18]
    assert [text.get_text() for text in ax.texts] == ["1"]


def test_a_crowd_is_cut_warnings_first_and_counted(cap: Capture) -> None:
    crowd = [event(10 * n, f"Reason{n}") for n in range(40)]
    ax = plot.throughput(with_events(cap, *crowd, event(399, "Failed", kind="Warning")))
    assert any(text.endswith("Failed pod/web") for text in legend(ax))
    assert "and 35 other Events and changes" in legend(ax)
    assert len(lines(ax)) == 6


def test_numbers_close_together_do_not_cover_each_other(cap: Capture) -> None:
    ax = plot.throughput(with_events(cap, *(event(100 + n, f"Reason{n}") for n in range(4))))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_pods_that_came_or_went_are_marked_if_they_were_seen(cap: Capture) -> None:
    end, later = START + pd.Timedelta("200ms"), START + pd.Timedelta("300ms")
    entries = [
        NameEntry(address="198.18.0.2", name="old", namespace="shop", kind="pod", end=end.to_pydatetime()),
        NameEntry(
            address="198.18.0.2", name="new", namespace="shop", kind="pod", start=later.to_pydatetime()
        ),
        NameEntry(address="203.0.113.9", name="unseen", kind="pod", start=later.to_pydatetime()),
    ]
    ax = plot.throughput(with_events(cap, names=Names(entries)))
    assert lines(ax) == [0.2, 0.3]
    assert {"1  shop/old ended", "2  shop/new began"} <= set(legend(ax))


def test_what_no_manifest_should_say_is_passed_over_or_stays_text(cap: Capture) -> None:
    hostile = [
        {"time": "soon", "reason": "x"},
        {"time": None},
        {"time": "0001-01-01T00:00:00+14:00", "reason": "x"},
        {"reason": "no time"},
        event(100, r"$\frac$", "pod/" + "a" * 5000, count="many"),
        event(110, "bell\x07", "pod/x", count=-3),
    ]
    ax = plot.latency(with_events(cap, *hostile))
    ax.figure.canvas.draw()
    assert lines(ax) == [0.1, 0.11]
    assert all(len(text) < 80 and "\x07" not in text for text in legend(ax))


def test_happenings_are_told_once_and_in_order(cap: Capture) -> None:
    twice = [event(200, "B"), event(100, "A"), event(200, "B")]
    assert [one.text for one in happenings(with_events(cap, *twice))] == ["A pod/web", "B pod/web"]
    assert happenings(cap.packets) == []
    assert happenings(cap) == []
    plt.close("all")
