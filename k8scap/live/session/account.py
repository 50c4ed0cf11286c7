"""What a capture says of itself: its manifest, at the beginning and at the end."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live.interfaces import ANY
from k8scap.model import Manifest, NameEntry
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.live.interfaces import Interface
    from k8scap.live.session.place import Place
    from k8scap.live.session.recorder import Recorder
    from k8scap.live.session.site import Point, Site
    from k8scap.live.targets import Found
    from k8scap.live.ways import Inside
    from k8scap.model import CaptureSpec, Counters

BROKEN_OFF = frozenset({"disk-full", "tcpdump-ended", "connection-lost", "killed"})


def opening(point: Point, *, site: Site, spec: CaptureSpec, capture: str = "") -> Manifest:
    """A point's manifest while it runs, as far as it is known before tcpdump listens.

    `capture` is the file of the manifest over all, where there are several targets.
    """
    found, inside = site.found, site.inside
    return Manifest(
        name=point.place.name if point.place else point.name,
        point=point.name,
        target={**found.target, **inside.identity},
        via=inside.via,
        interface=point.interface,
        interfaces={str(i.index): i.name for i in site.there},
        command=point.command,
        filter=spec.filter,
        effective_filter=point.filter,
        limits={key: value for key, value in asdict(spec).items() if key in _LIMITS},
        versions=site.versions,
        started=datetime.now(UTC),
        names=(*found.names, *_own_names(found, inside, site.there)),
        notes=(*found.notes, *_notes(point, inside, site.there)),
        pid=os.getpid(),
        capture=capture,
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
    unread = _unread(recorder) if ended_by == "target-gone" else _not_fetched(recorder)
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


def _not_fetched(recorder: Recorder) -> tuple[str, ...]:
    """What had come by the limit, and another machine's tcpdump never handed over: it was held up."""
    if not recorder.left_behind:
        return ()
    said = (
        f"{recorder.left_behind:,} packets had come and were not read: the connection to the pod is too slow "
        "for this traffic. Narrow the filter, or keep less of each packet (--snaplen 128)."
    )
    return (said,)


def save(place: Place, manifest: Manifest) -> None:
    """Write it; on a full disk without the evidence, rather than not at all. Raises OSError."""
    try:
        write_manifest(place.manifest, manifest)
    except OSError:
        if not manifest.evidence:
            raise
        note = "There was no room on the disk for the host's evidence."
        write_manifest(place.manifest, replace(manifest, evidence={}, notes=(*manifest.notes, note)))


def own_version() -> dict[str, str]:
    """k8scap's own; those of tcpdump, libpcap and the kernel are the target's."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return {"k8scap": version("k8scap")}
    except PackageNotFoundError:
        return {"k8scap": "not installed"}


def _own_names(found: Found, inside: Inside, there: Sequence[Interface]) -> tuple[NameEntry, ...]:
    known = {entry.address for entry in found.names}
    target = found.target if found.target["kind"] == "pod" else {}
    return tuple(
        NameEntry(
            address=address,
            name=_subject(found, inside),
            kind=str(found.target["kind"]),
            namespace=str(target.get("namespace", "")),
            workload=str(target.get("workload", "")),
            node=str(target.get("node", "")),
        )
        for interface in there
        if not interface.loopback
        for address in interface.addresses
        if address not in known
    )


def _subject(found: Found, inside: Inside) -> str:
    if inside.own_network:
        return socket.gethostname()
    if found.target["kind"] in {"pod", "node"}:
        return str(found.target["name"])
    return str(found.target.get("container_name") or found.target["text"])


def _notes(point: Point, inside: Inside, there: Sequence[Interface]) -> tuple[str, ...]:
    notes = []
    if inside.own_network:
        notes.append("The target shares this machine's own network namespace: all its traffic is in here.")
    if point.interface == ANY:
        up = ", ".join(i.name for i in there if i.up)
        notes.append(f"Captured on all interfaces at once ({up}): a packet that passes two shows twice.")
    return tuple(notes)
