"""Files and manifests on disk: NAME.pcap (a ring's NAME.0001.pcap …) and NAME.json beside them."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UnreadableFileError
from k8scap.model import CAPTURE_KIND, CaptureManifest, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from k8scap.model import NameEntry

_RING_FILE = re.compile(r"(?P<name>.+)\.(?P<n>\d{4,})$")
_SUFFIXES = (".gz", ".zst")
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Recording:
    """What one capture point wrote: its files, oldest first, and its manifest where there is one.

    `capture` is the manifest over all, where several points were captured together.
    """

    files: tuple[Path, ...]
    manifest: Manifest | None = None
    capture: CaptureManifest | None = None

    @property
    def point(self) -> str:
        return self.manifest.point if self.manifest else recording_name(self.files[0])

    @property
    def names(self) -> tuple[NameEntry, ...]:
        """Those of its own manifest, and of the one over all."""
        return tuple(entry for told in (self.manifest, self.capture) if told for entry in told.names)


def recording_name(path: Path) -> str:
    """`incident.pcap.gz` → `incident`; a ring's `web.0002.pcap` → `web`."""
    name = Path(_unpacked_name(path)).stem
    match = _RING_FILE.match(name)
    return match["name"] if match else name


def _unpacked_name(path: Path) -> str:
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def manifest_path(path: Path) -> Path:
    """Where the manifest of a capture file stands."""
    return path.with_name(recording_name(path) + ".json")


def write_manifest(path: Path, manifest: Manifest | CaptureManifest) -> None:
    """Write whole or not at all, readable by the owner only."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(manifest.to_dict(), file, indent=1, ensure_ascii=False)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_manifest(path: Path) -> Manifest | None:
    """The manifest beside a capture, or None where there is none that is ours."""
    data = _object(path)
    if not {"format", "point", "name"} <= data.keys():
        return None
    try:
        return Manifest.from_dict(data)
    except (TypeError, ValueError, AttributeError, KeyError):
        return None


def read_capture_manifest(path: Path) -> CaptureManifest | None:
    """The manifest over all recordings that were captured together, or None where this is none."""
    data = _object(path)
    if data.get("kind") != CAPTURE_KIND or not {"format", "name", "recordings"} <= data.keys():
        return None
    try:
        return CaptureManifest.from_dict(data)
    except (TypeError, ValueError, AttributeError, KeyError):
        return None


def _object(path: Path) -> Mapping[str, Any]:
    """A file's JSON object; an empty one where it holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def open_recordings(paths: Iterable[str | Path]) -> tuple[Recording, ...]:
    """Group capture files into recordings: the files of one name in one folder are one point.

    A manifest stands for its recording, the manifest over all for each of its recordings. A file that is
    given twice, by whatever path, counts once. Raises UnreadableFileError for a path that is
    not a readable file, and where all files of a recording are empty.
    """
    groups: dict[Path, list[Path]] = {}
    known: set[Path] = set()
    for path in (file for given in paths for file in _capture_files(Path(given).expanduser())):
        _check_readable(path)
        if (resolved := path.resolve()) not in known:
            known.add(resolved)
            groups.setdefault(path.parent.resolve() / recording_name(path), []).append(path)
    return tuple(_recording(sorted(files, key=rotation_order)) for files in groups.values())


def _recording(files: list[Path]) -> Recording:
    if not any(path.stat().st_size for path in files):
        raise UnreadableFileError(f"{files[0]} is empty.", path=str(files[0]), next_step="capture again.")
    manifest = read_manifest(manifest_path(files[0]))
    return Recording(tuple(files), manifest, _over_all(files[0], manifest))


def _over_all(file: Path, manifest: Manifest | None) -> CaptureManifest | None:
    """The manifest over all beside a recording that names one."""
    name = manifest.capture if manifest else ""
    return read_capture_manifest(file.with_name(name)) if _is_plain(name) else None


def _capture_files(path: Path) -> Iterator[Path]:
    """The file itself; the capture files that a manifest names, all of them beside it."""
    _check_readable(path)
    if path.suffix != ".json":
        yield path
    elif over_all := read_capture_manifest(path):
        for recording in over_all.recordings:
            yield from _files_beside(path, recording.get("name"), recording.get("files"))
    elif manifest := read_manifest(path):
        yield from _files_beside(path, path.stem, [{"name": file.name} for file in manifest.files])
    else:
        raise UnreadableFileError(
            f"{path} is no recording's manifest.", path=str(path), next_step="load the capture file itself."
        )


def _files_beside(manifest: Path, recording: Any, files: Any) -> Iterator[Path]:
    """Those that are listed; while a recording runs none is, and its files are known by their name.

    Raises UnreadableFileError where there is none, and for a name that leads elsewhere: manifests come from
    strangers, too.
    """
    files = files if isinstance(files, list) else []
    listed = [file.get("name") if isinstance(file, dict) else file for file in files]
    there = [path.name for path in manifest.parent.glob("*.pcap*") if recording_name(path) == recording]
    for name in listed or there:
        if not _is_plain(name):
            raise UnreadableFileError(
                f"{manifest} names {name!r:.100}, and only files beside it are opened.",
                path=str(manifest),
                next_step="load the capture file itself.",
            )
        yield manifest.with_name(str(name))
    if not listed and not there:
        raise UnreadableFileError(
            f"{manifest} names a recording without files.", path=str(manifest), next_step="capture again."
        )


def _is_plain(name: Any) -> bool:
    """Whether it is a file's name, and no path to another folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def rotation_order(path: Path) -> tuple[list[str | int], str]:
    """Digits count as numbers: tcpdump's `x.pcap`, `x.pcap1` … `x.pcap10`, and a ring's `web.10000.pcap`."""
    parts = _DIGITS.split(_unpacked_name(path))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _check_readable(path: Path) -> None:
    """Raises UnreadableFileError unless it is a file that can be read again and again."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except FileNotFoundError:
        raise UnreadableFileError(
            f"There is no file {path}.", path=str(path), next_step=f"ls {path.parent}"
        ) from None
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be read: {error.strerror}.", path=str(path), next_step=f"ls -l {path}"
        ) from None
    if stat.S_ISDIR(mode):
        raise UnreadableFileError(f"{path} is a folder.", path=str(path), next_step=f"ls {path}")
    if not stat.S_ISREG(mode):
        raise UnreadableFileError(
            f"{path} is a pipe or a device, and a capture is read more than once: keep it in a file first.",
            path=str(path),
            next_step=f"cat {shlex.quote(str(path))} > capture.pcap",
        )
