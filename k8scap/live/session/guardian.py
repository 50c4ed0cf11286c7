"""The guardian: a small process that outlives a capture which is killed, and leaves its files whole.

kill -9 can hit us in the middle of a write, and leaves no moment to close a file or a manifest. The
guardian only waits for the capturing process; when that ends without a word, it cuts each file to its
last whole record and says in the manifest what happened. tcpdump is no concern of it: the kernel ends
that one (PDEATHSIG).

Run as a file, with the standard library only, so that it is small; the rest is imported when it is needed.
"""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.runner import Runner

DONE = b"done"
_PATIENCE = 5.0  # seconds
_LOOK_EVERY = 1000  # ms; a fork of the parent may hold the pipe open, so its death shows here as well


class Guardian:
    """The guardian as its capture holds it: started before tcpdump, dismissed when all is closed."""

    def __init__(self, folder: str, names: Sequence[str], *, runner: Runner) -> None:
        reading, self._pipe = os.pipe()
        words = [str(reading), str(os.getpid()), folder, *names]
        try:
            self._process = runner.start([sys.executable, "-I", __file__, *words], pass_fds=(reading,))
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def dismiss(self) -> None:
        """Tell it that there is nothing left to do."""
        try:
            os.write(self._pipe, DONE)
        except BrokenPipeError:
            pass  # it was killed; so be it
        finally:
            os.close(self._pipe)
        self._process.wait(_PATIENCE)
        self._process.stdout.close()
        self._process.stderr.close()


def main(words: list[str]) -> None:
    pipe, parent, folder, names = int(words[0]), int(words[1]), words[2], words[3:]
    if not parent_is_done(pipe, parent):
        close_recordings(folder, names)


def parent_is_done(pipe: int, parent: int) -> bool:
    """Wait; whether the parent said that all is done, before it went."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    while os.getppid() == parent:
        if poll.poll(_LOOK_EVERY):
            return os.read(pipe, len(DONE)) == DONE
    return bool(poll.poll(0)) and os.read(pipe, len(DONE)) == DONE


def close_recordings(folder: str, names: list[str]) -> None:
    """Cut the files to whole records and finish the manifests that still say running."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from k8scap.live.session.aftermath import close_recording

    for name in names:
        close_recording(Path(folder), name)


if __name__ == "__main__":
    main(sys.argv[1:])
