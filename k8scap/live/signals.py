"""The captures that run in this process, and how they end with it: on SIGTERM, SIGHUP and a normal exit."""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGHUP)
_LAST_WAIT = 15.0  # seconds, for a capture to be closed when the interpreter ends


class Endable(Protocol):
    def request_stop(self, reason: str = "stopped") -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


_running: set[Endable] = set()


def register(capture: Endable) -> None:
    _running.add(capture)


def forget(capture: Endable) -> None:
    _running.discard(capture)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """On SIGTERM and SIGHUP, end the captures that run, keeping what came; without one, end the process.

    Handlers that somebody else has set are left alone, those that were here before come back. Outside
    the main thread, where Python takes no handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _NUMBERS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _end_all)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end_all(number: int, _frame: FrameType | None) -> None:
    if not _running:
        raise SystemExit(128 + number)
    for capture in tuple(_running):
        capture.request_stop("terminated")


@atexit.register
def _end_with_the_interpreter() -> None:
    running = tuple(_running)
    for capture in running:
        capture.request_stop("terminated")
    for capture in running:
        capture.wait(_LAST_WAIT)
