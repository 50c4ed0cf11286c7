"""What a capture says of itself: its manifest, at the beginning and at the end."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live import tcpdump
from k8scap.live.interfaces import ANY
from k8scap.model import Manifest, NameEntry
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.live.netns import Namespace
    from k8scap.live.session.place import Place
    from k8scap.live.session.planning import Plan
    from k8scap.live.session.recorder import Recorder
    from k8scap.live.targets import Found
    from k8scap.model import Counters
    from k8scap.runner import Runner

BROKEN_OFF = frozenset({"disk-full", "tcpdump-ended", "killed"})


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


def opening(point: Point, *, plan: Plan) -> Manifest:
    """A point's manifest while it runs, as far as it is known before tcpdump listens."""
    found, namespace = plan.found, plan.namespace
    identity = {"start_time": namespace.start_time, "netns": namespace.inode}
    return Manifest(
        name=point.place.name if point.place else point.name,
        point=point.name,
        target={**found.target, "pid": namespace.pid, **identity},
        interface=point.interface,
        interfaces={str(i.index): i.name for i in plan.there},
        command=point.command,
        filter=plan.spec.filter,
        effective_filter=point.filter,
        limits={key: value for key, value in asdict(plan.spec).items() if key in _LIMITS},
        versions=plan.versions,
        started=datetime.now(UTC),
        names=(*found.names, *_own_names(found, namespace, plan.there)),
        notes=(*found.notes, *_notes(point, namespace, plan.there)),
        pid=os.getpid(),
    )


_LIMITS = ("seconds", "packets", "size", "snaplen", "ring")


def closing(
    manifest: Manifest,
    recorder: Recorder,
    *,
    ended_by: str,
    evidence: Mapping[str, Any],
    notes: Sequence[str],
) -> Manifest:
    """The same at the end: complete only where all that tcpdump captured is accounted for."""
    counters = recorder.counters
    unread = _unread(recorder) if ended_by == "target-gone" else ()
    whole = counters.complete and ended_by not in BROKEN_OFF and not unread
    said = [f"tcpdump said: {line.removeprefix('tcpdump: ')}" for line in recorder.said]
    return replace(
        manifest,
        state="complete" if whole else "incomplete",
        ended=datetime.now(UTC),
        ended_by=ended_by,
        link_type=recorder.link_type,
        files=recorder.writer.sink.entries,
        counters=counters,
        evidence=evidence,
        notes=(*manifest.notes, *said, *_drops(counters), *unread, *notes),
        pid=None,
    )


def _drops(counters: Counters) -> tuple[str, ...]:
    if not counters.dropped:
        return ()
    what = f"The kernel dropped {counters.dropped:,} packets, as they came faster than they could be written"
    return (f"{what}: narrow the filter, or keep less of each packet (--snaplen 128).",)


def _unread(recorder: Recorder) -> tuple[str, ...]:
    """What went with the interface: the kernel packs packets for up to a second before tcpdump has them."""
    if not recorder.behind:
        return ()
    return (f"{recorder.behind} of the last packets went with the interface, before tcpdump had read them.",)


def save(place: Place, manifest: Manifest) -> None:
    """Write it; on a full disk without the evidence, rather than not at all. Raises OSError."""
    try:
        write_manifest(place.manifest, manifest)
    except OSError:
        if not manifest.evidence:
            raise
        note = "There was no room on the disk for the host's evidence."
        write_manifest(place.manifest, replace(manifest, evidence={}, notes=(*manifest.notes, note)))


def read_versions(runner: Runner) -> dict[str, str]:
    """What took part: k8scap, tcpdump, libpcap, the kernel."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("k8scap")
    except PackageNotFoundError:
        own = "not installed"
    return {"k8scap": own, **tcpdump.version(runner), "kernel": platform.release()}


def _own_names(found: Found, namespace: Namespace, there: Sequence[Interface]) -> tuple[NameEntry, ...]:
    known = {entry.address for entry in found.names}
    name = _subject(found, namespace)
    return tuple(
        NameEntry(address=address, name=name, kind=str(found.target["kind"]))
        for interface in there
        if not interface.loopback
        for address in interface.addresses
        if address not in known
    )


def _subject(found: Found, namespace: Namespace) -> str:
    if namespace.is_own:
        return socket.gethostname()
    return str(found.target.get("container_name") or found.target["text"])


def _notes(point: Point, namespace: Namespace, there: Sequence[Interface]) -> tuple[str, ...]:
    notes = []
    if namespace.is_own:
        notes.append("The target shares this machine's own network namespace: all its traffic is in here.")
    if point.interface == ANY:
        up = ", ".join(i.name for i in there if i.up)
        notes.append(f"Captured on all interfaces at once ({up}): a packet that passes two shows twice.")
    return tuple(notes)
