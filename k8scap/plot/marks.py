"""What happened meanwhile, as marks on a time axis: Kubernetes Events, and pods that came or went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import ALARM, literal, packets_of, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd
    from matplotlib.axes import Axes

MOST = 6
"""Kinds of happenings that are marked; the rest is counted in the legend."""
MOST_LINES = 30
"""Lines of one kind: a probe that fails every second is seen to be one by then."""
LEVELS = 4
QUIET = "#555555"

_APART = 0.03
"""Share of the axis that a number needs for itself."""


@dataclass(frozen=True)
class Happening:
    """Something that happened at a time, in words; `urgent` where Kubernetes calls it a Warning."""

    time: datetime
    text: str
    urgent: bool = False
    count: int = 1


def happenings(data: Any) -> list[Happening]:
    """What a capture knows to have happened, oldest first: Events, and pods seen that came or went.

    The Events of all manifests, each once; the beginnings and ends of pods by its names. What bears no
    readable time is passed over. Empty for a table.
    """
    if packets_of(data) is None:
        return []
    found = {(one.time, one.text): one for one in (*_events(data), *_changes(data))}
    return sorted(found.values(), key=lambda one: (one.time, one.text))


def mark_times(ax: Axes, data: Any, start: pd.Timestamp) -> None:
    """Mark the happenings between the ends of a time axis of seconds since `start`; the axis stays as it is.

    A dashed line each, orange-red for a Warning; a number at its top, which the legend explains. Those of
    one text share a number; Warnings go first where there are more kinds than `MOST`.
    """
    low, high = ax.get_xlim()
    origin = start.to_pydatetime(warn=False)
    kinds: dict[tuple[str, bool], list[tuple[float, int]]] = {}
    for one in happenings(data):
        at = (one.time - origin).total_seconds()
        if low <= at <= high:
            kinds.setdefault((one.text, one.urgent), []).append((at, one.count))
    chosen = sorted(kinds, key=lambda kind: (not kind[1], kinds[kind][0][0]))[:MOST]
    levels = _levels([kinds[kind][0][0] for kind in chosen], (high - low) * _APART)
    for number, kind in enumerate(sorted(chosen, key=lambda kind: kinds[kind][0][0]), start=1):
        _mark(ax, number, kind, kinds[kind], level=levels[number - 1])
    if len(kinds) > len(chosen):
        rest = sum(len(kinds[kind]) for kind in kinds.keys() - set(chosen))
        ax.plot([], [], linestyle="", label=f"and {rest:,} other Events and changes")
    ax.set_xlim(low, high)


def _mark(
    ax: Axes, number: int, kind: tuple[str, bool], times: list[tuple[float, int]], *, level: int
) -> None:
    from matplotlib.collections import LineCollection

    text, urgent = kind
    color = ALARM if urgent else QUIET
    spans = [[(at, 0.0), (at, 1.0)] for at, _ in times[:MOST_LINES]]
    lines = LineCollection(
        spans, colors=color, linewidths=0.9, linestyles="--", transform=ax.get_xaxis_transform(), zorder=1.5
    )
    ax.add_collection(lines, autolim=False)
    ax.annotate(
        str(number),
        (times[0][0], 1 - 0.065 * level),
        xycoords=ax.get_xaxis_transform(),
        xytext=(2, -2),
        textcoords="offset points",
        va="top",
        fontsize="small",
        color=color,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        zorder=5,
    )
    often = sum(count for _, count in times)
    said = f"{text} ({often:,} times)" if often > 1 else text
    ax.plot([], [], color=color, linestyle="--", linewidth=0.9, label=f"{number}  {said}")


def _levels(times: list[float], apart: float) -> list[int]:
    """For each of the times, ascending, how far down its number stands: it covers none before it."""
    levels: list[int] = []
    free = [float("-inf")] * LEVELS
    for at in sorted(times):
        level = next((n for n, until in enumerate(free) if at >= until), len(levels) % LEVELS)
        free[level] = at + apart
        levels.append(level)
    return levels


def _events(data: Any) -> Iterator[Happening]:
    recordings = getattr(data, "recordings", ())
    over_all = [recording.capture for recording in recordings if getattr(recording, "capture", None)]
    for manifest in (*getattr(data, "manifests", ()), *over_all):
        yield from _told(manifest.events)


def _told(events: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
    for event in events:
        time = _time(event.get("time"))
        what, whom = (str(event.get(key) or "")[:300] for key in ("reason", "object"))
        if time and (what or whom):
            count = event.get("count")
            often = count if isinstance(count, int) and count > 0 else 1
            text = literal(f"{shortened(what, most=24)} {shortened(whom)}".strip())
            yield Happening(time, text, urgent=event.get("type") == "Warning", count=often)


def _changes(data: Any) -> Iterator[Happening]:
    """The beginnings and ends of pods whose addresses were seen."""
    packets, names = packets_of(data), getattr(data, "names", None)
    if packets is None or not {"src", "dst"} <= set(packets.columns):
        return
    pods = [e for e in getattr(names, "entries", ()) if e.kind in ("pod", "external") and (e.start or e.end)]
    seen = {str(address) for end in ("src", "dst") for address in packets[end].unique()} if pods else set()
    for entry in pods:
        if entry.address in seen:
            whom = literal(shortened(f"{entry.namespace}/{entry.name}" if entry.namespace else entry.name))
            for time, word in ((_time(entry.start), "began"), (_time(entry.end), "ended")):
                if time:
                    yield Happening(time, f"{whom} {word}")


def _time(given: Any) -> datetime | None:
    """A time as ISO 8601 or a datetime; one without a zone is UTC."""
    try:
        time = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
