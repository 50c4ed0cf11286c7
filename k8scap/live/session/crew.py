"""All that works for one capture: a recorder an interface, the manifests, the guardian, the evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k8scap.live import tcpdump
from k8scap.live.session import account, endings
from k8scap.live.session.guardian import Guardian
from k8scap.live.session.recorder import Recorder
from k8scap.live.session.writer import FileSink, PipeSink, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from k8scap.live.evidence import Sampler
    from k8scap.live.session.account import Point
    from k8scap.live.session.planning import Plan
    from k8scap.runner import Runner

_START_SECONDS = 15.0  # for tcpdump to listen
_GRACE_SECONDS = 5.0  # between SIGINT and SIGKILL
_SETTLE_SECONDS = 0.3  # for tcpdump to read what it was handed
_SAMPLE_SECONDS = 1.0


class Crew:
    """Begins together and ends together; `wake` is called from other threads when something has ended.

    Attributes
    ----------
    recorders, manifests: one a point of the plan.
    notes: sentences for the manifests.
    """

    def __init__(
        self, plan: Plan, *, runner: Runner, wake: Callable[[], None], give_up: Callable[[], bool]
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._wake = wake
        self._give_up = give_up
        self._guardian: Guardian | None = None
        self._sampler: Sampler | None = None
        self.recorders = [self._recorder(point) for point in plan.points]
        self.manifests = [account.opening(point, plan=plan) for point in plan.points]
        self.notes: list[str] = []

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for recorder in self.recorders for path in recorder.writer.sink.paths)

    def begin(self) -> None:
        """Return when every tcpdump listens; raises what kept one from it, and then leaves nothing behind."""
        try:
            self._begin()
        except BaseException:
            self._abort()
            raise

    def keep_until(self, until_ns: int) -> None:
        """Leave out what has a later time stamp (ns since the epoch)."""
        for recorder in self.recorders:
            recorder.writer.until_ns = until_ns

    def end_tcpdumps(self, *, until_ns: int) -> None:
        """Have them hand over all up to `until_ns` and end with their final counts; kill what does not."""
        longest = _SETTLE_SECONDS
        if not tcpdump.is_immediate(self._plan.spec.snaplen):
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

    def take_evidence(self) -> Mapping[str, Any]:
        """The host's counters up to now; to be asked while tcpdump still runs."""
        return self._sampler.stop() if self._sampler else {}

    def close_manifests(self, reason: str, *, evidence: Mapping[str, Any], notes: Sequence[str]) -> None:
        """Write how it went. Raises DiskFullError, CaptureBrokenError where that cannot be written."""
        for index, recorder in enumerate(self.recorders):
            self.manifests[index] = account.closing(
                self.manifests[index],
                recorder,
                ended_by=reason,
                evidence=evidence,
                notes=[*self.notes, *notes],
            )
        for place in self._plan.places:
            place.release()
        self._save_manifests()

    def leave(self) -> None:
        """Let go of the namespace, the names and the guardian."""
        self._plan.let_go()
        guardian, self._guardian = self._guardian, None
        if guardian:
            guardian.dismiss()

    def _begin(self) -> None:
        if places := self._plan.places:
            names = [place.name for place in places]
            self._guardian = Guardian(str(places[0].folder.resolve()), names, runner=self._runner)
        self._save_manifests()
        for recorder in self.recorders:
            recorder.start()
        deadline = time.monotonic() + _START_SECONDS
        for recorder, point in zip(self.recorders, self._plan.points, strict=True):
            recorder.listening.wait(max(0.0, deadline - time.monotonic()))
            endings.require_listening(recorder, interface=point.interface)
        self._start_sampler()

    def _start_sampler(self) -> None:
        from k8scap.live.evidence import Sampler

        namespace, pid = self._plan.namespace, self.recorders[0].pid
        if pid is None:
            return
        self._sampler = Sampler(
            pid=pid,
            namespace=namespace,
            target_pid=namespace.pid,
            runner=self._runner,
            interval=_SAMPLE_SECONDS,
        )
        self._sampler.start()

    def _abort(self) -> None:
        for recorder in self.recorders:
            recorder.give_up()
        for path in self.files:
            path.unlink(missing_ok=True)
        for place in self._plan.places:
            place.manifest.unlink(missing_ok=True)
        self.take_evidence()
        self.leave()

    def _recorder(self, point: Point) -> Recorder:
        return Recorder(
            point.command,
            namespace=self._plan.namespace,
            runner=self._runner,
            writer=Writer(self._sink(point), packets=self._plan.spec.packets),
            on_end=self._wake,
            copies=2 if any(i.name == point.interface and i.loopback for i in self._plan.there) else 1,
        )

    def _sink(self, point: Point) -> FileSink | PipeSink:
        spec = self._plan.spec
        if point.place is not None:
            return FileSink(point.place.folder, point.place.name, size=spec.size, ring=spec.ring)
        if self._plan.stdout is not None:
            return PipeSink(self._plan.stdout, size=spec.size, give_up=self._give_up)
        raise ValueError("a point is recorded in a place or to a descriptor")

    def _save_manifests(self) -> None:
        for point, manifest in zip(self._plan.points, self.manifests, strict=True):
            if point.place is None:
                continue
            try:
                account.save(point.place, manifest)
            except OSError as error:
                raise endings.unwritten(point.place, error) from None
