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

PACKETS_IN_LADDER = 16

CLOSE_UPS = 3
"""Findings with pictures of their own: the page stays under 3 MB."""

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


def pictures(cap: Capture) -> list[Picture]:
    """All plots of a capture, the most telling first."""
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
    return [*first, *_latency(cap), *_traffic(cap)]


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
            "The further from the background's colour, the more round trips took so long at that time.",
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


@dataclass(frozen=True)
class Stream:
    """A TCP stream, the first of a finding's frames in it, and whether it carried data."""

    number: int
    frame: int
    talking: bool


def close_ups(cap: Capture, found: Iterable[Finding]) -> dict[int, list[Picture]]:
    """Of the worst findings, by their place: the TCP stream that shows each best."""
    found = list(found)
    drawn: dict[int, list[Picture]] = {}
    for finding, stream in telling_streams(cap, found):
        drawn[found.index(finding)] = list(_close_up(cap, finding, stream, whole=not drawn))
    return drawn


def telling_streams(cap: Capture, found: Iterable[Finding]) -> list[tuple[Finding, Stream]]:
    """The worst findings that have a TCP stream to show, and that; no stream twice."""
    telling: dict[tuple[str, int], tuple[Finding, Stream]] = {}
    for finding in found:
        stream = _telling_stream(cap, finding)
        if stream is not None:
            telling.setdefault((finding.point, stream.number), (finding, stream))
        if len(telling) == CLOSE_UPS:
            break
    return list(telling.values())


def _close_up(cap: Capture, finding: Finding, stream: Stream, *, whole: bool) -> Iterator[Picture]:
    """Some packets as a ladder; before them, of the worst finding, the `whole` connection's bytes."""
    from k8scap import plot

    data = _seen_at(cap, finding.point)
    if whole and stream.talking:
        yield Picture(
            "One connection, close up",
            f"TCP stream {stream.number}: sequence numbers over time. Flat is waiting.",
            _draw(plot.time_sequence, data, stream=stream.number),
        )
    yield Picture(
        "Packet by packet",
        f"TCP stream {stream.number} around frame {stream.frame}: time goes down, long waits are cut.",
        _draw(
            plot.exchange_ladder,
            data,
            row=_LADDER_ROW,
            stream=stream.number,
            around=stream.frame,
            most=PACKETS_IN_LADDER,
        ),
    )


def _seen_at(cap: Capture, point: str) -> Any:
    """What a view of one point is given: streams are numbered at each point anew."""
    if len(cap.points) == 1:
        return cap
    return cap.named(cap.packets[cap.packets["point"].astype("object") == point])


def _telling_stream(cap: Capture, finding: Finding) -> Stream | None:
    """The TCP stream with most of the finding's frames, one that carried data before others."""
    here = cap.packets[cap.packets["point"].astype("object") == finding.point]
    mine = here[here.index.isin(finding.frames) & (here["protocol"] == "TCP") & here["stream"].notna()]
    if mine.empty:
        return None
    streams = here[(here["protocol"] == "TCP") & here["stream"].isin(mine["stream"].unique())]
    talking = streams.loc[streams["payload_length"] > 0, "stream"].unique()
    telling = mine[mine["stream"].isin(talking)] if len(talking) else mine
    number = int(telling["stream"].mode().iloc[0])
    return Stream(number, int(telling.index[telling["stream"] == number].min()), bool(len(talking)))


def _draw(view: Callable[..., Any], data: Any, *, row: float = 0, column: float = 0, **options: Any) -> str:
    """A view on axes that nobody else holds; `row` and `column` are inches where it has such."""
    from k8scap.plot.canvas import detached_axes

    axes = view(data, ax=detached_axes(), **options)
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
