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

MAX_SVG_BYTES = 250_000
"""A heavier drawing goes in as PNG."""

DOTS_PER_INCH = 130
WIDTH, HEIGHT = 7.8, 3.8
"""Inches: small, so that the words are large beside the drawing."""

_HEAD, _ROW, _NOTHING = 1.6, 0.36, 1.0


@dataclass(frozen=True)
class Picture:
    """A plot as a data: address, its name, and how to read it."""

    title: str
    caption: str
    source: str


def pictures(cap: Capture, found: Iterable[Finding]) -> list[Picture]:
    """All plots of a capture; the time-sequence plot is of the worst finding's TCP stream."""
    from k8scap import plot

    drawn = [
        Picture(
            "Round trips over time",
            "Each mark is one measured round trip, coloured by who answered. A rising band is a queue.",
            _draw(plot.latency, cap),
        ),
        Picture(
            "Round trips, as shares",
            "Read upwards: this share of the round trips took so long or less.",
            _draw(plot.latency_ecdf, cap),
        ),
        Picture(
            "Retransmissions",
            "Each mark is a segment that was sent again; a row is a conversation.",
            _draw(plot.retransmissions, cap, by_row=True),
        ),
        Picture(
            "Throughput", "Bytes on the wire, by conversation and direction.", _draw(plot.throughput, cap)
        ),
        Picture(
            "Who talked to whom",
            "Bytes in each direction; the largest pairs first.",
            _draw(plot.conversations, cap, by_row=True),
        ),
    ]
    stream = _worst_stream(cap, found)
    if stream is not None:
        caption = f"TCP stream {stream}, from the worst finding: sequence numbers over time. Flat is waiting."
        drawn.append(
            Picture("One connection, close up", caption, _draw(plot.time_sequence, cap, stream=stream))
        )
    return drawn


def _worst_stream(cap: Capture, found: Iterable[Finding]) -> int | None:
    """The TCP stream with most of the worst finding's frames, if it carried data."""
    for finding in found:
        here = cap.packets[cap.packets["point"].astype("object") == finding.point]
        tcp = here[(here["protocol"] == "TCP") & here["stream"].notna()]
        talking = tcp.loc[tcp["payload_length"] > 0, "stream"].unique()
        mine = tcp[tcp.index.isin(finding.frames) & tcp["stream"].isin(talking)]
        if len(mine):
            return int(mine["stream"].mode().iloc[0])
    return None


def _draw(view: Callable[..., Any], cap: Capture, *, by_row: bool = False, **options: Any) -> str:
    """A view on axes that nobody else holds; as high as its rows need where it has rows."""
    from k8scap.plot.canvas import detached_axes

    axes = view(cap, ax=detached_axes(), **options)
    figure = axes.figure
    figure.set_size_inches(WIDTH, _height(axes, by_row=by_row))
    svg = _saved(figure, "svg", metadata={"Date": None})
    if len(svg) <= MAX_SVG_BYTES:
        return _address("image/svg+xml", svg)
    return _address("image/png", _saved(figure, "png"))


def _height(axes: Any, *, by_row: bool) -> float:
    """As much as there is to see: a sentence, rows, or a whole plot."""
    if not axes.axison:
        return _NOTHING
    return _HEAD + _ROW * len(axes.get_yticks()) if by_row else HEIGHT


def _saved(figure: Any, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=form, dpi=DOTS_PER_INCH, bbox_inches="tight", **options)
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"
