"""All that is settled, and checked, before a capture starts."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.errors import K8scapError, UsageError
from k8scap.live import doors
from k8scap.live.session import place
from k8scap.live.session.account import own_version
from k8scap.live.session.site import site, survey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.live.doors import Cluster, Scope
    from k8scap.live.session.place import Place
    from k8scap.live.session.site import Door, Site, Survey
    from k8scap.model import CaptureSpec
    from k8scap.runner import Runner

STDOUT = "-"
_MOST_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A capture that can start; `stdout` is the descriptor of `-w -`, or None. Holds what `let_go` frees.

    `group` is the place of the manifest over all, where there are several targets; `notes` say what was
    asked for and will not be captured.
    """

    spec: CaptureSpec
    sites: tuple[Site, ...]
    folder: Path | None = None
    group: Place | None = None
    cluster: Cluster | None = None
    stdout: int | None = None
    command: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    follow: bool = False

    @property
    def recording_names(self) -> list[str]:
        own = [held.name for each in self.sites for held in each.places]
        return [*own, self.group.name] if self.group else own  # the one over all tells of the others: last

    def let_go(self) -> None:
        for each in self.sites:
            each.let_go()
        if self.group:
            self.group.release()
        if self.cluster:
            self.cluster.close()


def plan(
    texts: Sequence[str],
    spec: CaptureSpec,
    *,
    scope: Scope,
    output: str | os.PathLike[str] | None,
    name: str | None,
    command: Sequence[str] | None,
    runner: Runner,
) -> Plan:
    """Find the targets, open ways in, choose interfaces, compile filters, take names on the disk.

    Raises all that `live.capture` does before it starts, and leaves nothing behind then.
    """
    asked = doors.parse(texts, scope)
    _require_command(command, runner)
    to_stdout = output is not None and os.fspath(output) == STDOUT
    folder, base = place.folder_and_name(None if to_stdout else output, name, scope.words(texts))
    opened = doors.open_all(asked, scope, spec, runner=runner)
    try:
        surveys, failures = _survey_all(opened.doors, spec)
        if to_stdout:
            _require_one_stream(spec, surveys, follow=scope.follow)
            places: tuple[Place | None, ...] = (None,)
            group = None
        else:
            place.make_folder(folder)
            group, places = _take_places(folder, base, surveys, over_all=len(surveys) > 1 or scope.follow)
    except BaseException:
        for door in opened.doors:
            door.inside.close()
        if opened.cluster:
            opened.cluster.close()
        raise
    return Plan(
        spec=spec,
        sites=_sites(surveys, spec, places, name=name, alone=group is None),
        folder=None if to_stdout else folder,
        group=group,
        cluster=opened.cluster,
        stdout=sys.__stdout__.fileno() if to_stdout and sys.__stdout__ else None,
        command=tuple(command or ()),
        notes=(*opened.notes, *failures),
        follow=scope.follow,
    )


def _survey_all(found: Sequence[Door], spec: CaptureSpec) -> tuple[list[Survey], list[str]]:
    """The surveys, and of several doors those that had none, as long as one is left of each target."""
    versions = own_version()

    def look(door: Door) -> Survey | K8scapError:
        try:
            return survey(door, spec, versions=versions)
        except K8scapError as error:
            return error

    if len(found) == 1:
        return [survey(found[0], spec, versions=versions)], []
    with ThreadPoolExecutor(max_workers=min(_MOST_AT_ONCE, len(found))) as pool:
        results = list(zip(found, pool.map(look, found), strict=True))
    surveyed = [result for _, result in results if not isinstance(result, K8scapError)]
    left = {result.door.asked for result in surveyed}
    failures = []
    for door, result in results:
        if not isinstance(result, K8scapError):
            continue
        if door.asked not in left or isinstance(result, UsageError):
            raise result
        door.inside.close()
        failures.append(f"{door.label} was not captured: {result.message}")
    return surveyed, failures


def _take_places(
    folder: Path, base: str, surveys: Sequence[Survey], *, over_all: bool, take_group: bool = True
) -> tuple[Place | None, tuple[Place, ...]]:
    endings = []
    for each in surveys:
        for interface in each.chosen:
            of_target = [each.door.label] if over_all else []
            of_interface = [interface] if len(each.chosen) > 1 else []
            endings.append("-".join([*of_target, *of_interface]))
    take_group = take_group and over_all
    places = place.take_places(folder, base, endings, over_all=take_group)
    return (places[0], places[1:]) if take_group else (None, places)


def join(door: Door, joined: Plan) -> Site:
    """The site of a target that is captured from now on; raises what `plan` does."""
    if joined.folder is None or joined.group is None:
        raise UsageError("Only captures into a folder follow.", next_step="-o DIR")
    found = survey(door, joined.spec, versions=own_version())
    _, places = _take_places(joined.folder, joined.group.name, [found], over_all=True, take_group=False)
    return site(found, joined.spec, places, label=door.label)


def _sites(
    surveys: Sequence[Survey],
    spec: CaptureSpec,
    places: Sequence[Place | None],
    *,
    name: str | None,
    alone: bool,
) -> tuple[Site, ...]:
    sites, at = [], 0
    for each in surveys:
        mine = places[at : at + len(each.chosen)]
        at += len(each.chosen)
        # Tables call the point as the recording was named, else as the target.
        label = name.removesuffix(".pcap") if name and alone else each.door.label
        sites.append(site(each, spec, mine, label=label))
    return tuple(sites)


def _require_command(command: Sequence[str] | None, runner: Runner) -> None:
    if isinstance(command, str):
        raise UsageError("A command is a list of words.", next_step='command=["curl", "http://198.18.0.2/"]')
    if command and runner.which(command[0]) is None:
        raise UsageError(f"There is no command {command[0]} here.", next_step=f"command -v {command[0]}")


def _require_one_stream(spec: CaptureSpec, surveys: Sequence[Survey], *, follow: bool) -> None:
    if len(surveys) > 1 or len(surveys[0].chosen) > 1 or spec.ring or follow:
        raise UsageError(
            "Only one target and interface, no ring, and none that joins later, goes to stdout.",
            next_step="-o DIR, or one pod, one -i and no --ring",
        )
    if sys.__stdout__ and sys.__stdout__.isatty():
        raise UsageError(
            "A pcap does not go to a terminal.", next_step="k8scap capture … -w - | wireshark -k -i -"
        )
