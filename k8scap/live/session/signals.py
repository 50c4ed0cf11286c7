"""The captures that run in this process, and how they end with it: on signals and on a normal exit."""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_LAST_WAIT = 15.0  # seconds, for a capture to be closed when the interpreter ends
_DEFAULTS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
if hasattr(signal, "SIGHUP"):  # Windows has none
    _DEFAULTS[signal.SIGHUP] = signal.SIG_DFL


class Endable(Protocol):
    def request_stop(self, reason: str = "stopped") -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


_running: set[Endable] = set()
_asked_early: list[str] = []


def register(capture: Endable) -> None:
    _running.add(capture)
    if _asked_early:
        capture.request_stop(_asked_early[0])


def forget(capture: Endable) -> None:
    _running.discard(capture)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """On Ctrl-C, SIGTERM and SIGHUP, end the captures that run, keeping what came; without one, the process.

    Handlers that somebody else has set are left alone. Outside the main thread, where Python takes no
    handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _DEFAULTS}
    ours = [number for number, handler in _DEFAULTS.items() if before[number] == handler]
    for number in ours:
        signal.signal(number, _end_all)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
        if ours:
            _asked_early.clear()


def _end_all(number: int, _frame: FrameType | None) -> None:
    reason = "interrupted" if number == signal.SIGINT else "terminated"
    for capture in tuple(_running):
        capture.request_stop(reason)
    if _running:
        return
    # An exception out of a handler is lost where it meets a callback of Python's own (an import's, say):
    # then the capture that was about to start ends as soon as it has.
    _asked_early.append(reason)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


@atexit.register
def _end_with_the_interpreter() -> None:
    running = tuple(_running)
    for capture in running:
        capture.request_stop("terminated")
    for capture in running:
        capture.wait(_LAST_WAIT)
