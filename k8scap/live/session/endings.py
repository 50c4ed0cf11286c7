"""Why a recorder ended, and the error that its end amounts to."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from k8scap.errors import CaptureBrokenError, ConnectionLostError, DiskFullError, K8scapError
from k8scap.live import tcpdump
from k8scap.live.session.writer import PipeSink
from k8scap.model import Counters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.live.session.place import Place
    from k8scap.live.session.recorder import Recorder

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def reason_of(recorder: Recorder) -> str:
    """The manifest's word for why this recorder cannot go on; "" while it can."""
    if recorder.error is not None:
        return _reason_of_error(recorder)
    if recorder.writer.full:
        return recorder.writer.full
    if isinstance(recorder.writer.sink, PipeSink) and recorder.writer.sink.abandoned:
        return "stopped"
    return "tcpdump-ended" if recorder.ended.is_set() else ""


def _reason_of_error(recorder: Recorder) -> str:
    error = recorder.error
    if isinstance(error, BrokenPipeError) and isinstance(recorder.writer.sink, PipeSink):
        return "stopped"  # whoever read `-w -` has read enough
    if isinstance(error, OSError) and error.errno in _FULL:
        return "disk-full"
    if isinstance(error, ConnectionLostError):
        return "connection-lost"
    return "write-failed" if isinstance(error, OSError) else "tcpdump-ended"


def error_of(recorders: Sequence[Recorder], reason: str) -> K8scapError | None:
    """What the capture's end has to be told as; None for an end that was wanted."""
    files = tuple(str(path) for recorder in recorders for path in recorder.writer.sink.paths)
    kept = f"{sum(recorder.writer.sink.records for recorder in recorders):,} packets are kept"
    look = f"k8scap diagnose {' '.join(files)}" if files else ""
    error = next((r.error for r in recorders if r.error is not None), None)
    if reason == "disk-full":
        return DiskFullError(
            f"The disk is full, and the capture ended: {kept}.", files=files, next_step=f"df -h, then {look}"
        )
    if reason == "write-failed" and isinstance(error, OSError):
        return CaptureBrokenError(
            f"Writing failed ({error.strerror}), and the capture ended: {kept}.", files=files, next_step=look
        )
    if reason == "connection-lost":
        return ConnectionLostError(f"{words(error)} {kept}.", files=files, next_step=look)
    if reason == "tcpdump-ended":
        said = " ".join(recorders[0].said) if error is None else str(error)
        return CaptureBrokenError(
            f"tcpdump ended by itself ({said or 'without a word'}): {kept}.", files=files, next_step=look
        )
    return None


def words(error: BaseException | None) -> str:
    """The sentence of an error, without its next step."""
    return error.message if isinstance(error, K8scapError) else str(error)


def require_listening(recorder: Recorder, *, interface: str) -> None:
    """Raise what kept tcpdump from listening."""
    if isinstance(recorder.error, K8scapError):
        raise recorder.error
    if recorder.error is not None and not recorder.link_type:
        raise CaptureBrokenError(f"tcpdump could not be started: {recorder.error}.") from recorder.error
    if not recorder.listening.is_set():
        said = " ".join(recorder.said) or "it said nothing"
        raise CaptureBrokenError(
            f"tcpdump did not begin to listen on {interface}: {said}.", next_step="capture again."
        )
    if not recorder.link_type:
        raise tcpdump.explain(recorder.said, interface=interface)


def unwritten(place: Place, error: OSError) -> K8scapError:
    """The error of a manifest that could not be written."""
    kind = DiskFullError if error.errno in _FULL else CaptureBrokenError
    return kind(
        f"The manifest {place.manifest} could not be written: {error.strerror}.",
        next_step=f"df -h {place.folder}",
    )


def total(counters: Sequence[Counters]) -> Counters:
    """The sum; unknown where one part is."""

    def add(values: Sequence[int | None]) -> int | None:
        return None if None in values else sum(v for v in values if v is not None)

    return Counters(
        captured=add([c.captured for c in counters]),
        received=add([c.received for c in counters]),
        dropped=add([c.dropped for c in counters]),
        interface_dropped=add([c.interface_dropped for c in counters]),
        on_disk=sum(c.on_disk for c in counters),
        rotated_away=sum(c.rotated_away for c in counters),
        past_limit=sum(c.past_limit for c in counters),
    )
