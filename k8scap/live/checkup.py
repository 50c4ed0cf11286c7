"""What works from here, what does not and why, and what to type to change it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.runner import Runner

TOOLS = {
    "tcpdump": "capturing on this machine",
    "nsenter": "capturing on this machine",
    "setpriv": "capturing on this machine",
    "ip": "capturing on this machine",
    "tshark": "fields above transport",
}
_MARKS = {True: "yes", False: "no", None: "?"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `ok` is None where it could not be told."""

    name: str
    ok: bool | None
    said: str
    next_step: str = ""


def passed(name: str, said: str) -> Check:
    return Check(name, ok=True, said=said)


def failed(name: str, said: str, next_step: str = "") -> Check:
    return Check(name, ok=False, said=said, next_step=next_step)


@dataclass(frozen=True)
class Preflight:
    """All that was looked at, in order; `ways` are the names of the ways into the target that are open."""

    checks: tuple[Check, ...]
    ways: tuple[str, ...] = ()
    target: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target can be captured; without one, whether this machine has what it takes."""
        if self.target:
            return bool(self.ways)
        return not any(check.ok is False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), "ok": self.ok}))
        return plain

    def text(self) -> str:
        """A line a check, and below it what would change a no."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            lines.append(f"{_MARKS[check.ok]:3}  {check.name:{width}}  {check.said}")
            if check.next_step and not check.ok:
                lines.append(f"     {'':{width}}  next: {check.next_step}")
        if self.target:
            ways = f"ways in: {', '.join(self.ways)}" if self.ways else "there is no way in"
            lines.append(f"\n{self.target}: {ways}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_MARKS[check.ok]}</td><th style='text-align:left'>{escape(check.name)}</th>"
            f"<td style='text-align:left'>{escape(check.said)}</td>"
            f"<td style='text-align:left'>"
            f"<code>{escape('' if check.ok else check.next_step)}</code></td></tr>"
            for check in self.checks
        )
        return f"<table>{rows}</table>"


def check(
    target: str | None = None,
    *,
    namespace: str | None = None,
    context: str | None = None,
    container: str | None = None,
    clean: bool = False,
) -> Preflight:
    """Look at the tools here, the cluster, and each way into `target`; changes nothing.

    With `clean` the helper pods that have expired are deleted first; a colleague's that have not are left
    alone. What cannot be looked at is told as such: it raises only what `target`'s text is refused for.
    """
    from k8scap.live import targets
    from k8scap.runner import LocalRunner

    runner = LocalRunner()
    parsed = targets.parse(target) if target else None
    checks = list(_here(runner))
    if parsed and parsed.kind in targets.LOCAL_KINDS:
        found = _local_target(target or "", runner)
        return Preflight((*checks, found), ("local",) if found.ok else (), str(parsed))
    try:
        from k8scap.live.kube.preflight import look

        cluster, ways = look(
            parsed, namespace=namespace, context=context, container=container, clean=clean, runner=runner
        )
    except K8scapError as error:
        cluster, ways = [Check("cluster", None if not target else False, error.message, error.next_step)], []
    return Preflight((*checks, *cluster), tuple(ways), str(parsed) if parsed else "")


def _here(runner: Runner) -> list[Check]:
    linux = platform.system() == "Linux"
    checks = [
        Check(
            "this machine",
            None,
            f"{platform.system()} {platform.release()}, {platform.machine()}, "
            f"{'root' if linux and os.geteuid() == 0 else 'not root'}",
        )
    ]
    for tool, purpose in TOOLS.items():
        there = runner.which(tool)
        said = there or f"not installed: needed for {purpose}"
        checks.append(Check(tool, bool(there), said, "" if there else _install(tool)))
    return checks


def _install(tool: str) -> str:
    from k8scap.runner import PACKAGE_OF

    return f"apt-get install {PACKAGE_OF.get(tool, tool)}"


def _local_target(text: str, runner: Runner) -> Check:
    from k8scap.live import targets
    from k8scap.live.netns import Namespace

    try:
        found = targets.resolve(targets.parse(text), runner=runner)
        with Namespace.open(pid=found.pid, path=found.path) as namespace:
            return passed("local", f"network namespace {namespace.inode}, process {namespace.pid}")
    except K8scapError as error:
        return failed("local", error.message, error.next_step)


def of_errors(name: str, errors: Sequence[K8scapError], *, next_step: str = "") -> Check:
    """The check that failed for these reasons."""
    said = "; ".join(error.message.rstrip(".") for error in errors)
    return failed(name, f"{said}.", next_step or errors[0].next_step)
