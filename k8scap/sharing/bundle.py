"""The bundle on disk: trimmed recordings, the report on them, what they are, and their hashes."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UsageError
from k8scap.private_file import private_file, told
from k8scap.sharing.evidence import frames_of
from k8scap.sharing.recordings import Contents, write_part
from k8scap.sharing.words import note, readme

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from k8scap.analysis import Capture
    from k8scap.model import Finding

_SUMS, _README, _REPORT = "SHA256SUMS", "README.txt", "report.html"


def make_bundle(
    cap: Capture,
    findings: Mapping[int, Finding],
    *,
    output: str | os.PathLike[str] | None,
    payload: bool,
    dns: bool,
) -> Path:
    """See `k8scap.share`."""
    target = Path(output).expanduser() if output else Path(_default_name(cap, findings))
    zipped = target.suffix == ".zip"
    if target.exists() and (zipped or not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already.", next_step="another -o, or remove it")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", next_step=f"mkdir -p {target.parent}")
    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        made = Path(folder) / target.stem if zipped else Path(folder) / target.name
        made.mkdir(mode=0o700)
        _fill(made, cap, findings, payload=payload, dns=dns)
        try:
            _zip(made, target) if zipped else _move(made, target)
        except OSError as error:
            raise told(target, error) from None
    return target


def _fill(folder: Path, cap: Capture, findings: Mapping[int, Finding], *, payload: bool, dns: bool) -> None:
    from k8scap.analysis import load
    from k8scap.html_report import report

    contents = Contents(
        payload=payload, dns=payload or dns, note=note(findings, payload=payload, dns=payload or dns)
    )
    parts = [
        write_part(cap, point, packets, folder / f"{_plain(point)}.pcapng", contents=contents)
        for point, packets in frames_of(cap, findings).items()
    ]
    trimmed = load(*(part.file for part in parts), names=[part.names for part in parts])
    report(trimmed, folder / _REPORT)
    _write(folder / _README, readme(findings, trimmed, parts, contents=contents))
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())
    ]
    _write(folder / _SUMS, "".join(sums))


def _write(path: Path, text: str) -> None:
    with private_file(path) as file:
        file.write(text.encode())


def _move(made: Path, target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for file in sorted(made.iterdir()):
        shutil.move(file, target / file.name)


def _zip(made: Path, target: Path) -> None:
    with private_file(target) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(made.iterdir()):
            archive.write(file, f"{made.name}/{file.name}")


def _default_name(cap: Capture, findings: Mapping[int, Finding]) -> str:
    numbers = "-".join(map(str, sorted(findings)))
    return f"{_plain(cap.points[0])}-finding-{numbers}"


def _plain(point: str) -> str:
    """A point's name as a file's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", point).strip("-")[:100] or "capture"
