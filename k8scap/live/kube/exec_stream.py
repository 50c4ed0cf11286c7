"""A command that runs in a container, over a websocket: the remotecommand protocol, channels v4 and v5.

Each binary frame begins with its channel (k8s.io/apimachinery, pkg/util/remotecommand): 1 is stdout, 2 is
stderr, 3 the status, a JSON object that says how the command ended. The status is the end: a socket that
closes without one has broken, whatever came before.

Frames are read by whoever reads stdout, one at a time, so that a slow reader slows the sender and nothing
piles up here; the client library's own `stream()` gathers all that came, in quadratic time.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.errors import ConnectionLostError
from k8scap.live.kube import frames
from k8scap.live.linux import LinuxSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websocket import WebSocket

STDOUT, STDERR, STATUS = 1, 2, 3

_PING_SECONDS = 15.0  # load balancers cut connections that are idle for 20 s and more
_SILENT_SECONDS = 60.0  # after which a connection whose pings were answered before is taken for dead
_MOST_STATUS_BYTES = 1 << 20
_MOST_MESSAGE_BYTES = 64 << 20
_LONGEST_LINE = 8192


@dataclass(frozen=True)
class Status:
    """How a command ended: its exit code (None where it was never started), and the server's words."""

    code: int | None
    message: str = ""

    @classmethod
    def read(cls, raw: bytes) -> Status:
        """Of channel 3: a `Status` object, with the exit code among the causes where it is not 0."""
        try:
            told = json.loads(raw)
            if told.get("status") == "Success":
                return cls(0)
            causes = (told.get("details") or {}).get("causes") or []
            codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
            return cls(codes[0] if codes else None, str(told.get("message") or told.get("reason") or ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(None, f"an unreadable status: {raw[:200].decode('utf-8', 'replace')}")


class ExecStream:
    """The frames of one exec, as they come.

    Attributes
    ----------
    status: how the command ended; None until that is known.
    """

    def __init__(self, socket: WebSocket, *, what: str) -> None:
        self.status: Status | None = None
        self._socket = socket
        self._frames = frames.FrameReader(socket)
        self._part = bytearray()
        self._what = what
        self._ponged = False
        self._heard = time.monotonic()
        self._closed = False
        socket.settimeout(_PING_SECONDS)

    def next(self, deadline: float | None = None) -> tuple[int, bytes] | None:
        """The next piece of stdout or stderr, not empty; None at the end (then there is a status).

        Raises ConnectionLostError where the socket ends before the command does, and TimeoutError after
        `deadline` (monotonic).
        """
        while self.status is None:
            if deadline is not None:
                self._socket.settimeout(min(_PING_SECONDS, _left(deadline, self._what)))
            channel, data = self._receive()
            if channel == STATUS:
                self.status = Status.read(data[:_MOST_STATUS_BYTES])
            elif channel in {STDOUT, STDERR} and data:
                return channel, data
        self.close()
        return None

    def close(self) -> None:
        """Leave; the command may go on without us (kubernetes 89031)."""
        self._closed = True
        with contextlib.suppress(Exception):  # it is gone in any case
            self._socket.shutdown()

    def _receive(self) -> tuple[int, bytes]:
        """One message's channel and data; (0, b"") for frames that carry none."""
        try:
            frame = self._frames.read()
        except TimeoutError:
            self._ping()
            return 0, b""
        except OSError as error:
            raise self._lost(str(error) or type(error).__name__) from None
        self._heard = time.monotonic()
        if frame.opcode == frames.PING:
            self._say(lambda: self._socket.pong(frame.data))
        elif frame.opcode == frames.PONG:
            self._ponged = True
        elif frame.opcode == frames.CLOSE:
            raise self._lost("it was closed from the other end")
        elif data := self._whole(frame):
            return data[0], data[1:]
        return 0, b""

    def _whole(self, frame: frames.Frame) -> bytes:
        """The message that a data frame ends, b"" as long as it goes on (what is between may cut it up)."""
        if frame.final and not self._part:
            return frame.data
        self._part += frame.data
        if len(self._part) > _MOST_MESSAGE_BYTES:
            raise self._lost("a message without end")
        if not frame.final:
            return b""
        message, self._part = bytes(self._part), bytearray()
        return message

    def _ping(self) -> None:
        if self._ponged and time.monotonic() - self._heard > _SILENT_SECONDS:
            raise self._lost(f"nothing was heard for {_SILENT_SECONDS:.0f} s")
        self._say(self._socket.ping)

    def _say(self, words: Callable[[], Any]) -> None:
        import websocket

        try:
            words()
        except (websocket.WebSocketException, OSError) as error:
            raise self._lost(str(error)) from None

    def _lost(self, why: str) -> ConnectionLostError:
        closed = self._closed
        self.close()
        return ConnectionLostError(
            f"The connection to {self._what} was closed."
            if closed
            else f"The connection to {self._what} broke off: {why.rstrip('.')}.",
            next_step="kubectl get --raw /readyz, then capture again.",
        )


class ExecProcess:
    """A command in a container, as a process: its streams, its end, and signals as requests of their own.

    stdout must be read for stderr to come: they share one connection. `on_end` is called when the command is
    known to have ended, and not where only the connection has.
    """

    pid = 0  # it is the container's own affair

    def __init__(
        self, stream: ExecStream, *, send_signal: Callable[[int], None], on_end: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._send = send_signal
        self._on_end = on_end
        self._reading = threading.Lock()
        self._ended = False
        self.stdout = _Stdout(self._pull, stream.close)
        self.stderr = _StderrLines()

    def poll(self) -> int | None:
        return _exit_code(self._stream.status) if self._ended else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code: -1 where that is not known; raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(ConnectionLostError):
            while not self._ended and self._pull(deadline):
                pass
        return _exit_code(self._stream.status)

    def send_signal(self, number: int) -> None:
        """Ask for it; where the request fails, a connection that is to end is closed."""
        from k8scap.errors import K8scapError

        try:
            self._send(number)
        except (K8scapError, TimeoutError):
            if number != LinuxSignal.USR1:
                self._stream.close()

    def kill(self) -> None:
        """Close the connection: what runs on at the other end is for its way in to put down."""
        self._stream.close()

    def _pull(self, deadline: float | None = None) -> bytes:
        """The next piece of stdout, b"" at the end; what comes of stderr goes to its lines."""
        with self._reading:
            try:
                while not self._ended and (piece := self._stream.next(deadline)):
                    channel, data = piece
                    if channel == STDOUT:
                        return data
                    self.stderr.feed(data)
            except ConnectionLostError:
                self._finish()
                raise
            self._finish()
            return b""

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        status = self._stream.status
        if status is not None:
            self._on_end()
        if status is not None and status.code is None:
            self.stderr.feed(status.message.encode() + b"\n")
        self.stderr.end()


class _Stdout:
    """What comes, in the pieces in which it comes, or in smaller ones."""

    def __init__(self, pull: Callable[[], bytes], close: Callable[[], None]) -> None:
        self._pull = pull
        self._close = close
        self._rest = b""

    def read1(self, size: int = -1, /) -> bytes:
        data, self._rest = self._rest or self._pull(), b""
        if 0 <= size < len(data):
            data, self._rest = data[:size], data[size:]
        return data

    def close(self) -> None:
        self._close()


class _StderrLines:
    """stderr's lines, for another thread than the one that reads the frames."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put(line[:_LONGEST_LINE] + b"\n")
        self._rest = rest[:_LONGEST_LINE]

    def end(self) -> None:
        if self._rest:
            self._lines.put(self._rest)
        self._lines.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (line := self._lines.get()) is not None:
            yield line

    def close(self) -> None:
        """Nothing is held."""


def _exit_code(status: Status | None) -> int:
    return -1 if status is None or status.code is None else status.code


def _left(deadline: float, what: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"{what} did not end in time")
    return left
