"""The user's own command, beside which a capture lasts."""

from __future__ import annotations

import shlex
import signal
import threading
from typing import TYPE_CHECKING

from k8scap.live.leash import bound_to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.runner import Child, Runner

_PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL


class Companion:
    """Runs `command` here, not in the namespace, with this terminal's streams.

    Attributes
    ----------
    ended: set when it has ended, or could not be started.
    returncode: its exit code (negative: the signal that ended it); None as long as it runs.
    error: why it could not be started.
    """

    def __init__(self, command: Sequence[str], *, runner: Runner, on_end: Callable[[], None]) -> None:
        self.command = tuple(command)
        self.ended = threading.Event()
        self.returncode: int | None = None
        self.error: BaseException | None = None
        self._runner = runner
        self._on_end = on_end
        self._child: Child | None = None
        self._thread = threading.Thread(target=self._run, name="k8scap-command", daemon=True)

    @property
    def text(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.command)

    @property
    def notes(self) -> tuple[str, ...]:
        """How it ended, in a sentence, where it has."""
        if not self.ended.is_set():
            return ()
        return (f"The command {self.text} ended with exit code {self.returncode}.",)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Have it end: SIGTERM, and SIGKILL where that does not help."""
        if self._child is None or self.ended.is_set():
            return
        self._child.send_signal(signal.SIGTERM)
        if not self.ended.wait(_PATIENCE):
            self._child.kill()
            self.ended.wait(_PATIENCE)

    def _run(self) -> None:
        try:
            self._child = self._runner.accompany(bound_to_us(self.command, signal="TERM"))
            self.returncode = self._child.wait()
        except BaseException as error:  # noqa: BLE001 - a thread's errors are told by whoever waits for it
            self.error = error
        finally:
            self.ended.set()
            self._on_end()
