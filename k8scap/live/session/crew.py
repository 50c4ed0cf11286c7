"""All that works on one target of a capture: a recorder an interface, the manifests, the evidence."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8scap.errors import CaptureBrokenError, K8scapError, TargetChangedError
from k8scap.live import tcpdump
from k8scap.live.session import account, endings
from k8scap.live.session.recorder import Recorder
from k8scap.live.session.writer import FileSink, PipeSink, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from k8scap.live.session.site import Point, Site
    from k8scap.live.ways.inside import Evidence
    from k8scap.model import CaptureSpec

_GRACE_SECONDS = 5.0  # between SIGINT and SIGKILL
_SETTLE_SECONDS = 0.3  # for tcpdump to read what it was handed


class Crew:
    """Begins and ends with its target; `wake` is called from other threads when something has ended.

    Attributes
    ----------
    recorders, manifests: one a point of the site.
    notes: sentences for the manifests.
    reason: why it ended; "" as long as it runs.
    error: what its end amounts to, where that was not wanted.
    gone: whether the target was seen to be gone.
    done: set when all is written and let go of.
    """

    def __init__(
        self,
        site: Site,
        spec: CaptureSpec,
        *,
        wake: Callable[[], None],
        give_up: Callable[[], bool],
        stdout: int | None = None,
        capture: str = "",
    ) -> None:
        self.site = site
        self.reason = ""
        self.gone = False
        self.error: K8scapError | None = None
        self.notes: list[str] = []
        self.done = threading.Event()
        self._spec = spec
        self._wake = wake
        self._give_up = give_up
        self._stdout = stdout
        self._evidence: Evidence | None = None
        self.recorders = [self._recorder(point) for point in site.points]
        self.manifests = [
            account.opening(point, site=site, spec=spec, capture=capture) for point in site.points
        ]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for recorder in self.recorders for path in recorder.writer.sink.paths)

    # ---- its beginning ----

    def start(self) -> None:
        """Write the manifests and start every tcpdump. Raises DiskFullError, CaptureBrokenError."""
        self._save_manifests()
        for recorder in self.recorders:
            recorder.start()

    def await_listening(self, deadline: float) -> None:
        """Return when every tcpdump listens; raises what kept one from it. `deadline` is monotonic."""
        for recorder, point in zip(self.recorders, self.site.points, strict=True):
            recorder.listening.wait(max(0.0, deadline - time.monotonic()))
            endings.require_listening(recorder, interface=point.interface)

    def begin_evidence(self) -> None:
        """Have the host's counters told from now on."""
        self._evidence = self.site.inside.evidence(self.recorders[0].pid)
        if self._evidence:
            self._evidence.start()

    def abort(self) -> None:
        """As if it had never been: no process, no file, no name taken."""
        for recorder in self.recorders:
            recorder.give_up()
        for path in self.files:
            path.unlink(missing_ok=True)
        for place in self.site.places:
            place.manifest.unlink(missing_ok=True)
        self._take_evidence()
        self.site.let_go()
        self.done.set()

    # ---- while it runs ----

    def ask_counts(self) -> None:
        for recorder in self.recorders:
            recorder.ask_counts()

    def why_it_ends(self) -> str:
        """The manifest's word for why it cannot go on; "" while it can."""
        reasons = (endings.reason_of(recorder) for recorder in self.recorders)
        return next(filter(None, reasons), "target-gone" if self.gone else "")

    def target_is_gone(self) -> bool:
        try:
            self.site.inside.verify()
        except TargetChangedError as error:
            note = f"{error.message} The capture ended with it."
            if note not in self.notes:
                self.notes.append(note)
            return True
        return False

    # ---- its end ----

    def end(self, reason: str, *, until_ns: int) -> None:
        """End tcpdump, with what came up to `until_ns` (epoch).

        No step's failure keeps the next from its turn.
        """
        if reason in {"tcpdump-ended", "connection-lost"} and self.target_is_gone():
            reason = "target-gone"
        self.reason = reason
        if not self.site.inside.remote:  # another machine's clock may be off
            for recorder in self.recorders:
                recorder.writer.until_ns = until_ns
        evidence = self._attempt(self._take_evidence) or {}
        self._attempt(lambda: self._end_tcpdumps(until_ns=until_ns))
        self.reason = reason if reason == "target-gone" else self._lost() or reason
        self.error = endings.error_of(self.recorders, self.reason) or self.error
        for index, recorder in enumerate(self.recorders):
            self.manifests[index] = account.closing(
                self.manifests[index], recorder, ended_by=self.reason, evidence=evidence, notes=self.notes
            )

    def close(self, *, notes: Sequence[str] = (), news: Mapping[str, Any] | None = None) -> None:
        """Write how it went, with `news` (names, events, dataplane) of the cluster, and let go of all."""
        self.manifests = [_with_news(m, notes, news or {}) for m in self.manifests]
        for place in self.site.places:
            place.release()
        self._attempt(self._save_manifests)
        self._attempt(self.site.let_go)
        self.done.set()

    def _lost(self) -> str:
        """Whether a connection broke before all was here; after tcpdump's last word nothing is lost."""
        lost = [r for r in self.recorders if endings.reason_of(r) == "connection-lost"]
        if any(not recorder.counters.complete for recorder in lost):
            return "connection-lost"
        self.notes.extend(f"{endings.words(r.error)} By then all packets were here." for r in lost)
        return ""

    def _attempt(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except K8scapError as error:
            self.error = self.error or error
        except Exception as error:  # noqa: BLE001 - told as the capture's own error, not as a thread's traceback
            self.error = self.error or CaptureBrokenError(
                f"Closing the capture failed: {error}.", files=tuple(map(str, self.files))
            )
        return None

    def _take_evidence(self) -> Mapping[str, Any]:
        """The host's counters up to now; to be asked while tcpdump still runs."""
        return self._evidence.stop() if self._evidence else {}

    def _end_tcpdumps(self, *, until_ns: int) -> None:
        """Have them hand over all up to `until_ns` and end with their final counts; kill what does not."""
        longest = _SETTLE_SECONDS
        if not tcpdump.is_immediate(self._spec.snaplen):
            longest += tcpdump.LATEST_SECONDS
        for recorder in self.recorders:
            recorder.settle(until_ns=until_ns, timeout=longest)
        for recorder in self.recorders:
            recorder.interrupt()
        deadline = time.monotonic() + _GRACE_SECONDS
        for recorder in self.recorders:
            if not recorder.ended.wait(max(0.0, deadline - time.monotonic())):
                self.notes.append("tcpdump did not end when asked to, and was killed: its counts are lost.")
                recorder.give_up()

    def _recorder(self, point: Point) -> Recorder:
        return Recorder(
            point.command,
            inside=self.site.inside,
            writer=Writer(self._sink(point), packets=self._spec.packets),
            on_end=self._wake,
            seconds=self._spec.seconds,
            copies=2 if any(i.name == point.interface and i.loopback for i in self.site.there) else 1,
        )

    def _sink(self, point: Point) -> FileSink | PipeSink:
        spec = self._spec
        if point.place is not None:
            return FileSink(point.place.folder, point.place.name, size=spec.size, ring=spec.ring)
        if self._stdout is not None:
            return PipeSink(self._stdout, size=spec.size, give_up=self._give_up)
        raise ValueError("a point is recorded in a place or to a descriptor")

    def _save_manifests(self) -> None:
        for point, manifest in zip(self.site.points, self.manifests, strict=True):
            if point.place is None:
                continue
            try:
                account.save(point.place, manifest)
            except OSError as error:
                raise endings.unwritten(point.place, error) from None


def _with_news(manifest: Any, notes: Sequence[str], news: Mapping[str, Any]) -> Any:
    return replace(
        manifest,
        notes=(*manifest.notes, *notes, *news.get("notes", ())),
        names=(*manifest.names, *news.get("names", ())),
        events=tuple(news.get("events", ())),
        dataplane=news.get("dataplane", {}),
    )
