"""One point's files as the one file that tshark reads: rotated files are joined first."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UnreadableFileError
from k8scap.parser.records import Scan, scan, whole_records
from k8scap.parser.tshark import Run, blocks, command, refuse_unreadable
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from k8scap.model import Manifest
    from k8scap.recording import Recording


class Source:
    """What one capture point wrote, for the parser.

    `notes` are sentences on what could not be read; they grow as tshark reads.
    """

    def __init__(self, recording: Recording, *, point: str | None = None) -> None:
        self.recording = recording
        self.point = point or recording.point
        self.notes: dict[str, None] = {}
        self.broke_off = False

    @property
    def files(self) -> tuple[Path, ...]:
        return self.recording.files

    @property
    def manifest(self) -> Manifest | None:
        return self.recording.manifest

    @cached_property
    def scans(self) -> tuple[Scan, ...]:
        """The files' skeletons; raises UnreadableFileError where one cannot be opened."""
        return tuple(_scan(path) for path in self.files)

    @property
    def records(self) -> int | None:
        """Whole records in all files; None where their format is for tshark to know."""
        return None if any(s.format == "other" for s in self.scans) else sum(s.records for s in self.scans)

    @property
    def cut_off(self) -> bool:
        """Whether a file ends inside a record."""
        return self.broke_off or any(s.cut_off for s in self.scans)

    @cached_property
    def path(self) -> Path:
        """The one file for tshark. A joined one lives as long as this object."""
        if len(self.files) == 1:
            return self.files[0]
        folder = tempfile.mkdtemp(prefix="k8scap-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        joined = Path(folder) / "joined.pcap"
        if _same_header(self.scans):
            self._join_records(joined)
        else:
            self._merge(joined)
        return joined

    def check(self) -> None:
        """Raise UnreadableFileError where one of the files is no capture at all."""
        for path, found in zip(self.files, self.scans, strict=True):
            if found.format == "other":
                _ask_tshark(path)
            elif found.format == "pcap" and not found.link_types:
                raise UnreadableFileError(
                    f"{path} ends inside its header: there is no packet in it.",
                    path=str(path),
                    next_step="capture again.",
                )

    def remember(self, run: Run) -> None:
        """Keep what a run of tshark said for the capture's quality."""
        self.notes.update(dict.fromkeys(run.notes))
        self.broke_off = self.broke_off or run.cut_off or run.returncode < 0

    def _join_records(self, joined: Path) -> None:
        with joined.open("wb") as out:
            out.write(self.scans[0].header)
            for path, found in zip(self.files, self.scans, strict=True):
                with whole_records(path, found) as records:
                    out.writelines(records)

    def _merge(self, joined: Path) -> None:
        """Formats or link types differ: mergecap, which comes with tshark, writes one pcapng."""
        run = Run()
        argv = ["mergecap", "-a", "-w", str(joined), "--", *(str(path.absolute()) for path in self.files)]
        for _ in blocks(argv, run=run, runner=LocalRunner()):
            pass
        if run.returncode and not joined.exists():
            raise UnreadableFileError(
                f"{self.files[0].name} and its next files cannot be joined: {' '.join(run.notes)}",
                path=str(self.files[0]),
                next_step="load them one by one.",
            )
        self.remember(run)


def _scan(path: Path) -> Scan:
    try:
        return scan(path)
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be read: {error.strerror}.", path=str(path), next_step=f"ls -l {path}"
        ) from None


def _ask_tshark(path: Path) -> None:
    """Neither pcap nor pcapng: tshark knows many more formats."""
    run = Run()
    for _ in blocks(command(path, ["-c", "1", "-T", "fields", "-e", "frame.number"]), run=run):
        pass
    if run.returncode:
        refuse_unreadable(run, path)


def _same_header(scans: tuple[Scan, ...]) -> bool:
    """Whether all are pcap of one byte order, time resolution and link type."""
    return all(
        s.format == "pcap" and s.header[:4] == scans[0].header[:4] and s.link_types == scans[0].link_types
        for s in scans
    )
