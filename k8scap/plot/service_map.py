"""The map of who calls whom: rate, latency and loss on each edge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import (
    ALARM,
    COLORS,
    SIZE,
    axes_or_new,
    bytes_text,
    headline,
    milliseconds,
    packets_of,
    rate_text,
    say_empty,
    shortened,
    table_of,
    tidy,
)
from k8scap.plot.layers import layered
from k8scap.plot.service_edges import BAD_FAILED, BAD_LOSS, MOST, chosen, ports_text, service_edges
from k8scap.schema import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8scap.plot.layers import Place
    from k8scap.plot.service_edges import Edge

NEEDED = ("point", "protocol", "src", "dst", "dst_port", "start", "end", "packets", "bytes", "state",
          "retransmissions", "handshake_rtt_ms")  # fmt: skip
LOOKS = (
    (COLORS[0], "nothing lost, none failed"),
    (COLORS[1], "something was lost or failed"),
    (ALARM, f"{BAD_LOSS:.0%} sent again or more, or {BAD_FAILED:.0%} failed".replace("%", " %")),
)
"""Colour and meaning, by an edge's badness."""

_ROW_INCHES, _LAYER_INCHES = 0.62, 2.9
_BOX = 0.21
"""Half of a node's box, where layers are 1 apart: half of the room is left to the words on the edges."""
_SELDOM_MBPS = 0.01
_LETTERS = 60
"""Letters that fit side by side into the boxes of all layers."""
_PLACES = (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75, 0.2, 0.8, 0.15, 0.85)
_WORDS = (0.36, 0.36)
"""Room for the words on an edge."""

Point = tuple[float, float]


