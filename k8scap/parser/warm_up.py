"""Compiles every kernel, once on a machine, by reading a tiny capture with it."""

from __future__ import annotations

import struct
import sys
import tempfile
import threading
from pathlib import Path

from k8scap.parser.compiling import cache_folder, compiled, remember_compiled

_ETHERNET = bytes(12) + b"\x08\x00"
_lock = threading.Lock()


def compile_if_needed() -> None:
    """Compile the engine's kernels where that was not done on this machine yet; it is said."""
    if not compiled():
        compile_kernels()


def compile_kernels() -> None:
    """Takes about half a minute; a line on stderr says so. What lies ready is only loaded."""
    with _lock:
        _say("k8scap: compiling the packet engine, once on this machine (about half a minute) …")
        with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
            for name, content in (("warm.pcap", _pcap()), ("warm.pcapng", _pcapng())):
                path = Path(folder) / name
                path.write_bytes(content)
                _read(path)
        remember_compiled()
        _say(
            "k8scap: compiled."
            if cache_folder()
            else "k8scap: compiled, for this process only: no cache folder can be written."
        )


def _read(path: Path) -> None:
    from k8scap.parser.builder import Builder
    from k8scap.parser.columnar import FrameReader
    from k8scap.parser.interning import new_table, reserve
    from k8scap.parser.source import Source
    from k8scap.recording import Recording

    source = Source(Recording((path,)))
    builder = Builder(None, [source])
    reader = FrameReader([path])
    builder.begin_source(source, reader)
    for frames in reader:
        builder.add(frames, None)
    reserve(new_table(), 1 << 11)
    reader.close()
    builder.piece()


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
