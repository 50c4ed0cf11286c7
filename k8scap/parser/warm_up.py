"""Has every kernel ready before anything is read: loaded, or compiled once on a machine.

A tiny capture is read for it in the caller's thread: an interrupt is not heard in another one, and a thread
that compiles cannot be stopped.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import threading
from pathlib import Path

from k8scap.parser.compiling import compiled, remember_compiled, shelf

_ETHERNET = bytes(12) + b"\x08\x00"
_lock = threading.Lock()
_ready = threading.Event()


def compile_if_needed() -> None:
    """Have the engine's kernels ready in this process."""
    if not _ready.is_set():
        compile_kernels()


def compile_kernels() -> None:
    """Load what lies ready and compile the rest, a minute for all of it; a line on stderr says so."""
    with _lock:
        if _ready.is_set():
            return
        kernels = shelf()
        before, kernels.on_miss = kernels.missed, _say_compiling
        if _read_tiny_captures() and not kernels.lost and not compiled():
            remember_compiled()
        if kernels.missed > before:
            _say(
                "k8scap: compiled, for this process only: no cache folder can be written."
                if kernels.lost
                else "k8scap: compiled."
            )
        _ready.set()


def _say_compiling() -> None:
    shelf().on_miss = None
    _say("k8scap: compiling the packet engine, once on this machine (about a minute) …")


def _read_tiny_captures() -> bool:
    """Whether that could be: where no file can be made, kernels are loaded or compiled at their first use."""
    try:
        with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
            for name, content in (("warm.pcap", _pcap()), ("warm.pcapng", _pcapng())):
                path = Path(folder) / name
                path.write_bytes(content)
                _read(path)
    except OSError:
        return False
    return True


def _read(path: Path) -> None:
    from k8scap.parser.columnar import FrameReader
    from k8scap.parser.conversations.interning import new_table, reserve
    from k8scap.parser.source import Source
    from k8scap.parser.table.builder import Builder
    from k8scap.recording import Recording

    source = Source(Recording((path,)))
    builder = Builder(None, [source])
    reader = FrameReader([path], threads=False)
    builder.begin_source(source, reader)
    for frames in reader:
        builder.add(frames, None)
    reserve(new_table(), 1 << 11)
    _follow_nothing()
    reader.close()


def _follow_nothing() -> None:
    """The kernels that tables are made with, once engine and tables meet."""
    import numpy as np

    from k8scap.parser.conversations.tracks import (
        FLOW,
        IN,
        OUT,
        SEEN,
        STATE,
        highest,
        meet,
        met_before,
        others,
        place,
        settle,
    )

    none = np.zeros(0, np.int64)
    state, sides, places = (np.zeros(shape, np.int64) for shape in ((FLOW, 0), (STATE, 0), 1))
    meet(np.zeros((SEEN, 0), np.int64), none, state, sides)
    settle(state, sides, places)
    place(np.zeros((IN, 0), np.int64), none, none, state, sides, places, np.zeros((OUT, 0), np.int64))
    met_before(none, np.full(1, -1), none)
    others(none, none)
    for before in (False, True):
        highest(none, none, before, none)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - what takes long is said, wherever we run


def _pcap() -> bytes:
    return (
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        + struct.pack("<IIII", 1, 0, 14, 14)
        + _ETHERNET
    )


def _pcapng() -> bytes:
    packet = _ETHERNET + bytes(2)
    return b"".join(
        (
            struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28),
            struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20),
            struct.pack("<IIIIIII", 6, 32 + len(packet), 0, 0, 0, 14, 14)
            + packet
            + struct.pack("<I", 32 + len(packet)),
        )
    )
