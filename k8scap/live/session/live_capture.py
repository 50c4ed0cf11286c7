"""A capture that runs: watched over, ended, and closed whatever happens."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from k8scap.live.session import endings, signals
from k8scap.live.session.companion import Companion
from k8scap.live.session.crews import Crews

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.errors import K8scapError
    from k8scap.live.session.planning import Plan
    from k8scap.live.session.recorder import Recorder
    from k8scap.live.watching import Watcher
    from k8scap.live.watching.display import Shown
    from k8scap.model import Counters, Manifest
    from k8scap.runner import Runner

_TICK_SECONDS = 1.0
_LOOK_UP_SECONDS = 0.25
_AFTERMATH_NS = 250_000_000  # for the last answers to what the command sent


class LiveCapture:
    """A capture that runs in the background until a limit, its command's end, or `stop()`.

    As a context manager it stops at the block's end. Where the process that started it is killed,
    tcpdump ends with it and the files are closed at their last whole record.

    Attributes
    ----------
    started_at, ended_at: when tcpdump listened, and when all was closed, on the monotonic clock.
    seconds: the limit, or None.
    to_files: whether it writes files, and no pipe.
    """

    def __init__(self, plan: Plan, *, runner: Runner) -> None:
        self._wake = threading.Event()
        self._done = threading.Event()
        self._asked = ""
        self._error: K8scapError | None = None
        self._crews = Crews(plan, runner=runner, wake=self._wake.set, give_up=lambda: bool(self._asked))
        self._companion = (
            Companion(plan.command, runner=runner, on_end=self._wake.set) if plan.command else None
        )
        self._thread = threading.Thread(target=self._control, name="k8scap-capture", daemon=True)
        self.started_at = time.monotonic()
        self.seconds = plan.spec.seconds
        self.to_files = plan.stdout is None
        self.ended_at: float | None = None
        self.panel: Shown | None = None
        self._watcher: Watcher | None = None
        self._watching = threading.Lock()

    def start(self) -> Self:
        """Return when every tcpdump listens; raises what kept one from it, and then leaves nothing behind."""
        signals.register(self)
        try:
            self._crews.begin()
        except BaseException:
            signals.forget(self)
            self._done.set()
            raise
        self.started_at = time.monotonic()
        self._thread.start()
        return self

    @property
    def running(self) -> bool:
        return not self._done.is_set()

    @property
    def ending(self) -> bool:
        """Whether it was asked to end, or has ended."""
        return bool(self._asked) or not self.running

    @property
    def counters(self) -> Counters:
        """Of all interfaces together; tcpdump's part is at most a second old (ten, on another machine)."""
        return endings.total([recorder.counters for recorder in self._crews.recorders])

    @property
    def bytes(self) -> int:
        """In the files that are there."""
        return sum(recorder.writer.sink.bytes for recorder in self._crews.recorders)

    @property
    def files(self) -> tuple[Path, ...]:
        """The capture files, oldest first; they grow by whole records and may be opened at any time."""
        return self._crews.files

    @property
    def packets(self) -> pd.DataFrame:
        """The packets table so far, with the rows that `load` makes of the finished files.

        What is written is read once. The last million packets are kept, of all points together (about 200
        bytes each); the whole is in the files.
        With a ring, frames are numbered from the capture's beginning, those that were rotated away included.
        After 500,000 conversations, streams are numbered anew. Raises UsageError where there is no file
        (`-w -`) and where only tshark reads the link type.
        """
        from k8scap.live.watching.reading import packets

        return packets(self)

    @property
    def watcher(self) -> Watcher:
        """What reads on in the files; started when it is first asked for."""
        with self._watching:
            if self._watcher is None:
                from k8scap.live.watching import Watcher

                self._watcher = Watcher(self)
                self._watcher.start()
            return self._watcher

    @property
    def recorders(self) -> tuple[Recorder, ...]:
        """One a point, in the order of `manifests`."""
        return tuple(self._crews.recorders)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """One a point, as on disk."""
        return self._crews.manifests

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the capture as a whole: targets that could not be captured, among others."""
        return tuple(self._crews.notes)

    @property
    def exit_code(self) -> int | None:
        """Of the command beside which it ran (negative: the signal that ended it)."""
        return self._companion.returncode if self._companion else None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end (seconds); whether it has come."""
        if timeout is not None:
            return self._done.wait(timeout)
        # A signal that the kernel gives to another thread does not end a wait of the main one, where
        # Python runs the handlers: so it looks up now and then.
        while not self._done.wait(_LOOK_UP_SECONDS):
            pass
        return True

    def request_stop(self, reason: str = "stopped") -> None:
        """Have it end, and return at once; `reason` is what the manifest will say. The first one counts."""
        self._asked = self._asked or reason
        self._wake.set()

    def stop(self) -> Capture:
        """End it and open what was captured.

        Raises CaptureBrokenError, and DiskFullError, where it broke off; what came is kept (`.files`).
        """
        self.request_stop()
        return self.result()

    def result(self) -> Capture:
        """Wait for the end and open what was captured; raises as `stop` does."""
        self.wait()
        if self._error is not None:
            raise self._error
        from k8scap import analysis
        from k8scap.names import Names

        return analysis.load(*self.files) if self.files else analysis.Capture((), names=Names())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.request_stop()
        self.wait()

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended by {self.manifests[0].ended_by}"
        points = ", ".join(manifest.point for manifest in self.manifests)
        return f"<LiveCapture of {points}: {state}, {self.counters.on_disk:,} packets on disk>"

    def _ipython_display_(self) -> None:
        from k8scap.live.watching.display import in_a_notebook, show

        if not (self.running and in_a_notebook()):
            raise NotImplementedError  # which has IPython show the bundle
        show(self)

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        from k8scap.live.watching.display import bundle, in_a_notebook

        return bundle(self) if in_a_notebook() else {"text/plain": repr(self)}

    def _control(self) -> None:
        reason = "stopped"
        try:
            reason = self._watch()
        finally:
            notes = self._companion.notes if self._companion else ()
            until_ns = time.time_ns() + (_AFTERMATH_NS if reason == "command" else 0)
            try:
                self._error = self._crews.end(reason, until_ns=until_ns, notes=notes)
            finally:
                self._see_companion_off()
                signals.forget(self)
                self.ended_at = time.monotonic()
                self._done.set()

    def _watch(self) -> str:
        """Wait for a reason to end, each second looking after tcpdump and its targets."""
        if self._companion:
            self._companion.start()
        next_tick = time.monotonic()
        while True:
            if reason := self._reason():
                return reason
            if time.monotonic() >= next_tick:
                next_tick += _TICK_SECONDS
                self._crews.look()
            self._wake.wait(max(0.0, min(next_tick, self._deadline()) - time.monotonic()))
            self._wake.clear()

    def _reason(self) -> str:
        if self._asked:
            return self._asked
        if reason := self._crews.why_all_end():
            return reason
        if self._companion and self._companion.ended.is_set():
            return "command"
        return "seconds" if time.monotonic() >= self._deadline() else ""

    def _deadline(self) -> float:
        return float("inf") if self.seconds is None else self.started_at + self.seconds

    def _see_companion_off(self) -> None:
        # The command is its user's, who may want it to the end: only who ends the capture ends it too.
        while self._companion and not self._companion.ended.is_set():
            if self._asked:
                self._companion.end()
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
