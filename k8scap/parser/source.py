"""One point's files as the one file that tshark reads: rotated files are joined first."""

from __future__ import annotations

import shutil
import struct
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from k8scap.errors import DiskFullError, UnreadableFileError
from k8scap.parser.records.scan import Scan, format_of, head, is_hardly_begun, scan, whole_records
from k8scap.parser.records.streams import PCAP
from k8scap.parser.reference.tshark import Run, blocks, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8scap.model import Manifest
    from k8scap.parser.records.reader import RecordReader
    from k8scap.recording import Recording

_WELL_KNOWN_LINK_TYPES = frozenset({0, 1, 12, 14, 101, 105, 108, 113, 127, 228, 229, 276})
_USER_LINK_TYPE = 147
"""LINKTYPE_USER0, free for private use: tshark reads the records and leaves the bytes alone."""
_EMPTY = "is empty"
_ONE_FRAME = ("-c", "1", "-T", "fields", "-e", "frame.number")


class Source:
    """What one capture point wrote, for the parser.

    `files` are those that something can be read of. `notes` are sentences on what could not be read,
    `broke_off` says that reading ended too early; both grow as tshark reads.
    """

    def __init__(self, recording: Recording, *, point: str | None = None) -> None:
        self.recording = recording
        self.files: tuple[Path, ...] = recording.files
        self.point = point or recording.point
        self.notes: dict[str, None] = {}
        self.broke_off = False
        self._cut_off: bool | None = None
        self._link_types: set[int] = set()

    @property
    def manifest(self) -> Manifest | None:
        return self.recording.manifest

    @cached_property
    def scans(self) -> tuple[Scan, ...]:
        """The files' skeletons; raises UnreadableFileError where one cannot be opened."""
        scans = tuple(_scan(path) for path in self.files)
        self.notes.update(dict.fromkeys(note for found in scans for note in found.notes))
        return scans

    @property
    def records(self) -> int | None:
        """Whole records in all files; None where their format is for tshark to know."""
        return None if any(s.format == "other" for s in self.scans) else sum(s.records for s in self.scans)

    @property
    def cut_off(self) -> bool:
        """Whether a file ends inside a record, or is damaged, so that there are frames that nobody sees."""
        if self._cut_off is None:
            self._cut_off = any(s.cut_off for s in self.scans)
        return self.broke_off or self._cut_off

    def check(self) -> None:
        """Leave out files that have hardly begun, as a ring's last one; only heads are read.

        Raises UnreadableFileError where all are so, and where a file is no capture at all.
        """
        heads = {path: _head(path) for path in self.recording.files}
        self.files = tuple(path for path, header in heads.items() if not is_hardly_begun(header))
        left_out = {path: _what_is_missing(path) for path in heads if path not in self.files}
        if not self.files:
            path, what = next(iter(left_out.items()))
            raise UnreadableFileError(
                f"{path} {what}: there is no packet in it.", path=str(path), next_step="capture again."
            )
        for path, what in left_out.items():
            note = f"{path.name} {what}, and was left out: a file that is still being written may look so."
            self.notes[note] = None
            self.broke_off = self.broke_off or what != _EMPTY
        for path in self.files:
            if format_of(heads[path]) == "other":
                self._ask_tshark(path)
            elif format_of(heads[path]) == "pcap":
                self._link_types.add(_link_type(heads[path]))

    @cached_property
    def path(self) -> Path:
        """The one file for tshark. A joined one lives as long as this object."""
        unknown = self._unknown_link_types()
        if len(self.files) == 1 and not unknown:
            return self.files[0]
        folder = tempfile.mkdtemp(prefix="k8scap-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        joined = Path(folder) / "joined.pcap"
        if _same_header(self.scans):
            self._join_records(joined, link_type=_USER_LINK_TYPE if unknown else None)
        elif self.records is not None and (unknown or any(s.cut_off for s in self.scans)):
            self._write_records(joined)
        else:
            self._merge(joined)
        return joined

    def remember_reading(self, reader: RecordReader) -> None:
        """Keep what reading the records found out, for the capture's quality."""
        self.notes.update(reader.notes)
        self._cut_off = reader.cut_off or reader.damaged

    @property
    def interface_names(self) -> Mapping[str, str]:
        """Interfaces' names by their index, where the manifest has them."""
        return self.manifest.interfaces if self.manifest else {}

    @property
    def only_interface(self) -> str:
        """The one interface that was captured on; empty where there were several, or nobody knows."""
        name = self.manifest.interface if self.manifest else ""
        return "" if name == "any" or "," in name else name

    def remember(self, run: Run) -> None:
        """Keep what a run of tshark said, for the capture's quality."""
        self.notes.update(dict.fromkeys(run.notes))
        self.broke_off = self.broke_off or run.cut_off or run.crashed

    def refuse(self, run: Run, path: Path | None = None) -> NoReturn:
        """Raise UnreadableFileError, in tshark's words."""
        refused = path or self.files[0]
        raise UnreadableFileError(
            f"{refused} cannot be read: {run.sentence}", path=str(refused), next_step=f"capinfos {refused}"
        )

    def _ask_tshark(self, path: Path) -> None:
        """Neither pcap nor pcapng: whether tshark knows it."""
        run = _run(command(path, _ONE_FRAME))
        if run.returncode and not run.cut_off:
            self.refuse(run, path)

    def _unknown_link_types(self) -> set[int]:
        """Those that tshark refuses to read in a pcap, with a note: it is asked about uncommon ones."""
        link_types = self._link_types
        if len(self.files) > 1:
            link_types = {link_type for found in self.scans for link_type in found.link_types}
        unknown = {n for n in link_types - _WELL_KNOWN_LINK_TYPES if not _tshark_knows(n)}
        for link_type in sorted(unknown):
            note = f"Wireshark does not know link type {link_type}: its frames have times and lengths only."
            self.notes[note] = None
        return unknown

    def _join_records(self, joined: Path, *, link_type: int | None) -> None:
        """Pcap files of one kind: their records, byte by byte; `link_type` in the place of theirs."""
        header = self.scans[0].header
        if link_type is not None:
            order = ">" if header[0] == 0xA1 else "<"
            header = header[:20] + struct.pack(f"{order}I", link_type)
        try:
            with joined.open("wb") as out:
                out.write(header)
                for path, found in zip(self.files, self.scans, strict=True):
                    out.writelines(whole_records(path, found))
        except OSError as error:
            self._refuse_joining(error, joined)

    def _write_records(self, joined: Path) -> None:
        """Files of several kinds, where mergecap refuses one or would stop in it: what we find whole.

        In a pcapng tshark passes over what it does not know.
        """
        import numpy as np

        from k8scap.parser.records.extract import write_frames

        try:
            write_frames(joined, self.files, np.arange(1, (self.records or 0) + 1))
        except OSError as error:
            self._refuse_joining(error, joined)

    def _refuse_joining(self, error: OSError, joined: Path) -> NoReturn:
        if error.filename is not None and error.filename != str(joined):
            _refuse(Path(error.filename), error)
        raise DiskFullError(
            f"The files of {self.point} could not be joined in {joined.parent}: {error.strerror}.",
            next_step="TMPDIR=/another/folder, or load the files one by one.",
        ) from None

    def _merge(self, joined: Path) -> None:
        """Formats or link types differ: mergecap, which comes with tshark, writes one pcapng."""
        run = _run(
            ["mergecap", "-a", "-w", str(joined), "--", *(str(path.absolute()) for path in self.files)]
        )
        if run.returncode and not joined.exists():
            raise UnreadableFileError(
                f"{self.files[0].name} and its next files cannot be joined: {run.sentence}",
                path=str(self.files[0]),
                next_step="load them one by one.",
            )
        self.remember(run)


def _head(path: Path) -> bytes:
    try:
        return head(path)
    except OSError as error:
        _refuse(path, error)


def _scan(path: Path) -> Scan:
    try:
        return scan(path)
    except OSError as error:
        _refuse(path, error)


def _refuse(path: Path, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise UnreadableFileError(
            f"{path} is no longer there.", path=str(path), next_step="load it from where it is."
        ) from None
    raise UnreadableFileError(
        f"{path} cannot be read: {error.strerror}.", path=str(path), next_step=f"ls -l {path}"
    ) from None


def _what_is_missing(path: Path) -> str:
    return "ends inside its header" if path.stat().st_size else _EMPTY


def _link_type(header: bytes) -> int:
    """A pcap's, from its header."""
    big, _ = PCAP[header[:4]]
    return int.from_bytes(header[20:24], "big" if big else "little") & 0x03FF_FFFF


def _tshark_knows(link_type: int) -> bool:
    """Ask it to read a pcap of this link type that has no packets."""
    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        probe = Path(folder) / "probe.pcap"
        probe.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, link_type))
        return not _run(command(probe, _ONE_FRAME)).complains_of("network type")


def _run(argv: list[str]) -> Run:
    """Run to its end what prints nothing that is wanted."""
    run = Run()
    for _ in blocks(argv, run=run):
        pass
    return run


def _same_header(scans: tuple[Scan, ...]) -> bool:
    """Whether all are pcap of one byte order, time resolution and link type."""
    return all(
        s.format == "pcap" and s.header[:4] == scans[0].header[:4] and s.link_types == scans[0].link_types
        for s in scans
    )
