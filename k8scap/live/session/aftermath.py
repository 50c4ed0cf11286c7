"""What a killed capture left → whole files and a manifest that says so."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8scap.live.session.framing import cut_to_whole_records
from k8scap.live.session.place import files_of, reserve_path
from k8scap.model import Counters, RecordingFile
from k8scap.recording import read_manifest, write_manifest

if TYPE_CHECKING:
    from pathlib import Path


def close_recording(folder: Path, name: str) -> None:
    """Cut the recording's files to their last whole record, and close a manifest that says running."""
    files = tuple(_close_file(path) for path in files_of(folder, name))
    reserve_path(folder, name).unlink(missing_ok=True)
    path = folder / f"{name}.json"
    manifest = read_manifest(path)
    if manifest is None or manifest.state != "running":
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


def _close_file(path: Path) -> RecordingFile | None:
    records = cut_to_whole_records(path)
    if not path.exists():
        return None
    return RecordingFile(name=path.name, bytes=path.stat().st_size, records=records)
