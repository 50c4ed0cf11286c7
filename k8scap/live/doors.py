"""What was asked for → doors: targets that were found, each with a way in that is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from k8scap.errors import UsageError
from k8scap.live import targets
from k8scap.live.netns import Namespace, require_tools
from k8scap.live.session.site import Door
from k8scap.live.ways.local import LocalInside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from k8scap.live.targets import Target
    from k8scap.model import CaptureSpec
    from k8scap.runner import Runner

TOOLS = ("tcpdump", "nsenter", "setpriv", "ip")
WAYS = ("auto", "local", "node-pod", "ephemeral", "exec")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where and how Kubernetes targets are looked for; for the others only `via` matters."""

    namespace: str | None = None
    context: str | None = None
    container: str | None = None
    selector: str = ""
    all_pods: bool = False
    follow: bool = False
    via: str = "auto"

    def words(self, texts: Sequence[str]) -> list[str]:
        """What was asked for, as the words of a name."""
        return [*texts, *([self.selector] if self.selector else [])]


class Cluster(Protocol):
    """What a capture holds of a cluster until its end: helper pods, the watch on its names."""

    def news(self) -> Mapping[str, Any]:
        """`names`, `events`, `dataplane` and `notes` for the manifest; ends the watch."""

    def follow(self, on_door: Callable[[Door], None], on_note: Callable[[str], None]) -> None:
        """Hand over the doors of pods that appear from now on, and what is to be said of those without."""

    def stop_following(self) -> None:
        """No more of them; returns when the last one is handed over."""

    def close(self) -> None:
        """Remove what was made there."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The doors, and what is to be said of targets that have none."""

    doors: tuple[Door, ...]
    cluster: Cluster | None = None
    notes: tuple[str, ...] = field(default=())


def parse(texts: Sequence[str], scope: Scope) -> tuple[Target, ...]:
    """Raises TargetSyntaxError, UsageError."""
    if scope.via not in WAYS:
        raise UsageError(
            f"There is no way {scope.via!r} to a target, only {', '.join(WAYS)}.", next_step='via="auto"'
        )
    if not texts and not scope.selector:
        raise UsageError("No target was named.", next_step="k8scap capture --help")
    return tuple(dict.fromkeys(targets.parse(text) for text in texts))


def open_all(asked: Sequence[Target], scope: Scope, spec: CaptureSpec, *, runner: Runner) -> Opened:
    """Find every target and open a way in. Raises what `live.capture` does, and leaves nothing open then."""
    here = [target for target in asked if target.kind in targets.LOCAL_KINDS]
    there = [target for target in asked if target.kind not in targets.LOCAL_KINDS]
    if here and scope.via not in {"auto", "local"}:
        raise UsageError(f"There is no way {scope.via} to {here[0]}, only local.", next_step='via="auto"')
    found: list[Door] = []
    try:
        if here:
            require_tools(runner, *TOOLS)
        found.extend(_local_door(target, runner) for target in here)
        if not there and not scope.selector:
            return Opened(doors=tuple(found))
        from k8scap.live.kube.capturing import open_pods

        opened = open_pods(there, scope, spec, runner=runner)
    except BaseException:
        for door in found:
            door.inside.close()
        raise
    return Opened(doors=(*found, *opened.doors), cluster=opened.cluster, notes=opened.notes)


def _local_door(target: Target, runner: Runner) -> Door:
    found = targets.resolve(target, runner=runner)
    namespace = Namespace.open(pid=found.pid, path=found.path)
    return Door(
        found=found,
        inside=LocalInside(namespace, runner=runner),
        label=str(target).replace("/", "-"),
        asked=str(target),
    )
