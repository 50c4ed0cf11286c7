"""tcpdump's stream → files that hold whole records only, within the limits.

We write ourselves, as tcpdump on a full disk goes on in silence. A batch of whole records is one write;
where the disk takes only a part of it, the file is cut back to its last whole record.
"""

from __future__ import annotations

import os
import select
import stat
from bisect import bisect_right
from typing import TYPE_CHECKING

from k8scap.live.session.framing import HEADER_BYTES, Header
from k8scap.model import RecordingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PIPE_BUF = 4096  # pipe(7): what a pipe that polls as writable takes without blocking
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class PcapFile:
    """One file; raises OSError from `append`, with all that was whole in it and counted.

    `begin` is how many records were written before it, into others.
    """

    def __init__(self, path: Path, header: Header, *, begin: int = 0) -> None:
        self.path = path
        self.begin = begin
        self.bytes = 0
        self.records = 0
        self._fd = os.open(path, _NEW, 0o600)
        try:
            self.append(header.raw, [HEADER_BYTES])
        except OSError:
            self.close()
            path.unlink()
            raise
        self.records = 0

    def append(self, batch: bytes | memoryview, ends: Sequence[int]) -> None:
        """Write whole records, which end at the offsets `ends`."""
        view, written = memoryview(batch), 0
        try:
            while written < len(view):
                written += os.write(self._fd, view[written:])
        except OSError:
            whole = bisect_right(ends, written)
            self._count(ends[:whole])
            os.ftruncate(self._fd, self.bytes)
            raise
        self._count(ends)

    def _count(self, ends: Sequence[int]) -> None:
        self.bytes += ends[-1] if ends else 0
        self.records += len(ends)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def entry(self) -> RecordingFile:
        return RecordingFile(name=self.path.name, bytes=self.bytes, records=self.records)


class FileSink:
    """NAME.pcap, ended by `size` bytes; or a ring of (files, bytes a file) named NAME.0001.pcap and on."""

    def __init__(self, folder: Path, name: str, *, size: int | None, ring: tuple[int, int] | None) -> None:
        self._folder = folder
        self._name = name
        self._size = size
        self._ring = ring
        self._header: Header | None = None
        self._files: list[PcapFile] = []
        self._opened = 0
        self.rotated_away = 0

    def begin(self, header: Header) -> None:
        self._header = header
        self._open_next()

    def write(self, batch: memoryview, ends: Sequence[int]) -> int:
        """Write what fits; returns how many records that were (fewer: the size limit is reached)."""
        if self._ring is None:
            fit = len(ends) if self._size is None else self._fitting(ends, self._size)
            self._append(batch, ends, 0, fit)
            return fit
        done = 0
        while done < len(ends):
            done = self._write_to_ring(batch, ends, done)
        return done

    def close(self) -> None:
        for file in self._files:
            file.close()

    @property
    def entries(self) -> tuple[RecordingFile, ...]:
        return tuple(file.entry for file in self._files)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(file.path for file in self._files)

    @property
    def begun(self) -> tuple[tuple[Path, int], ...]:
        """The files that are there, oldest first, and how many records were written before each."""
        return tuple((file.path, file.begin) for file in tuple(self._files))

    @property
    def records(self) -> int:
        return sum(file.records for file in self._files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self._files)

    def _write_to_ring(self, batch: memoryview, ends: Sequence[int], done: int) -> int:
        assert self._ring is not None  # noqa: S101 - only called for rings
        start = ends[done - 1] if done else 0
        fit = self._fitting([end - start for end in ends[done:]], self._ring[1])
        if not fit and self._files[-1].records:
            self._rotate()
            return done
        fit = fit or 1  # one record that is larger than a file gets a file of its own
        self._append(batch, ends, done, done + fit)
        return done + fit

    def _fitting(self, ends: Sequence[int], size: int) -> int:
        return bisect_right(ends, size - self._files[-1].bytes)

    def _append(self, batch: memoryview, ends: Sequence[int], first: int, last: int) -> None:
        if last > first:
            start = ends[first - 1] if first else 0
            self._files[-1].append(batch[start : ends[last - 1]], [end - start for end in ends[first:last]])

    def _rotate(self) -> None:
        assert self._ring is not None  # noqa: S101 - only called for rings
        self._files[-1].close()
        if len(self._files) == self._ring[0]:
            oldest = self._files.pop(0)
            self.rotated_away += oldest.records
            oldest.path.unlink(missing_ok=True)
        self._open_next()

    def _open_next(self) -> None:
        assert self._header is not None  # noqa: S101 - begin() comes first
        self._opened += 1
        number = f".{self._opened:04d}" if self._ring else ""
        path = self._folder / f"{self._name}{number}.pcap"
        self._files.append(PcapFile(path, self._header, begin=self.rotated_away + self.records))


