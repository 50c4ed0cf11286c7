"""The guardian: a small process that outlives a capture which is killed, and leaves its files whole.

kill -9 can hit us in the middle of a write, and leaves no moment to close a file or a manifest. The
guardian only waits for the capturing process; when that ends without a word, it cuts each file to its
last whole record and says in the manifest what happened. tcpdump is no concern of it: the kernel ends
that one (PDEATHSIG).

Run as a file, with the standard library only, so that it is small; the rest is imported when it is needed.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.runner import Runner

_PATIENCE = 5.0  # seconds
_LOOK_EVERY = 1000  # ms; a fork of the parent may hold the pipe open, so its death shows here as well
_DONE = b"\0"  # no name is that
_READ_BYTES = 1 << 16


class Guardian:
    """The guardian as its capture holds it: started before tcpdump, dismissed when all is closed."""

    def __init__(self, folder: str, names: Sequence[str], *, runner: Runner) -> None:
        reading, self._pipe = os.pipe()
        words = [str(reading), str(os.getpid()), folder]
        try:
            self._process = runner.start([sys.executable, "-I", __file__, *words], pass_fds=(reading,))
            self.watch_over(names)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def watch_over(self, names: Sequence[str]) -> None:
        """Name recordings that have begun."""
        self._tell(b"".join(os.fsencode(name) + b"\n" for name in names))

    def dismiss(self) -> None:
        """Tell it that there is nothing left to do."""
        try:
            self._tell(_DONE)
        finally:
            os.close(self._pipe)
        self._process.wait(_PATIENCE)
        self._process.stdout.close()
        self._process.stderr.close()

    def _tell(self, words: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed; so be it
            while words:
                words = words[os.write(self._pipe, words) :]


def main(words: list[str]) -> None:
    pipe, parent, folder = int(words[0]), int(words[1]), words[2]
    told = hear(pipe, parent)
    if not told.endswith(_DONE):
        close_recordings(folder, [os.fsdecode(name) for name in told.splitlines()])


def hear(pipe: int, parent: int) -> bytes:
    """Wait until the parent has gone, or said that all is done; what it told."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    told = b""
    while os.getppid() == parent or poll.poll(0):
        if not poll.poll(_LOOK_EVERY):
            continue
        words = os.read(pipe, _READ_BYTES)
        told += words
        if not words or told.endswith(_DONE):
            break
    return told


def close_recordings(folder: str, names: list[str]) -> None:
    """Cut the files to whole records and finish the manifests that still say running."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from k8scap.live.session.aftermath import close_recording

    for name in names:
        close_recording(Path(folder), name)


if __name__ == "__main__":
    main(sys.argv[1:])
