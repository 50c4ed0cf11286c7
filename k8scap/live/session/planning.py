"""All that is settled, and checked, before a capture starts."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.errors import UsageError
from k8scap.live import interfaces, targets, tcpdump
from k8scap.live.netns import Namespace, require_tools
from k8scap.live.session import place
from k8scap.live.session.account import Point, read_versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.live.session.place import Place
    from k8scap.live.targets import Found, Target
    from k8scap.model import CaptureSpec
    from k8scap.runner import Runner

TOOLS = ("tcpdump", "nsenter", "setpriv", "ip")
STDOUT = "-"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A capture that can start; `stdout` is the descriptor of `-w -`, or None. Holds what `let_go` frees."""

    spec: CaptureSpec
    found: Found
    namespace: Namespace
    there: Sequence[Interface]
    points: tuple[Point, ...]
    versions: Mapping[str, str]
    stdout: int | None = None
    command: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(point.place for point in self.points if point.place)

    def let_go(self) -> None:
        for held in self.places:
            held.release()
        self.namespace.close()


def plan(
    text: str,
    spec: CaptureSpec,
    *,
    via: str,
    output: str | os.PathLike[str] | None,
    name: str | None,
    command: Sequence[str] | None,
    runner: Runner,
) -> Plan:
    """Find the target, open its namespace, choose interfaces, compile filters, take names on the disk.

    Raises all that `live.capture` does before it starts, and leaves nothing behind then.
    """
    target = targets.parse(text)
    _require_way(via)
    _require_command(command, runner)
    to_stdout = output is not None and os.fspath(output) == STDOUT
    folder, base = place.folder_and_name(None if to_stdout else output, name, target)
    require_tools(runner, *TOOLS)
    found = targets.resolve(target, runner=runner)
    namespace = Namespace.open(pid=found.pid, path=found.path)
    try:
        there = interfaces.read_interfaces(namespace, runner=runner)
        chosen = interfaces.choose(spec.interfaces, there, namespace=namespace, runner=runner)
        filters = _filters(spec, chosen, namespace, runner)
        versions = read_versions(runner)
        if to_stdout:
            _require_one_stream(spec, chosen)
            places: Sequence[Place | None] = [None]
        else:
            place.make_folder(folder)
            places = place.take_places(folder, base, chosen)
    except BaseException:
        namespace.close()
        raise
    label = _label(name, target)
    points = tuple(
        Point(
            name=label if len(chosen) == 1 else f"{label}.{interface}",
            interface=interface,
            filter=compiled,
            command=tuple(tcpdump.argv(interface, snaplen=spec.snaplen, filter=compiled)),
            place=where,
        )
        for interface, compiled, where in zip(chosen, filters, places, strict=True)
    )
    return Plan(
        spec=spec,
        found=found,
        namespace=namespace,
        there=there,
        points=points,
        versions=versions,
        stdout=sys.__stdout__.fileno() if to_stdout and sys.__stdout__ else None,
        command=tuple(command or ()),
    )


def _filters(spec: CaptureSpec, chosen: Sequence[str], namespace: Namespace, runner: Runner) -> list[str]:
    return [
        tcpdump.effective_filter(
            spec.filter, exact=spec.exact_filter, interface=i, namespace=namespace, runner=runner
        )
        for i in chosen
    ]


def _label(name: str | None, target: Target) -> str:
    """How tables call the point: as the recording was named, else as the target."""
    return name.removesuffix(".pcap") if name else str(target).replace("/", "-")


def _require_way(via: str) -> None:
    if via not in {"auto", "local"}:
        raise UsageError(f"There is no way {via!r} to a target here, only local.", next_step='via="auto"')


def _require_command(command: Sequence[str] | None, runner: Runner) -> None:
    if isinstance(command, str):
        raise UsageError("A command is a list of words.", next_step='command=["curl", "http://198.18.0.2/"]')
    if command and runner.which(command[0]) is None:
        raise UsageError(f"There is no command {command[0]} here.", next_step=f"command -v {command[0]}")


def _require_one_stream(spec: CaptureSpec, chosen: Sequence[str]) -> None:
    if len(chosen) > 1 or spec.ring:
        raise UsageError(
            "Only one interface, and no ring, goes to stdout.", next_step="-o DIR, or one -i and no --ring"
        )
    if sys.__stdout__ and sys.__stdout__.isatty():
        raise UsageError(
            "A pcap does not go to a terminal.", next_step="k8scap capture … -w - | wireshark -k -i -"
        )