def service_map(data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw workloads, services and addresses as boxes, callers on the left, and an arrow to each they call.

    On an arrow stand the port and how much goes over it (exchanges a second, or bits), and below these the
    median latency (to the answer's first byte; "rtt" where only the handshake's round trip is known), the
    share of packets sent again and the conversations that failed. Its colour is the worst of it. `data` is a
    capture or its `conversations`. Of more than thirty pairs the twenty with most bytes and the ten worst
    others are drawn. Raises SchemaError.
    """
    table = table_of(data, "conversations")
    require(table, NEEDED, what="plot.service_map")
    if table.empty:
        return say_empty(axes_or_new(ax), "Nobody talks to anybody in this capture.")
    exchanges = None if packets_of(data) is None else getattr(data, "exchanges", None)
    edges = service_edges(data, table, exchanges)
    drawn = chosen(edges)
    places, ways = layered([(edge.source, edge.target) for edge in drawn])
    rows = 2 * max(abs(height) for _, height in (*places.values(), *chain(*ways))) + 1
    layers = max(layer for layer, _ in places.values()) + 1
    ax = axes_or_new(ax, height=1.3 + _ROW_INCHES * max(rows, 2), width=max(SIZE[0], _LAYER_INCHES * layers))
    ax.set_xlim(-_BOX - 0.03, max(layers - 1, 0.5) + _BOX + 0.03)
    floor = max(rows, 2) / 2 + 0.15
    back = any(places[edge.target][0] < places[edge.source][0] for edge in drawn)
    ax.set_ylim(floor + 0.25 * back, -floor)
    _nodes(ax, places, drawn, letters=max(min(_LETTERS // layers, 28), 18))
    span = max((table["end"].max() - table["start"].min()).total_seconds(), 1e-3)
    curves = [_curve(drawn, edge, places, way, floor) for edge, way in zip(drawn, ways, strict=True)]
    _edges(ax, drawn, curves, list(places.values()), span)
    _explain(ax, drawn)
    _title(ax, edges, drawn)
    tidy(ax, below=3)
    ax.set_axis_on()
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["bottom", "left"]].set_visible(False)
    return ax


def _nodes(ax: Axes, places: dict[str, tuple[int, float]], edges: list[Edge], *, letters: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    worst = dict.fromkeys(places, 0)
    for edge in edges:
        worst[edge.target] = max(worst[edge.target], edge.badness)
    for node, (layer, height) in places.items():
        box = FancyBboxPatch(
            (layer - _BOX, height - 0.24),
            2 * _BOX,
            0.48,
            boxstyle="round,pad=0,rounding_size=0.03",
            facecolor="#F4F7FA",
            edgecolor=LOOKS[worst[node]][0],
            linewidth=1.2,
            zorder=3,
        )
        ax.add_patch(box)
        ax.text(*(layer, height, _name(node, letters)), ha="center", va="center", fontsize="small", zorder=4)


def _name(node: str, letters: int) -> str:
    """On two lines where one is too short: `namespace/` over the name."""
    if len(node) <= letters:
        return node
    space, slash, name = node.rpartition("/")
    if not slash:
        return shortened(node, most=letters)
    return f"{shortened(space, most=letters - 1)}/\n{shortened(name, most=letters)}"


def _edges(ax: Axes, edges: list[Edge], curves: list[Curve], boxes: list[Place], span: float) -> None:
    from math import log10

    most = max(edge.bytes for edge in edges)
    taken: list[Point] = []
    for edge, curve in zip(edges, curves, strict=True):
        color = LOOKS[edge.badness][0]
        _arrow(ax, curve, color=color, width=max(1.0, 3.2 + log10(max(edge.bytes, 1) / max(most, 1))))
        spot = _free(curve, taken, boxes)
        taken.append(spot)
        ax.text(
            *(*spot, _words(edge, span)),
            ha="center",
            va="center",
            fontsize="x-small",
            color="#222222",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
            zorder=5,
        )


@dataclass(frozen=True)
class Curve:
    """Cubic Bézier curves one behind the other, three points each after the first; where its words belong.

    `words` are places for them, (piece, t), the best first.
    """

    points: tuple[Point, ...]
    words: tuple[tuple[int, float], ...]

    def at(self, piece: int, t: float) -> Point:
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        part = self.points[3 * piece : 3 * piece + 4]
        x, y = (sum(w * point[axis] for w, point in zip(weights, part, strict=True)) for axis in (0, 1))
        return x, y


def _curve(edges: list[Edge], edge: Edge, places: dict[str, Place], way: list[Place], floor: float) -> Curve:
    """From a box's right to another's left, through the places between; back to the left around below all.

    Of many that leave one box each turns soon and has its words near its end, of many that come together
    each turns late and has them near its beginning: there they are apart.
    """
    source, target = places[edge.source], places[edge.target]
    if target[0] <= source[0]:
        return _back(source, target, floor)
    leave = sum(other.source == edge.source for other in edges)
    come = sum(other.target == edge.target for other in edges)
    apart = min(leave, come) == 1 < max(leave, come)
    turn = 0.5 if not apart else 0.3 if leave > come else 0.7
    stops = [*((float(x), y) for x, y in way), (target[0] - _BOX, target[1])]
    points: list[Point] = [(source[0] + _BOX, source[1])]
    for x1, y1 in stops:
        x0, y0 = points[-1]
        bend = x0 + turn * (x1 - x0)
        points += [(bend, y0), (bend, y1), (x1, y1)]
    piece = len(stops) - 1 if leave > come else 0
    best = 0.5 if not apart else 0.8 if leave > come else 0.2
    return Curve(tuple(points), tuple((piece, t) for t in (best, *_PLACES)))


def _back(source: Place, target: Place, floor: float) -> Curve:
    """Around below all boxes; to itself just below its own."""
    (x0, y0), (x1, y1) = source, target
    aside = 0.12 if source == target else 0.0
    deep = y0 + 0.62 if source == target else (floor - (y0 + y1) / 8) / 0.75
    points = ((x0 + aside, y0 + 0.24), (x0 + aside, deep), (x1 - aside, deep), (x1 - aside, y1 + 0.24))
    return Curve(points, tuple((0, t) for t in _PLACES))


def _arrow(ax: Axes, curve: Curve, *, color: str, width: float) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.CURVE4] * (len(curve.points) - 1)]
    arrow = FancyArrowPatch(
        path=Path(list(curve.points), codes),
        arrowstyle="-|>",
        mutation_scale=9,
        color=color,
        linewidth=width,
        alpha=0.85,
        zorder=2,
    )
    ax.add_patch(arrow)


def _free(curve: Curve, taken: list[Point], boxes: list[Place]) -> Point:
    """The place on the curve for its words that covers the least of others, and of boxes."""
    wide, high = _WORDS

    def covered(spot: Point) -> float:
        x, y = spot
        words = sum(max(wide - abs(x - a), 0) * max(high - abs(y - b), 0) for a, b in taken)
        reach = (_BOX + wide / 2, 0.2 + high / 2)
        return words + 2 * sum(
            max(reach[0] - abs(x - a), 0) * max(reach[1] - abs(y - b), 0) for a, b in boxes
        )

    return min((curve.at(*place) for place in curve.words), key=covered)


def _words(edge: Edge, span: float) -> str:
    parts = []
    if isfinite(edge.latency_ms):
        parts.append(f"{'' if edge.answers else 'rtt '}{milliseconds(edge.latency_ms)}")
    if edge.again:
        share = 100 * edge.loss
        parts.append(f"{share:.2g} % again" if share < 10 else f"{share:.0f} % again")
    if edge.failed:
        parts.append(f"{edge.failed:,} failed")
    first = f"{ports_text(edge)} {_rate(edge, span)}".strip()
    return f"{first}\n{', '.join(parts)}" if parts else first


def _rate(edge: Edge, span: float) -> str:
    """Exchanges a second, else bits; of what is seldom the number itself."""
    if edge.exchanges:
        noun = "exchange" if edge.exchanges == 1 else "exchanges"
        often = edge.exchanges / span
        return f"{often:.3g} {noun}/s" if often >= 1 else f"{edge.exchanges:,} {noun}"
    mbps = edge.bytes * 8 / 1e6 / span
    return rate_text(mbps) if mbps >= _SELDOM_MBPS else bytes_text(edge.bytes)


def _explain(ax: Axes, edges: list[Edge]) -> None:
    for badness, (color, words) in enumerate(LOOKS):
        if any(edge.badness == badness for edge in edges):
            ax.plot([], [], color=color, linewidth=2.2, label=words)


def _title(ax: Axes, edges: list[Edge], drawn: list[Edge]) -> None:
    bad = sum(edge.badness == 2 for edge in edges)
    noun = "pair" if len(edges) == 1 else "pairs"
    said = f"Who calls whom: {len(edges):,} {noun}"
    said += f", {bad:,} of them in trouble" if bad else ", none in trouble"
    if len(drawn) < len(edges):
        left = sum(edge.bytes for edge in edges) - sum(edge.bytes for edge in drawn)
        said += f"; {MOST} drawn, the others carried {bytes_text(left)}"
    headline(ax, said)
