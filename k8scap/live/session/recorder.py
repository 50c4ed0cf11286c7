"""One tcpdump on one interface, and the threads that live as long as it does."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from k8scap.live import tcpdump
from k8scap.live.linux import LinuxSignal
from k8scap.live.session.framing import NotPcapError
from k8scap.live.tcpdump import Counts
from k8scap.model import Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8scap.live.session.writer import Writer
    from k8scap.live.ways import Inside
    from k8scap.live.ways.inside import Running, Source

_READ_BYTES = 1 << 18
_KEPT_LINES = 20
_PATIENCE = 5.0  # seconds
_POLL_SECONDS = 0.03
_ANSWER_SECONDS = 3.0  # for another machine's tcpdump to say its counts


class Recorder:
    """Runs tcpdump; `on_end` is called, from its thread, when it should be stopped, and when it has ended.

    `copies` is how often the kernel counts a packet: on a loopback interface, twice. `seconds` is when a
    tcpdump on another machine ends by itself, whatever becomes of us.

    Attributes
    ----------
    listening: set when tcpdump listens, or has ended before.
    ended: set when tcpdump has ended and all that came is written.
    link_type: tcpdump's name of it, once it listens.
    counts: tcpdump's account, as of its last word.
    error: what broke it off, an OSError of the disk or pipe among them.
    said: the last lines of tcpdump's stderr that are neither counts nor "listening on".
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        inside: Inside,
        writer: Writer,
        on_end: Callable[[], None],
        seconds: float | None = None,
        copies: int = 1,
    ) -> None:
        self.command = tuple(command)
        self.writer = writer
        self.listening = threading.Event()
        self.ended = threading.Event()
        self.link_type = ""
        self.counts = Counts()
        self.error: BaseException | None = None
        self.said: list[str] = []
        self.returncode: int | None = None
        self._inside = inside
        self._seconds = seconds
        self._on_end = on_end
        self._copies = copies
        self._answered = threading.Event()
        self._due = 0
        self._given_up = False
        self._process: Running | None = None
        self._thread = threading.Thread(target=self._record, name="k8scap-recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The PID of tcpdump itself, from when it was started."""
        return self._process.pid if self._process else None

    def ask_counts(self) -> None:
        """Have tcpdump say its counts (it goes on)."""
        self._signal(LinuxSignal.USR1)

    def settle(self, *, until_ns: int, timeout: float) -> None:
        """Wait until tcpdump has handed over all up to `until_ns` (epoch), or as long as that can take.

        What the kernel has packed and not yet handed over counts as received, not as captured, and would
        be lost on a SIGINT. Another machine is not asked time and again, nor do its clock and ours agree:
        there it is asked once, and waited for as long as that can take.
        """
        if self._inside.remote:
            self._answered.clear()
            self.ask_counts()
            if self._answered.wait(_ANSWER_SECONDS):
                self._due = self.counts.received - self.counts.dropped
            self.ended.wait(timeout)
            return
        deadline = time.monotonic() + timeout + max(0.0, until_ns / 1e9 - time.time())
        while time.monotonic() < deadline and not self._has_all:
            self._answered.clear()
            self.ask_counts()
            answered = self._answered.wait(_POLL_SECONDS)
            if answered and time.time_ns() > until_ns and not self.behind:
                return
            self.ended.wait(_POLL_SECONDS)

    @property
    def left_behind(self) -> int:
        """Packets that had come by the limit, and that another machine's tcpdump never read."""
        return max(0, self._due - self.counts.captured * self._copies) if self.counts.final else 0

    @property
    def _has_all(self) -> bool:
        """Nothing more is wanted: tcpdump has ended, writing has failed, or a later packet has come."""
        return self.ended.is_set() or self.error is not None or bool(self.writer.full)

    @property
    def behind(self) -> int:
        """Packets that passed the filter and that tcpdump has not read, as of its last word."""
        counts = self.counts
        return max(0, counts.received - counts.dropped - counts.captured * self._copies)

    def interrupt(self) -> None:
        """Have tcpdump end, with its final counts."""
        self._signal(LinuxSignal.INT)

    def give_up(self) -> None:
        """Kill tcpdump, and wait until all that came from it is written."""
        self._given_up = True
        self._signal(LinuxSignal.KILL)
        if self._thread.ident is not None:
            self.ended.wait(_PATIENCE)

    @property
    def counters(self) -> Counters:
        """The account of tcpdump (unknown in the end, where it had no last word) and ours."""
        sink = self.writer.sink
        ours = {
            "on_disk": sink.records,
            "rotated_away": sink.rotated_away,
            "past_limit": self.writer.past_limit,
        }
        if self.ended.is_set() and not self.counts.final:
            return Counters(**ours)
        return Counters(
            captured=self.counts.captured,
            received=self.counts.received,
            dropped=self.counts.dropped,
            interface_dropped=self.counts.interface_dropped,
            **ours,
        )

    def _signal(self, number: LinuxSignal) -> None:
        # Before it listens, a signal would find tcpdump without its handlers: only the kill is for then.
        process = self._process
        if process is not None and not self.ended.is_set() and (self.link_type or number == LinuxSignal.KILL):
            process.send_signal(number)

    def _record(self) -> None:
        # PDEATHSIG is the death of the thread that forks, so the one that starts tcpdump stays till its end.
        try:
            self._process = process = self._inside.start(self.command, seconds=self._seconds)
            if self._given_up:
                process.kill()
            errors = threading.Thread(
                target=self._listen, args=(process,), name="k8scap-tcpdump-errors", daemon=True
            )
            errors.start()
            self._copy(process.stdout)
            self.returncode = process.wait()
            errors.join()
            process.stdout.close()
        except BaseException as error:  # noqa: BLE001 - a thread's errors are told by whoever waits for it
            self.error = self.error or error
            self._put_down()
        finally:
            self.writer.close()
            self.ended.set()
            self.listening.set()
            self._on_end()

    def _put_down(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _copy(self, stdout: Source) -> None:
        while data := stdout.read1(_READ_BYTES):
            if self.error is None:
                self._write(data)

    def _write(self, data: bytes) -> None:
        full = self.writer.full
        try:
            self.writer.feed(data)
        except (OSError, NotPcapError) as error:
            self.error = error
            self._on_end()
        if self.writer.full != full:
            self._on_end()

    def _listen(self, process: Running) -> None:
        with contextlib.closing(process.stderr) as stderr:
            for raw in stderr:
                line = raw.decode("utf-8", "replace").rstrip()
                if link_type := tcpdump.listening(line):
                    self.link_type = link_type
                    self.listening.set()
                elif counts := tcpdump.counted(line, self.counts):
                    self.counts = counts
                    self._answered.set()
                elif line:
                    self.said = [*self.said, line][-_KEPT_LINES:]
