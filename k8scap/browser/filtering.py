"""A display filter's frames: from the table at once, from tshark over the whole file with progress."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from k8scap.errors import K8scapError
from k8scap.parser.filters import both, check_filter
from k8scap.parser.reference.tshark import Run, command, lines
from k8scap.parser.selecting import passing
from k8scap.parser.where import compile_filter
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from k8scap.parser.source import Source
    from k8scap.runner import LocalProcess

    Ints = npt.NDArray[np.int64]

_LOOK_SECONDS = 0.3
_NUMBER = ("-T", "fields", "-e", "frame.number")


class StoppedError(K8scapError):
    """Somebody asked for another filter meanwhile."""


def quoted(text: str) -> str:
    """Text as a display filter has it (wireshark-filter(4))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def from_table(packets: pd.DataFrame, text: str) -> Ints | None:
    """Positions of the rows that pass; None where the table cannot tell of every frame."""
    if not text:
        return np.arange(len(packets))
    where = compile_filter(text)
    if where is None or not {*where.columns, "point"} <= {"number", *packets.columns}:
        return None
    judgement = where.judge(packets)
    return None if judgement.unsure.any() else np.flatnonzero(judgement.mask).astype(np.int64)


def by_tshark(
    sources: Sequence[Source],
    packets: pd.DataFrame,
    text: str,
    *,
    within: str,
    decode_as: Mapping[str, str],
    progress: Callable[[float | None], None],
    stop: threading.Event,
) -> Ints:
    """The same, with tshark's help; `within` is the filter that the packets had passed already.

    `progress` is told the part that is done, None where nobody knows it. Raises
    FilterError, ToolMissingError, and StoppedError once `stop` is set.
    """
    check_filter(text)
    where = compile_filter(text)
    if where is not None and {*where.columns, "point"} <= {"number", *packets.columns}:
        progress(None)
        return np.flatnonzero(passing(where, sources, packets)).astype(np.int64)
    kept = np.zeros(len(packets), bool)
    total = sum(_size(source.path) for source in sources) or 1
    done = 0
    points = packets["point"].to_numpy(dtype=object)
    for source in sources:
        told = partial(_tell_part, progress, done, total)
        numbers = _numbers(source, both(within, text), decode_as, stop, told)
        kept |= (points == source.point) & np.isin(packets.index.to_numpy(), numbers)
        done += _size(source.path)
    return np.flatnonzero(kept).astype(np.int64)


def _tell_part(progress: Callable[[float | None], None], before: int, total: int, at: int) -> None:
    progress((before + at) / total)


def _numbers(
    source: Source,
    text: str,
    decode_as: Mapping[str, str],
    stop: threading.Event,
    told: Callable[[int], None],
) -> Ints:
    import threading

    run, runner = Run(), _Watched()
    argv = command(source.path, _NUMBER, where=text, decode_as=decode_as)
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(runner, source.path, stop, ended, told), name="k8scap-filter", daemon=True
    )
    watcher.start()
    found: list[int] = []
    try:
        with closing(lines(argv, run=run, runner=runner)) as printed:
            for block in printed:
                found += map(int, block.split())
    finally:
        ended.set()
        watcher.join()
    if stop.is_set():
        raise StoppedError("Another filter was asked for.")
    source.remember(run)
    return np.array(found, np.int64)


class _Watched(LocalRunner):
    """Keeps hold of what it starts."""

    process: LocalProcess | None = None

    def start(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        pipe_bytes: int = 0,
    ) -> LocalProcess:
        self.process = super().start(argv, pass_fds=pass_fds, env=env, pipe_bytes=pipe_bytes)
        return self.process


def _watch(
    runner: _Watched,
    path: Path,
    stop: threading.Event,
    ended: threading.Event,
    told: Callable[[int], None],
) -> None:
    """Tell how far tshark has read, and end it when it is no longer wanted."""
    while not ended.wait(_LOOK_SECONDS):
        process = runner.process
        if process is None:
            continue
        if stop.is_set():
            with suppress(OSError):
                process.kill()
        elif (at := _read_so_far(process.pid, path)) is not None:
            told(at)


def _read_so_far(pid: int, path: Path) -> int | None:
    """Where a process stands in a file, by Linux's /proc; None elsewhere."""
    with suppress(OSError, ValueError, StopIteration):
        folder = f"/proc/{pid}/fd"
        real = os.path.realpath(path)
        fd = next(fd for fd in os.listdir(folder) if os.path.realpath(f"{folder}/{fd}") == real)  # noqa: PTH208
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:  # noqa: PTH123
            return int(file.readline().split()[1])
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
