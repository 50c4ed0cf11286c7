"""What a zoom costs on plots of very many points, drawn whole and drawn thinned, in one run.

    python benchmarks/interactive_plots.py BULK.pcap        # BULK.pcap: benchmarks/bulk_capture.py makes one

`latency` is drawn of a million made-up round trips, `time_sequence` of the capture's largest connection.
Whole is matplotlib alone; thinned is what `plot.interactive` does. Milliseconds of one drawing, after each of
some zooms; the last column is the time from a box to its DataFrame.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import k8scap
from k8scap import plot
from k8scap.plot.thinning import thin

ZOOMS = (1.0, 0.3, 0.05, 0.002)
"""Parts of the time axis that are seen."""


def many_round_trips(count: int, point: str) -> pd.DataFrame:
    """As `cap.round_trips` has them: log-normal, over a minute."""
    dice = np.random.default_rng(1)
    address = pd.CategoricalDtype(["198.18.0.1", "198.18.0.2"])
    start = pd.Timestamp("2026-01-31T10:00:00Z")
    numbers = np.arange(count)
    return pd.DataFrame(
        {
            "point": pd.Categorical([point] * count),
            "number": numbers + 1,
            "time": start + pd.to_timedelta(np.sort(dice.uniform(0, 60, count)), unit="s"),
            "stream": pd.array(np.zeros(count, np.int32), dtype="Int32"),
            "src": pd.Categorical.from_codes(np.zeros(count, np.int8), dtype=address),
            "src_port": pd.array(np.full(count, 40_000, np.int32), dtype="Int32"),
            "dst": pd.Categorical.from_codes(np.ones(count, np.int8), dtype=address),
            "dst_port": pd.array(np.full(count, 80, np.int32), dtype="Int32"),
            "kind": pd.Categorical(["ack"] * count),
            "segment": numbers,
            "rtt_ms": dice.lognormal(1, 1, count),
        }
    )


def drawings(canvas: Any, ax: Any) -> list[float]:
    low, high = ax.get_xlim()
    times = []
    for part in ZOOMS:
        middle = (low + high) / 2
        ax.set_xlim(middle - (high - low) * part / 2, middle + (high - low) * part / 2)
        start = time.perf_counter()
        canvas.draw()
        times.append((time.perf_counter() - start) * 1000)
    ax.set_xlim(low, high)
    return times


def drawn(view: Any, data: Any, options: dict[str, Any], *, thinned: bool) -> list[float]:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    ax = view(data, ax=figure.subplots(), **options)
    if thinned:
        thin(ax)
    canvas.draw()
    figure.set_layout_engine("none")
    return drawings(canvas, ax)


def measure(name: str, points: int, view: Any, data: Any, **options: Any) -> None:
    without, thinned = (drawn(view, data, options, thinned=thinned) for thinned in (False, True))
    picture = plot.interactive(view, data, **options)
    left, right = picture.ax.get_xlim()
    picture.box = (left, (left + right) / 2, *picture.ax.get_ylim())
    start = time.perf_counter()
    found = len(picture.selected)
    boxed = (time.perf_counter() - start) * 1000
    figures = [f"{statistics.median(times):.0f} ({max(times):.0f})" for times in (without, thinned)]
    print(f"| {name} | {points:,} | {' | '.join(figures)} | {boxed:.0f} ({found:,} packets) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    arguments = parser.parse_args()
    cap = k8scap.load(arguments.capture)
    tcp = cap.packets[cap.packets["protocol"] == "TCP"]
    stream = int(tcp["stream"].value_counts().index[0])
    trips = many_round_trips(1_000_000, cap.points[0])
    data = type("Drawn", (), {"packets": cap.packets, "round_trips": trips, "names": cap.names})
    print("| view | points | whole, ms: median (worst) | thinned | box → table, ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    measure("latency", len(trips), plot.latency, data)
    measure("time_sequence", int((tcp["stream"] == stream).sum()), plot.time_sequence, cap, stream=stream)


if __name__ == "__main__":
    main()
