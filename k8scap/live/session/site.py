"""One target of a capture, surveyed: its namespace, its interfaces, the filters as they compile there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.live import interfaces, tcpdump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.live.session.place import Place
    from k8scap.live.targets import Found
    from k8scap.live.ways import Inside
    from k8scap.model import CaptureSpec


@dataclass(frozen=True, kw_only=True)
class Door:
    """A target that was found, and the way in that is open; `label` is how tables call it.

    `asked` is the target as it was asked for, which may stand for several.
    `prefer` are the interfaces to capture on where none was asked for and they are there; `narrow` is a
    filter that the user's own is narrowed by (a pod in its node's network), and `leave_out` one of what is
    never captured (the capture's own stream).
    """

    found: Found
    inside: Inside
    label: str
    asked: str
    prefer: tuple[str, ...] = ()
    narrow: str = ""
    leave_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One interface of the target: its filter as compiled, its command, and where it is recorded.

    `place` is None where the stream goes to stdout only; `name` is how tables call the point.
    """

    name: str
    interface: str
    filter: str
    command: tuple[str, ...]
    place: Place | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a door leads to: all interfaces, those chosen, and the filter for each of these."""

    door: Door
    there: tuple[Interface, ...]
    chosen: tuple[str, ...]
    filters: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A target that can be captured: `points` are one an interface."""

    door: Door
    there: tuple[Interface, ...]
    versions: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def found(self) -> Found:
        return self.door.found

    @property
    def inside(self) -> Inside:
        return self.door.inside

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(point.place for point in self.points if point.place)

    def let_go(self) -> None:
        for held in self.places:
            held.release()
        self.inside.close()


def survey(door: Door, spec: CaptureSpec, *, versions: Mapping[str, str]) -> Survey:
    """Look inside: choose interfaces, compile filters. Raises InterfaceNotFoundError, FilterError."""
    inside = door.inside
    there = inside.interfaces()
    preferred = tuple(i.name for i in there if i.name in door.prefer and i.up)
    chosen = interfaces.choose(spec.interfaces or preferred, there)
    filters = tuple(
        tcpdump.effective_filter(
            spec.filter,
            exact=spec.exact_filter,
            interface=interface,
            inside=inside,
            narrow=door.narrow,
            leave_out=door.leave_out,
        )
        for interface in chosen
    )
    told = {**versions, **tcpdump.version(inside), **({"kernel": inside.kernel} if inside.kernel else {})}
    return Survey(door=door, there=there, chosen=chosen, filters=filters, versions=told)


def site(found: Survey, spec: CaptureSpec, places: Sequence[Place | None], *, label: str) -> Site:
    """The survey's site, one of `places` for each of its chosen interfaces."""
    several = len(found.chosen) > 1
    points = tuple(
        Point(
            name=f"{label}.{interface}" if several else label,
            interface=interface,
            filter=compiled,
            command=tuple(tcpdump.argv(interface, snaplen=spec.snaplen, filter=compiled)),
            place=where,
        )
        for interface, compiled, where in zip(found.chosen, found.filters, places, strict=True)
    )
    return Site(door=found.door, there=found.there, versions=found.versions, points=points)
