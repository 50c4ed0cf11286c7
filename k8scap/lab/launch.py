"""Start the lab's own process, with capabilities of its own where the user has none; hear how it went."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.errors import CaptureBrokenError, NotPermittedError, UsageError
from k8scap.lab import failure
from k8scap.lab.catalogue import parts
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.runner import LocalProcess

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_FAREWELL = 10.0  # seconds for the lab to clean up after itself
_USER_NAMESPACE = ("unshare", "-Un", "--map-current-user", "--keep-caps")


def launch(
    scenario: str,
    *,
    seed: int,
    directory: str | os.PathLike[str],
    name: str | None,
    plan: Sequence[str],
) -> Path:
    """Run the lab to its end, in a process of its own as it forks and changes namespaces; the pcap's path."""
    from k8scap.lab.plan import Rule

    parts(scenario)
    for text in plan:
        Rule.parse(text)
    _need_linux()
    argv = _argv(scenario, seed=seed, directory=_folder(directory), name=_name(name or scenario), plan=plan)
    process = LocalRunner().start(argv)
    try:
        said = process.stdout.read().decode("utf-8", "replace")
        complaints = process.stderr.read().decode("utf-8", "replace")
        process.wait()
    except BaseException:
        _end(process)
        raise
    return Path(_understand(said, complaints)["pcap"])


def _argv(scenario: str, *, seed: int, directory: Path, name: str, plan: Sequence[str]) -> list[str]:
    from k8scap.lab.kernel import may_make_networks

    argv = [] if may_make_networks() else list(_USER_NAMESPACE)
    argv += [sys.executable, "-m", "k8scap.lab", scenario, f"--seed={seed}", f"--name={name}"]
    return [*argv, f"--directory={directory}", f"--parent={os.getpid()}", *(f"--rule={r}" for r in plan)]


def _understand(said: str, complaints: str) -> dict[str, Any]:
    lines = said.splitlines()
    if not lines:
        raise _silence(complaints.strip().splitlines())
    answer: dict[str, Any] = json.loads(lines[-1])
    if "failure" in answer:
        raise failure.from_plain(answer["failure"])
    return answer


def _silence(complaints: list[str]) -> NotPermittedError | CaptureBrokenError:
    last = complaints[-1] if complaints else "it said nothing"
    if last.startswith("unshare: unshare failed"):
        return NotPermittedError(
            f"A user namespace cannot be made here ({last}).",
            next_step="run the lab as root, or allow it: sudo sysctl user.max_user_namespaces=10000",
        )
    return CaptureBrokenError(f"The lab broke off: {last}.", next_step="run it again.")


def _end(process: LocalProcess) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_FAREWELL)
    except TimeoutError:
        process.kill()
        process.wait()


def _need_linux() -> None:
    if sys.platform != "linux":
        raise NotPermittedError(
            f"The lab needs Linux's network namespaces; this is {sys.platform}.",
            next_step="run it in a Linux virtual machine.",
        )


def _name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a file's name.", next_step="use letters, digits, - and _.")
    return name


def _folder(directory: str | os.PathLike[str]) -> Path:
    path = Path(directory).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be a folder: {error.strerror}.", next_step=f"ls -ld {path}"
        ) from None
    return path
