"""The crews of a capture, one a target: they begin and end together; where one target goes, its own ends."""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError
from k8scap.live.session import group
from k8scap.live.session.crew import Crew
from k8scap.live.session.guardian import Guardian
from k8scap.live.session.planning import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from k8scap.live.session.planning import Plan
    from k8scap.live.session.recorder import Recorder
    from k8scap.live.session.site import Door, Site
    from k8scap.model import Manifest
    from k8scap.runner import Runner

_START_SECONDS = 15.0  # for tcpdump to listen
_REMOTE_EVERY = 10  # looks: how often another machine's tcpdump is asked for its counts
_MOST_AT_ONCE = 32


class Crews:
    """Those of a plan; `wake` is called from other threads when something has ended.

    Attributes
    ----------
    notes: sentences about the capture as a whole.
    """

    def __init__(
        self, plan: Plan, *, runner: Runner, wake: Callable[[], None], give_up: Callable[[], bool]
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._wake = wake
        self._give_up = give_up
        self._looks = 0
        self._guardian: Guardian | None = None
        self._pool = ThreadPoolExecutor(
            max_workers=max(1, min(_MOST_AT_ONCE, len(plan.sites))), thread_name_prefix="k8scap-crew"
        )
        self._crews = [self._crew(site) for site in plan.sites]
        self.notes: list[str] = list(plan.notes)

    @property
    def recorders(self) -> list[Recorder]:
        return [recorder for crew in self._crews for recorder in crew.recorders]

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        return tuple(manifest for crew in self._crews for manifest in crew.manifests)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for crew in self._crews for path in crew.files)

    def begin(self) -> None:
        """Return when every tcpdump listens; raises what kept one from it, and then leaves nothing behind.

        Of several targets those that cannot be captured are done without, and told in `notes`, as long as
        each that was named has something left.
        """
        try:
            self._begin()
        except BaseException:
            self._abort()
            raise

    def look(self) -> None:
        """Ask tcpdump for its counts and the targets for their lives."""
        ask_remote = self._looks % _REMOTE_EVERY == 0
        self._looks += 1
        for crew in self._running:
            if not crew.site.inside.remote:
                crew.ask_counts()
                if crew.target_is_gone():
                    crew.gone = True
            elif ask_remote:
                self._pool.submit(crew.ask_counts)

    def why_all_end(self) -> str:
        """Why the capture as a whole cannot go on; of several targets, the end of one is its own affair."""
        ended = [(crew, reason) for crew in self._running if (reason := crew.why_it_ends())]
        if not ended:
            return ""
        if self._plan.follow and not any(reason == "disk-full" for _, reason in ended):
            self._let_end(ended)  # others may come
            return ""
        if len(ended) == len(self._running) or any(reason == "disk-full" for _, reason in ended):
            return ended[0][1]
        self._let_end(ended)
        return ""

    def _let_end(self, ended: Sequence[tuple[Crew, str]]) -> None:
        for crew, reason in ended:
            crew.reason = reason
            self._pool.submit(self._end_early, crew, reason)

    def end(self, reason: str, *, until_ns: int, notes: Sequence[str]) -> K8scapError | None:
        """End tcpdumps, write the manifests, let go of all; the error that it amounts to, where it is one."""
        try:
            if self._plan.cluster:
                self._plan.cluster.stop_following()
            running = self._running
            self._all(lambda crew: crew.end(crew.why_it_ends() or reason, until_ns=until_ns), running)
            cluster = self._plan.cluster
            news = cluster.news() if cluster else {}
            if not self._plan.group:
                notes = [*self.notes, *notes]
            self._all(lambda crew: crew.close(notes=notes, news={} if self._plan.group else news), running)
            for crew in self._crews:
                crew.done.wait()
            error = self._error()
            if self._plan.group:
                error = group.save(self._plan, self.manifests, reason, [*self.notes, *notes], news) or error
            return error
        finally:
            self._leave()

    @property
    def _running(self) -> list[Crew]:
        return [crew for crew in self._crews if not crew.reason]

    def _begin(self) -> None:
        # Windows hands no pipe to a child by its number: there a killed capture's files stay as they are.
        if (folder := self._plan.folder) and sys.platform != "win32":
            self._guardian = Guardian(str(folder.resolve()), self._plan.recording_names, runner=self._runner)
        group.begin(self._plan, self.manifests)
        for crew in self._crews:
            crew.start()
        deadline = time.monotonic() + _START_SECONDS
        errors = self._pool.map(lambda crew: _failure(crew, deadline), self._crews)
        failed = [(crew, error) for crew, error in zip(self._crews, errors, strict=True) if error]
        self._do_without(failed)
        self._all(Crew.begin_evidence, self._crews)
        if self._plan.follow and self._plan.cluster:
            self._plan.cluster.follow(self._join, self.notes.append)

    def _join(self, door: Door) -> None:
        """Capture one more target; where that cannot be, it is told."""
        try:
            crew = self._crew(join(door, self._plan))
        except K8scapError as error:
            door.inside.close()
            self.notes.append(f"{door.label} appeared and was not captured: {error.message}")
            return
        try:
            if self._guardian:
                self._guardian.watch_over([place.name for place in crew.site.places])
            crew.start()
            crew.await_listening(time.monotonic() + _START_SECONDS)
            crew.site.inside.confirm()
            crew.begin_evidence()
        except K8scapError as error:
            crew.abort()
            self.notes.append(f"{door.label} appeared and was not captured: {error.message}")
            return
        crew.notes.append("It appeared while the capture ran, and is captured from then on.")
        self._crews.append(crew)

    def _do_without(self, failed: Sequence[tuple[Crew, K8scapError]]) -> None:
        left = Counter(crew.site.door.asked for crew in self._crews)
        for crew, error in failed:
            left[crew.site.door.asked] -= 1
            if not left[crew.site.door.asked]:
                raise error
        for crew, error in failed:
            self._crews.remove(crew)
            crew.abort()
            self.notes.append(f"{crew.site.door.label} was not captured: {error.message}")

    def _end_early(self, crew: Crew, reason: str) -> None:
        try:
            crew.end(reason, until_ns=time.time_ns())
            crew.close()
        finally:
            crew.done.set()
            self._wake()

    def _error(self) -> K8scapError | None:
        """One that hit every target; what hit some only is told in their manifests and the notes."""
        errors = [crew.error for crew in self._crews if crew.error]
        if errors and len(errors) == len(self._crews):
            return errors[0]
        self.notes.extend(error.message for error in errors)
        return None

    def _abort(self) -> None:
        self._all(Crew.abort, self._crews)
        group.forget(self._plan)
        self._leave()

    def _leave(self) -> None:
        """Let go of the names, the cluster's helpers and the guardian."""
        try:
            self._plan.let_go()
        finally:
            self._pool.shutdown(wait=False)
            guardian, self._guardian = self._guardian, None
            if guardian:
                guardian.dismiss()

    def _all(self, step: Callable[[Crew], Any], crews: Iterable[Crew]) -> None:
        crews = list(crews)
        if len(crews) == 1:
            step(crews[0])
        else:
            list(self._pool.map(step, crews))

    def _crew(self, site: Site) -> Crew:
        plan = self._plan
        return Crew(
            site,
            plan.spec,
            wake=self._wake,
            give_up=self._give_up,
            stdout=plan.stdout,
            capture=plan.group.manifest.name if plan.group else "",
        )


def _failure(crew: Crew, deadline: float) -> K8scapError | None:
    try:
        crew.await_listening(deadline)
        crew.site.inside.confirm()
    except K8scapError as error:
        return error
    return None
