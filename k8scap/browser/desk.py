"""Work that would keep a notebook waiting: done beside it, one thing of a kind at a time, the newest one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Desk:
    """Does what it is given in a thread; of what waits only the newest is done."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._next: Callable[[threading.Event], None] | None = None
        self._stop = threading.Event()
        self._working = False

    def give(self, work: Callable[[threading.Event], None]) -> None:
        """Do `work` when what is at hand, asked to stop, has ended; it gets the event that asks it to."""
        with self._lock:
            self._stop.set()
            self._next = work
            if not self._working:
                self._working = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def clear(self) -> None:
        """Have what is at hand stop, and do nothing in its place."""
        with self._lock:
            self._stop.set()
            self._next = None

    def _run(self) -> None:
        while True:
            with self._lock:
                work, self._next = self._next, None
                if work is None:
                    self._working = False
                    return
                stop = self._stop = threading.Event()
            work(stop)
