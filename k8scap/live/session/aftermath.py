"""What a killed capture left → whole files and a manifest that says so."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live.session.framing import cut_to_whole_records
from k8scap.live.session.place import files_of, reserve_path
from k8scap.model import Counters, RecordingFile
from k8scap.recording import read_capture_manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from pathlib import Path


def close_recording(folder: Path, name: str) -> None:
    """Cut the recording's files to their last whole record, and close a manifest that says running."""
    files = tuple(_close_file(path) for path in files_of(folder, name))
    reserve_path(folder, name).unlink(missing_ok=True)
    path = folder / f"{name}.json"
    manifest = read_manifest(path)
    if manifest is None:
        _close_group(path)
        return
    if manifest.state != "running":
        return
    kept = tuple(file for file in files if file is not None)
    closed = replace(
        manifest,
        state="incomplete",
        ended_by="killed",
        ended=datetime.now(UTC),
        files=kept,
        counters=Counters(on_disk=sum(file.records for file in kept)),
        notes=(*manifest.notes, "The capturing process was killed: what it had not written yet is lost."),
        pid=None,
    )
    with contextlib.suppress(OSError):
        write_manifest(path, closed)


def _close_group(path: Path) -> None:
    """The manifest over all, where it still says running: what its recordings came to, by their own."""
    over_all = read_capture_manifest(path)
    if over_all is None or over_all.state != "running":
        return
    closed = replace(
        over_all,
        state="incomplete",
        ended_by="killed",
        ended=datetime.now(UTC),
        recordings=tuple(_as_it_ended(path.parent, dict(entry)) for entry in over_all.recordings),
        notes=(*over_all.notes, "The capturing process was killed: names and Events are not known."),
    )
    with contextlib.suppress(OSError):
        write_manifest(path, closed)


def _as_it_ended(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    own = read_manifest(folder / f"{entry.get('name')}.json")
    told = own.to_dict() if own else {}
    return {key: told.get(key, value) for key, value in entry.items()}


def _close_file(path: Path) -> RecordingFile | None:
    records = cut_to_whole_records(path)
    if not path.exists():
        return None
    return RecordingFile(name=path.name, bytes=path.stat().st_size, records=records)
