"""Reads on while a capture runs: a pass twice a second, findings beside it, and whoever looks is told.

Passes are made in a thread of their own, so that an interrupt of a cell leaves no block half read.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from k8scap.live.watching.findings_so_far import FindingsSoFar
from k8scap.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from k8scap.live.session.live_capture import LiveCapture
    from k8scap.live.watching.points import Points

_TICK_SECONDS = 0.5
_LOOK_UP_SECONDS = 0.25
_FIRST_FINDINGS_SECONDS = 2.0
_REST = 15
"""Judging rests as many times longer than it took, and so takes a sixteenth of a core in the end; how long it
rests at the most is doubled from time to time, as the first ones load what they need."""
_WINDOW_ROWS = 200_000
_LAST_FINDINGS_SECONDS = 20.0
_NICENESS = 10


class Watcher:
    """What is known of a capture that runs; `points` may be looked at with `lock` held.

    Attributes
    ----------
    ready: whether the packet engine was there, which is compiled once on a machine.
    findings: those so far.
    failure: what keeps the table from growing; empty as long as nothing does.
    """

    def __init__(self, live: LiveCapture) -> None:
        self._live = live
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._begun = self._ended = 0
        self._all_read = False
        self._listeners: list[Callable[[Watcher], None]] = []
        self._rested_at = time.monotonic()
        self._points: Points | None = None
        self._names = Names()
        self._known = 0
        self.lock = threading.Lock()
        self.ready = False
        self._over = threading.Event()
        self.findings = FindingsSoFar()
        self.failure = ""
        self._thread = threading.Thread(target=self._run, name="k8scap-watcher", daemon=True)
        self._judge = threading.Thread(target=self._keep_judging, name="k8scap-judge", daemon=True)

    @property
    def over(self) -> bool:
        """Whether the capture has ended, and all of it has been read and judged."""
        return self._over.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait until all is over (seconds); whether it is."""
        return self._over.wait(timeout)

    @property
    def live(self) -> LiveCapture:
        return self._live

    @property
    def points(self) -> Points:
        """To be asked for once it is `ready`."""
        assert self._points is not None  # noqa: S101 - made before anybody is told that it is ready
        return self._points

    @property
    def names(self) -> Names:
        """Who the addresses are, as far as the manifests know by now."""
        manifests = self._live.manifests
        known = sum(len(manifest.names) for manifest in manifests)
        if known != self._known:  # a cluster's are thousands, and asked for twice a second
            self._names = Names(entry for manifest in manifests for entry in manifest.names)
            self._known = known
        return self._names

    def start(self) -> None:
        self._thread.start()
        self._judge.start()

    def tell(self, listener: Callable[[Watcher], None]) -> None:
        """Call `listener` after every pass, from the watcher's thread, the last time when all is over.

        One that raises is told no more.
        """
        self._listeners.append(listener)
        self._wake.set()

    def packets(self) -> pd.DataFrame | None:
        """The newest rows, what is on disk by now among them; None where there is a failure."""
        self._await_a_pass()
        with self.lock:
            return self._points.packets() if self._points is not None and not self.failure else None

    # ---- passes ----

    def _run(self) -> None:
        try:
            self._keep_reading()
        except Exception as error:  # noqa: BLE001 - told to whoever looks; the capture goes on without us
            self.failure = self.failure or f"{type(error).__name__}: {error}"
        finally:
            self._finish()

    def _keep_reading(self) -> None:
        self._notify()
        from k8scap.live.watching.points import Points
        from k8scap.parser.warm_up import compile_if_needed

        compile_if_needed()
        self._points = Points()
        self.ready = True
        while True:
            last = not self._live.running  # asked before reading: what was written by then is read
            self._pass()
            if last:
                return
            self._notify()
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()

    def _pass(self) -> None:
        with self._turn:
            self._begun += 1
        crews = self._live.recorders, self._live.manifests
        with self.lock:
            self.points.read(*crews)
            now = time.monotonic()
            self.points.settle(max(now - self._rested_at, 1e-3))
            self._rested_at = now
        with self._turn:
            self._ended = self._begun
            self._turn.notify_all()

    def _finish(self) -> None:
        with self._turn:
            self._all_read = True
            self._turn.notify_all()
        self._live.wait()  # where reading failed, there is still an end to be told
        self._notify()
        self._judge.join(_LAST_FINDINGS_SECONDS)
        if self._points is not None:
            self._points.close()
        self._over.set()
        self._notify()

    def _await_a_pass(self) -> None:
        with self._turn:
            wanted = self._begun + 1
            while self._ended < wanted and not self._all_read:
                self._wake.set()
                self._turn.wait(_LOOK_UP_SECONDS)

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(self)
            except Exception as error:  # noqa: BLE001 - who shows it may fail: the table grows all the same
                self._listeners.remove(listener)
                _say(f"k8scap: showing the capture failed ({type(error).__name__}: {error}); it goes on.")

    # ---- findings ----

    def _keep_judging(self) -> None:
        """At growing intervals, and once more in the end. The capture's threads and tcpdump go first."""
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        rest = most = _FIRST_FINDINGS_SECONDS
        judged, last = 0, False
        while not last:
            self._sleep(rest)
            last = self._all_read
            if not self.ready or self.points.rows == judged:
                continue
            judged, begun = self.points.rows, time.monotonic()
            self._judge_newest()
            most *= 2
            rest = min(max(_FIRST_FINDINGS_SECONDS, _REST * (time.monotonic() - begun)), most)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._all_read and time.monotonic() < until:
            time.sleep(min(_LOOK_UP_SECONDS, max(0.0, until - time.monotonic())))

    def _judge_newest(self) -> None:
        from k8scap.live.watching.judging import found_in

        with self.lock:
            windows = self.points.windows(_WINDOW_ROWS)
        try:
            for pieces, manifest in zip(windows, self._live.manifests, strict=False):
                self.findings.add(found_in(pieces, manifest, self.names))
        except Exception as error:  # noqa: BLE001 - told to whoever looks; what there is of packets is shown
            self.findings.failure = f"{type(error).__name__}: {error}"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - there is nowhere else to say it
