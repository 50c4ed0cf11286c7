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
from k8scap.model import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.model import CaptureManifest

_RING_FILE = re.compile(r"(?P<name>.+)\.(?P<n>\d{4,})$")
_SUFFIXES = (".gz", ".zst")
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Recording:
    """What one capture point wrote: its files, oldest first, and its manifest where there is one."""

    files: tuple[Path, ...]
    manifest: Manifest | None = None

    @property
    def point(self) -> str:
        return self.manifest.point if self.manifest else recording_name(self.files[0])


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
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or not {"format", "point", "name"} <= data.keys():
        return None
    try:
        return Manifest.from_dict(data)
    except (TypeError, ValueError, AttributeError):
        return None


def open_recordings(paths: Iterable[str | Path]) -> tuple[Recording, ...]:
    """Group capture files into recordings: the files of one name in one folder are one point.

    A file that is given twice, by whatever path, counts once. Raises UnreadableFileError for a path that is
    not a readable file, and where all files of a recording are empty.
    """
    groups: dict[Path, list[Path]] = {}
    known: set[Path] = set()
    for given in paths:
        path = Path(given).expanduser()
        _check_readable(path)
        if (resolved := path.resolve()) not in known:
            known.add(resolved)
            groups.setdefault(path.parent.resolve() / recording_name(path), []).append(path)
    return tuple(_recording(sorted(files, key=rotation_order)) for files in groups.values())


def _recording(files: list[Path]) -> Recording:
    if not any(path.stat().st_size for path in files):
        raise UnreadableFileError(f"{files[0]} is empty.", path=str(files[0]), next_step="capture again.")
    return Recording(tuple(files), read_manifest(manifest_path(files[0])))


def rotation_order(path: Path) -> tuple[list[str | int], str]:
    """Digits count as numbers: tcpdump's `x.pcap`, `x.pcap1` … `x.pcap10`, and a ring's `web.10000.pcap`."""
    parts = _DIGITS.split(_unpacked_name(path))
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def _check_readable(path: Path) -> None:
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
