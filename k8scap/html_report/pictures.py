"""The plots, as pictures inside the page."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from k8scap.analysis import Capture
    from k8scap.model import Finding

MAX_SVG_BYTES = 250_000
"""A heavier drawing goes in as PNG."""

DOTS_PER_INCH = 130
WIDTH, HEIGHT = 7.8, 3.8
"""Inches: small, so that the words are large beside the drawing."""

MANY_ROUND_TRIPS = 3000
"""More of them cover one another as marks; a heat map counts them."""

PACKETS_IN_LADDER = 30

_HEAD, _ROW, _NOTHING = 1.6, 0.36, 1.0
_LADDER_ROW = 0.23
_MAP_ROW, _MAP_COLUMN = 0.62, 2.9
"""Inches."""


@dataclass(frozen=True)
class Picture:
    """A plot as a data: address, its name, and how to read it."""

    title: str
    caption: str
    source: str


def pictures(cap: Capture, found: Iterable[Finding]) -> list[Picture]:
    """All plots of a capture, the most telling first; the close-ups are of the worst finding's TCP stream."""
    from k8scap import plot

    first = [
        Picture(
            "Where the time went",
            "Seconds that clients waited for each service, by what for. Several that wait at once all count.",
            _draw(plot.where_time_went, cap, row=_ROW),
        ),
        Picture(
            "Who calls whom",
            "Callers on the left. On an arrow: port, rate, median latency, packets sent again, failures.",
            _draw(plot.service_map, cap, row=_MAP_ROW, column=_MAP_COLUMN),
        ),
    ]
    return [*first, *_latency(cap), *_traffic(cap), *_close_up(cap, found)]


def _latency(cap: Capture) -> Iterator[Picture]:
    from k8scap import plot

    yield Picture(
        "Round trips over time",
        "Each mark is one measured round trip, coloured by who answered. A rising band is a queue.",
        _draw(plot.latency, cap),
    )
    if len(cap.round_trips) > MANY_ROUND_TRIPS:
        yield Picture(
            "Round trips, as a heat map",
            "The darker, the more round trips took so long at that time.",
            _draw(plot.latency_heatmap, cap),
        )
    yield Picture(
        "Round trips, as shares",
        "Read upwards: this share of the round trips took so long or less.",
        _draw(plot.latency_ecdf, cap),
    )


def _traffic(cap: Capture) -> Iterator[Picture]:
    from k8scap import plot

    yield Picture(
        "Retransmissions",
        "Each mark is a segment that was sent again; a row is a conversation.",
        _draw(plot.retransmissions, cap, row=_ROW),
    )
    yield Picture(
        "Throughput", "Bytes on the wire, by conversation and direction.", _draw(plot.throughput, cap)
    )
    yield Picture(
        "Who talked to whom",
        "Bytes in each direction; the largest pairs first.",
        _draw(plot.conversations, cap, row=_ROW),
    )


def _close_up(cap: Capture, found: Iterable[Finding]) -> Iterator[Picture]:
    from k8scap import plot

    worst = _worst_stream(cap, found)
    if worst is None:
        return
    stream, frame = worst
    yield Picture(
        "One connection, close up",
        f"TCP stream {stream}, from the worst finding: sequence numbers over time. Flat is waiting.",
        _draw(plot.time_sequence, cap, stream=stream),
    )
    yield Picture(
        "The same, packet by packet",
        f"TCP stream {stream} around frame {frame}: time goes down, long waits are cut.",
        _draw(
            plot.exchange_ladder, cap, row=_LADDER_ROW, stream=stream, around=frame, most=PACKETS_IN_LADDER
        ),
    )


def _worst_stream(cap: Capture, found: Iterable[Finding]) -> tuple[int, int] | None:
    """The TCP stream with most of the worst finding's frames, if it carried data, and the first of these."""
    for finding in found:
        here = cap.packets[cap.packets["point"].astype("object") == finding.point]
        tcp = here[(here["protocol"] == "TCP") & here["stream"].notna()]
        talking = tcp.loc[tcp["payload_length"] > 0, "stream"].unique()
        mine = tcp[tcp.index.isin(finding.frames) & tcp["stream"].isin(talking)]
        if len(mine):
            stream = int(mine["stream"].mode().iloc[0])
            return stream, int(mine.index[mine["stream"] == stream].min())
    return None


def _draw(
    view: Callable[..., Any], cap: Capture, *, row: float = 0, column: float = 0, **options: Any
) -> str:
    """A view on axes that nobody else holds; `row` and `column` are inches where it has such."""
    from k8scap.plot.canvas import detached_axes

    axes = view(cap, ax=detached_axes(), **options)
    figure = axes.figure
    figure.set_size_inches(_size(axes, row=row, column=column))
    svg = _saved(figure, "svg", metadata={"Date": None})
    if len(svg) <= MAX_SVG_BYTES:
        return _address("image/svg+xml", svg)
    return _address("image/png", _saved(figure, "png"))


def _size(axes: Any, *, row: float, column: float) -> tuple[float, float]:
    """As much as there is to see: a sentence, rows, or a whole plot."""
    if not axes.axison:
        return WIDTH, _NOTHING
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    wide = max(WIDTH, column * (right - left)) if column else WIDTH
    return wide, _HEAD + row * abs(top - bottom) if row else HEIGHT


def _saved(figure: Any, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=form, dpi=DOTS_PER_INCH, bbox_inches="tight", **options)
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"
