"""How sure the findings were, against how often they were right: a table and a curve."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Told = Sequence[tuple[float, bool]]

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
Z95 = 1.959964


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927)."""
    share, square = count / total, Z95**2 / total
    middle = share + square / 2
    width = Z95 * sqrt(share * (1 - share) / total + square / 4 / total)
    return max(0.0, (middle - width) / (1 + square)), min(1.0, (middle + width) / (1 + square))


def bins(told: Told) -> Iterator[tuple[str, int, float, float, float, float]]:
    """Of each bin that holds some: name, how many, mean confidence, share that was right, its interval."""
    for low, high in pairwise(EDGES):
        last = high == EDGES[-1]
        here = [(sure, right) for sure, right in told if low <= sure < high or (last and sure == high)]
        if here:
            right = sum(right for _, right in here)
            mean = sum(sure for sure, _ in here) / len(here)
            yield f"{low:g} to {high:g}", len(here), mean, right / len(here), *wilson(right, len(here))


def table(told: Told) -> str:
    rows = [
        "| confidence | findings | mean confidence | right | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {name} | {count} | {mean:.2f} | {share:.2f} | {low:.2f} to {high:.2f} |"
        for name, count, mean, share, low, high in bins(told)
    ]
    return "\n".join(rows)


def draw(told: Told, path: Path) -> None:
    """The same as a curve; on the diagonal a finding is right as often as it says."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as often as it says")
    _, counts, means, shares, lows, highs = zip(*bins(told), strict=True) if told else [()] * 6
    below = [max(0.0, s - low) for s, low in zip(shares, lows, strict=True)]
    above = [max(0.0, high - s) for s, high in zip(shares, highs, strict=True)]
    axes.errorbar(means, shares, yerr=[below, above], marker="o", capsize=3, label="findings, 95 % interval")
    for count, mean, share in zip(counts, means, shares, strict=True):
        axes.annotate(f"{count:,}", (mean, share), textcoords="offset points", xytext=(0, 7), ha="center")
    lowest = min((*means, *lows), default=0.0) - 0.1
    axes.set(xlabel="confidence", ylabel="share that was right", xlim=(lowest, 1.01), ylim=(lowest, 1.03))
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
