"""The plots, as pictures inside the page."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from k8scap.analysis import Capture
    from k8scap.model import Finding

MAX_POINTS = 1500
"""More marks than these in one artist are drawn as pixels inside the SVG."""

MAX_SVG_BYTES = 250_000
"""A heavier drawing goes in as PNG."""

PNG_DPI = 110


@dataclass(frozen=True)
class Picture:
    """A plot as a data: address, its name, and how to read it."""

    title: str
    caption: str
    source: str


def pictures(cap: Capture, found: Iterable[Finding]) -> list[Picture]:
    """All plots of a capture; the time-sequence plot is of the worst finding's TCP stream."""
    from k8scap import plot

    views = [
        (
            "Round trips over time",
            "Each dot is one measured round trip; a rising band is a queue.",
            plot.latency,
        ),
        (
            "Round trips, as shares",
            "Read upwards: so many percent of all round trips took this long, or less.",
            plot.latency_ecdf,
        ),
        (
            "Retransmissions",
            "When segments were sent again, a row for each conversation.",
            plot.retransmissions,
        ),
        ("Throughput", "Megabits a second on the wire, by conversation and direction.", plot.throughput),
        ("Who talked to whom", "Bytes by pair of hosts, the largest first.", plot.conversations),
    ]
    drawn = [Picture(title, caption, _draw(view, cap)) for title, caption, view in views]
    stream = _worst_stream(cap, found)
    if stream is not None:
        caption = (
            f"TCP stream {stream}, of the worst finding: bytes sent against time; a flat stretch is a wait."
        )
        drawn.append(Picture("Time-sequence", caption, _draw(plot.time_sequence, cap, stream=stream)))
    return drawn


def _worst_stream(cap: Capture, found: Iterable[Finding]) -> int | None:
    """The TCP stream with most of the worst finding's frames."""
    for finding in found:
        here = cap.packets[cap.packets["point"].astype("object") == finding.point]
        mine = here[here.index.isin(finding.frames) & (here["protocol"] == "TCP")]
        if mine["stream"].notna().any():
            return int(mine["stream"].mode().iloc[0])
    return None


def _draw(view: Callable[..., Any], cap: Capture, **options: Any) -> str:
    axes = view(cap, **options)
    figure = axes.figure
    for artist in (*axes.collections, *axes.lines):
        artist.set_rasterized(_marks(artist) > MAX_POINTS)
    svg = _saved(figure, "svg", metadata={"Date": None})
    if len(svg) <= MAX_SVG_BYTES:
        return _address("image/svg+xml", svg)
    return _address("image/png", _saved(figure, "png"))


def _marks(artist: Any) -> int:
    return len(artist.get_offsets() if hasattr(artist, "get_offsets") else artist.get_xdata())


def _saved(figure: Any, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=form, dpi=PNG_DPI, bbox_inches="tight", **options)
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"
