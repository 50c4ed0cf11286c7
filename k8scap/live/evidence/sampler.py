"""What the host's own counters said while a capture ran: at its start, at its end and each second between.

A capture shows that a packet was lost; the counters beside it tell whether an accept queue overflowed, a
buffer was full, conntrack refused, or the container's CPU quota was used up.
"""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live.evidence import sockets
from k8scap.live.evidence.counter_files import CounterFiles
from k8scap.model import delta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap.live.netns import Namespace
    from k8scap.runner import Runner

__all__ = ["Sampler", "delta"]

MOST_SAMPLES = 1200
MOST_SOCKET_ENTRIES = 5000
STOPS_WITHIN_S = 2 * sockets.TIMEOUT_S


class Sampler:
    """Samples the counters of a network namespace, and of the target's cgroup, until it is stopped.

    Nothing that goes wrong here ever reaches the capture: what cannot be read is told in `unavailable`.

    Parameters
    ----------
    pid: a process in the namespace whose /proc/PID/net is read (tcpdump's own).
    namespace: the open namespace, in which `ss` is run; it must stay open until `stop`.
    target_pid: the process whose cgroup's CPU account is read; None where the target is a namespace only.
    interval: seconds from one sample to the next; doubled whenever there are more than MOST_SAMPLES.
    """

    def __init__(
        self,
        *,
        pid: int,
        namespace: Namespace,
        target_pid: int | None,
        runner: Runner,
        interval: float = 1.0,
    ) -> None:
        self._pid = pid
        self._namespace = namespace
        self._target_pid = target_pid
        self._interval = interval
        self._files: CounterFiles | None = None
        self._sockets = SocketLog(sockets.Survey(namespace=namespace, runner=runner))
        self._counters: dict[str, int] = {}
        self._start: dict[str, Any] = {}
        self._samples: list[dict[str, Any]] = []
        self._failure: dict[str, str] = {}
        self._evidence: dict[str, Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="k8scap-evidence", daemon=True)

    def start(self) -> None:
        """Take the first account and go on in a thread."""
        with self._forgiving():
            self._files = CounterFiles(
                pid=self._pid, inode=self._namespace.inode, target_pid=self._target_pid
            )
            self._start = self._everything()
            self._thread.start()

    def stop(self) -> dict[str, Any]:
        """Take the last account; gives the manifest's `evidence`: plain JSON types, the same at every call.

        `start` and `end`: `time` (ISO 8601, UTC), every counter by its name, `sockets` (see
        `sockets.parse`) and, where they are more than told, `sockets_left_out`. `samples`: `time`, the
        counters that changed since the sample before, the `sockets` that did. `interval`: seconds.
        `unavailable`: source → why it says nothing, or no more.
        """
        if self._evidence is None:
            self._evidence = self._finish()
        return self._evidence

    def _finish(self) -> dict[str, Any]:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(STOPS_WITHIN_S)
        end: dict[str, Any] = {}
        with self._forgiving():
            end = self._everything()
        read = {} if self._files is None else self._files.unavailable
        if self._files is not None:
            self._files.close()
        return {
            "interval": self._interval,
            "start": self._start,
            "end": end,
            "samples": self._samples,
            "unavailable": {**read, **self._sockets.unavailable, **self._failure},
        }

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            with self._forgiving():
                self._samples.append(self._changes())
                if len(self._samples) > MOST_SAMPLES:
                    self._samples = thinned(self._samples)
                    self._interval *= 2
            due = max(due + self._interval, time.monotonic())

    def _everything(self) -> dict[str, Any]:
        """One account in full, for the start and the end."""
        self._counters = self._read()
        now = _now()
        told = self._sockets.everything(_expected(self._counters))
        self._counters.update(self._sockets.counts)
        return {"time": now, **self._counters, **told}

    def _changes(self) -> dict[str, Any]:
        now = _now()
        before, after = self._counters, self._read()
        told = self._sockets.changes(_expected(after))
        self._counters = {**after, **self._sockets.counts}
        changed = {name: value for name, value in self._counters.items() if before.get(name) != value}
        return {"time": now, **changed, **told}

    def _read(self) -> dict[str, int]:
        return {} if self._files is None else self._files.read()

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a capture never fails for want of evidence
            self._failure["sampler"] = f"{type(error).__name__}: {error}"


class SocketLog:
    """Which sockets to tell of: all at the start and the end, between them those that changed.

    `counts` are the counters made of the last survey; `unavailable` says what was left out, and why.
    """

    def __init__(self, survey: sockets.Survey) -> None:
        self.counts: dict[str, int] = {}
        self.unavailable: dict[str, str] = {}
        self._survey = survey
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._entries = 0

    def everything(self, expected: int) -> dict[str, Any]:
        found = self._take(expected, at_once=True)
        if found is None:
            return {}
        told = sockets.most_telling(found)
        left_out = len(found) - len(told)
        return {"sockets": told, **({"sockets_left_out": left_out} if left_out else {})}

    def changes(self, expected: int) -> dict[str, Any]:
        known = self._known
        found = self._take(expected, at_once=False)
        changed = [socket for socket in found or () if known.get(_ends(socket)) != socket]
        told = sockets.most_telling(changed)[: max(0, MOST_SOCKET_ENTRIES - self._entries)]
        self._entries += len(told)
        if self._entries >= MOST_SOCKET_ENTRIES:
            self.unavailable["sockets_between"] = (
                f"after {MOST_SOCKET_ENTRIES} entries, only their counts are kept"
            )
        return {"sockets": told} if told else {}

    def _take(self, expected: int, *, at_once: bool) -> list[dict[str, Any]] | None:
        try:
            found = self._survey.take(expected=expected, at_once=at_once)
        except Exception as error:  # noqa: BLE001 - the counters are told, whatever becomes of ss
            self.unavailable["sockets"] = getattr(error, "message", "") or str(error)
            return None
        if found is None:
            if self._survey.refusal:
                self.unavailable["sockets"] = self._survey.refusal
            return None
        self.unavailable.pop("sockets", None)
        self._known = {_ends(socket): socket for socket in found}
        self.counts = sockets.counts(found)
        return found


def thinned(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Half as many samples: each pair becomes one, with the later's time and values.

    Nothing is lost but the moment between: a sample holds what changed, and what changed last stands.
    """
    pairs = zip(samples[::2], [*samples[1::2], {}], strict=False)
    return [{**first, **second, **_both_sockets(first, second)} for first, second in pairs]


def _both_sockets(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    entries = [*first.get("sockets", ()), *second.get("sockets", ())]
    latest = {_ends(socket): socket for socket in entries}
    return {"sockets": list(latest.values())} if latest else {}


def _ends(socket: dict[str, Any]) -> tuple[str, str]:
    return socket["local"], socket["peer"]


def _expected(counters: dict[str, int]) -> int:
    """TCP sockets in use, by sockstat (those in TIME-WAIT count apart)."""
    return counters.get("sockstat.TCP.inuse", 0) + counters.get("sockstat.TCP6.inuse", 0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
