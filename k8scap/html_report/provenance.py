"""How complete the capture is, in a line; and where, when and how it was made."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k8scap.cards.narrowing import narrowed_to
from k8scap.findings.case import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from k8scap.analysis import Capture
    from k8scap.model import Manifest, Quality
    from k8scap.recording import Recording

EVENTS_SHOWN = 20
_SIDES = {
    "client": "captured on the clients' side",
    "server": "captured on the servers' side",
    "middle": "captured between clients and servers",
}
_LEVEL = {True: "good", None: "unknown", False: "bad"}


@dataclass(frozen=True)
class QualityLine:
    """What must be known before anything is believed: a level (good, unknown, bad), a sentence, notes."""

    level: str
    sentence: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """One capture point's facts, as pairs of a name and what it is."""

    point: str
    facts: tuple[tuple[str, str], ...]


def quality_line(quality: Quality, *, whole: bool = True) -> QualityLine:
    """`whole` is False where only some frames of the files were selected."""
    parts = [_completeness(quality, whole=whole)]
    if quality.cut_off:
        parts.append("the file breaks off in the middle of a record, or is damaged")
    if quality.truncated:
        parts.append(f"{quality.truncated:,} frames were cut short by the snap length")
    if quality.missing_handshakes:
        older = f"{quality.missing_handshakes:,} of {quality.tcp_conversations:,}"
        parts.append(f"{older} TCP conversations began before it")
    if quality.one_sided:
        parts.append(f"{quality.one_sided:,} show one direction only")
    if quality.side:
        parts.append(_SIDES[quality.side])
    level = "bad" if quality.cut_off else _LEVEL[quality.complete if whole or quality.frames else None]
    notes = tuple(printable(note) for note in quality.notes)
    return QualityLine(level, "; ".join(parts) + ".", notes)


def _completeness(quality: Quality, *, whole: bool) -> str:
    frames = f"{quality.frames:,} frames{'' if whole else ' of it are shown here'}"
    if not whole and not quality.frames:
        return "Nothing of this capture is shown here: no frame passes"
    if quality.complete:
        return f"Complete: {frames}, and tcpdump dropped none"
    if quality.complete is None:
        return f"Nobody counted what is missing (no manifest beside the file): {frames}"
    if quality.dropped:
        return f"Not complete: {frames}, and {quality.dropped:,} more were dropped"
    if whole:
        return f"Not complete: {frames} are fewer than tcpdump captured"
    return f"Not complete: {frames}, and the file holds fewer than tcpdump captured"


def origins(cap: Capture) -> list[Origin]:
    """Every capture point's manifest; where there is none, its files; and what of it the report shows."""
    shown = () if cap.is_whole else (("shown here", f"what passes {narrowed_to(cap)}"),)
    return [Origin(printable(r.point), (*_origin(r), *shown)) for r in cap.recordings]


def _origin(recording: Recording) -> list[tuple[str, str]]:
    if recording.manifest:
        return _told(_whole(recording, recording.manifest))
    return [("files", ", ".join(printable(file.name) for file in recording.files))]


def _whole(recording: Recording, manifest: Manifest) -> Manifest:
    """With what only the manifest over all knows."""
    if recording.capture is None:
        return manifest
    return replace(
        manifest,
        events=manifest.events or recording.capture.events,
        dataplane=manifest.dataplane or recording.capture.dataplane,
        notes=(*manifest.notes, *recording.capture.notes),
    )


def _told(manifest: Manifest) -> list[tuple[str, str]]:
    target = manifest.target
    counters = manifest.counters
    facts = {
        "target": target.get("text"),
        "name": target.get("name"),
        "container": str(target.get("container_id") or "")[:12],
        "image": target.get("image"),
        "node": target.get("node"),
        "network namespace": target.get("netns"),
        "PID": target.get("pid"),
        "via": manifest.via,
        "interface": manifest.interface,
        "link type": manifest.link_type,
        "filter asked for": manifest.filter or "none",
        "filter in force": manifest.effective_filter or "none",
        "started": _when(manifest.started),
        "ended": _when(manifest.ended),
        "ended by": manifest.ended_by,
        "limits": ", ".join(f"{k} {v}" for k, v in manifest.limits.items() if v),
        "captured, received, dropped": _counted(counters.captured, counters.received, counters.dropped),
        "records on disk": f"{counters.on_disk:,}",
        "files": ", ".join(f"{f.name} ({f.bytes:,} bytes)" for f in manifest.files),
        "command": shlex.join(manifest.command),
        "versions": ", ".join(f"{k} {v}" for k, v in manifest.versions.items()),
        "dataplane": ", ".join(f"{k} {v}" for k, v in manifest.dataplane.items() if v),
        "Kubernetes events": "; ".join(map(_event, manifest.events[:EVENTS_SHOWN])),
        "notes": " ".join(manifest.notes),
    }
    return [(name, printable(str(value))) for name, value in facts.items() if value not in (None, "")]


def _event(event: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in event.values() if value not in (None, ""))


def _when(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S.%f} UTC"


def _counted(*counts: int | None) -> str:
    return ", ".join("unknown" if n is None else f"{n:,}" for n in counts)