class PipeSink:
    """The stream as it came, into a descriptor that somebody reads (`-w -`)."""

    def __init__(self, fd: int, *, size: int | None, give_up: Callable[[], bool]) -> None:
        self._fd = fd
        self._size = size
        self._give_up = give_up
        self._step = None if stat.S_ISREG(os.fstat(fd).st_mode) else _PIPE_BUF
        self.records = 0
        self.bytes = 0
        self.rotated_away = 0
        self.entries: tuple[RecordingFile, ...] = ()
        self.paths: tuple[Path, ...] = ()
        self.begun: tuple[tuple[Path, int], ...] = ()

    def begin(self, header: Header) -> None:
        self._write_all(memoryview(header.raw))

    def write(self, batch: memoryview, ends: Sequence[int]) -> int:
        """Write what fits; raises BrokenPipeError when nobody reads any more."""
        fit = len(ends) if self._size is None else bisect_right(ends, self._size - self.bytes)
        if fit:
            self._write_all(batch[: ends[fit - 1]])
        self.records += fit
        return fit

    @property
    def abandoned(self) -> bool:
        """Whether nobody reads any more: where no packet comes, no write would tell."""
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._fd, 0)
        return any(happened & select.POLLERR for _, happened in poll.poll(0))

    def close(self) -> None:
        """The descriptor is the caller's."""

    def _write_all(self, view: memoryview) -> None:
        # A reader that has stopped reading must not keep the capture from ending: so never block.
        at = 0
        while at < len(view):
            if not select.select([], [self._fd], [], 0.2)[1]:
                if self._give_up():
                    raise BrokenPipeError
                continue
            at += os.write(self._fd, view[at : at + self._step] if self._step else view[at:])
        self.bytes += len(view)


class Writer:
    """Takes the stream in pieces of any length; `full` names the limit that was reached, "" before that.

    The limits are the sink's size, `packets`, and from when it is set `until_ns` (records with a later
    time stamp, ns since the epoch). What comes after a limit is counted in `past_limit`, not written.
    """

    def __init__(self, sink: FileSink | PipeSink, *, packets: int | None = None) -> None:
        self.sink = sink
        self.full = ""
        self.past_limit = 0
        self.until_ns: int | None = None
        self._packets = packets
        self._records = 0
        self._header: Header | None = None
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Raises OSError of the disk or pipe (what is whole is written), NotPcapError."""
        data = self._rest + data if self._rest else data
        if self._header is None:
            if len(data) < HEADER_BYTES:
                self._rest = data
                return
            self._header = Header.read(data[:HEADER_BYTES])
            self.sink.begin(self._header)
            data = data[HEADER_BYTES:]
        ends = self._header.record_ends(data)
        self._rest = data[ends[-1] :] if ends else data
        self._take(memoryview(data), ends, self._header)

    def _take(self, data: memoryview, ends: list[int], header: Header) -> None:
        if self.full:
            self.past_limit += len(ends)
            return
        wanted = ends if self._packets is None else ends[: self._packets - self._records]
        if self.until_ns is not None and wanted:
            wanted = wanted[: header.count_until(data, wanted, self.until_ns)]
        taken = self.sink.write(data, wanted) if wanted else 0
        self._records += taken
        if taken < len(wanted):
            self.full = "size"
        elif self._records == self._packets:
            self.full = "packets"
        elif taken < len(ends):
            self.full = "time"
        self.past_limit += len(ends) - taken

    def close(self) -> None:
        self.sink.close()
