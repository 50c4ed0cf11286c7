"""A shell, or a command, in a target's namespaces: the network's, and others on request."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import NotPermittedError, TargetNotRunningError, ToolMissingError, UsageError
from k8scap.live import targets
from k8scap.live.leash import bound_to_us
from k8scap.live.netns import Namespace, require_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.live.doors import Scope
    from k8scap.runner import Runner

KINDS = {
    "mount": "mnt",
    "uts": "uts",
    "ipc": "ipc",
    "net": "net",
    "pid": "pid",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
"""nsenter's options → the files under /proc/PID/ns."""

# setns(2): the kernel refuses to enter these two again when one is in them already.
_ONCE = ("user", "time")


def enter(
    target_text: str,
    *,
    namespaces: Sequence[str] = ("net",),
    command: Sequence[str] = (),
    setuid: int | None = None,
    setgid: int | None = None,
    root: bool = False,
    wd: bool = False,
    scope: Scope | None = None,
    runner: Runner | None = None,
) -> int:
    """Run `command` in a target's namespaces, with this terminal; returns its exit code.

    Parameters
    ----------
    namespaces: of net, mount, uts, ipc, pid, user, cgroup and time.
    command: an argv; without one, $SHELL, or /bin/sh where there is none such in what was entered.
    setuid, setgid: whom the command runs as.
    scope: where a pod is looked for; pods are entered on their own node only.
    root, wd: with the root and the working directory of the target's process.

    Raises UsageError, TargetError and its kinds, NotPermittedError and ToolMissingError. A command that
    a signal ended counts 128 and the signal's number, as in a shell; one that cannot be run 126 or 127.
    """
    if runner is None:
        from k8scap.runner import LocalRunner

        runner = LocalRunner()
    _require_kinds(namespaces)
    _require_ids(setuid=setuid, setgid=setgid)
    target = targets.parse(target_text)
    require_tools(runner, "nsenter", "setpriv")
    found = targets.resolve(target, runner=runner, scope=scope)
    wanted = {**{kind: kind in namespaces for kind in KINDS}, "root": root, "wd": wd}
    with Namespace.open(pid=found.pid, path=found.path) as namespace, ExitStack() as held:
        options = _open_all(target_text, [option for option, yes in wanted.items() if yes], namespace, held)
        ids = {"setuid": setuid, "setgid": setgid}
        options += [f"--{option}={number}" for option, number in ids.items() if number is not None]
        words = list(command) or [_shell(target_text, namespace.pid if root or wanted["mount"] else None)]
        # Only now is it certain that all that was opened is the same process's.
        namespace.verify()
        # SIGHUP is what a shell gets when its terminal goes away, and that is what our end means to it.
        code = runner.interact(bound_to_us(["nsenter", *options, "--", *words], signal="HUP"))
    return 128 - code if code < 0 else code


def _open_all(text: str, wanted: Sequence[str], namespace: Namespace, held: ExitStack) -> list[str]:
    """Nsenter's options, naming what is held open here: what is inherited would stay open in the shell."""
    files = _files(text, [option for option in wanted if option != "net"], namespace)
    opened = {option: _open(path, held) for option, path in files.items()}
    if "net" in wanted:
        opened["net"] = namespace.fd
    return [f"--{option}=/proc/{os.getpid()}/fd/{fd}" for option, fd in opened.items()]


def _files(text: str, options: Sequence[str], namespace: Namespace) -> dict[str, str]:
    """What each option is to enter, under /proc; not the network, which is open already."""
    if not options:
        return {}
    pid = _require_process(text, namespace.pid, wants=", ".join(options))
    _require_known_to_kernel(pid, [option for option in options if option in KINDS])
    places = {"root": "root", "wd": "cwd"} | {kind: f"ns/{file}" for kind, file in KINDS.items()}
    needed = [option for option in options if option not in _ONCE or not _is_ours(pid, option)]
    return {option: f"/proc/{pid}/{places[option]}" for option in needed}


def _open(path: str, held: ExitStack) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise NotPermittedError(f"Opening {path} needs root.", next_step="sudo k8scap enter ...") from None
    except OSError as error:
        raise TargetNotRunningError(
            f"{path} cannot be opened: {error.strerror}.", next_step="ps -e -o pid,stat,args"
        ) from None
    held.callback(os.close, descriptor)
    return descriptor


def _is_ours(pid: int, kind: str) -> bool:
    return _link(f"/proc/{pid}/ns/{KINDS[kind]}") == _link(f"/proc/self/ns/{KINDS[kind]}")


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _shell(text: str, foreign_files: int | None) -> str:
    """$SHELL or /bin/sh, whichever is there; `foreign_files` is the process whose files will be seen."""
    root = "" if foreign_files is None else f"/proc/{foreign_files}/root"
    for shell in (os.environ.get("SHELL", ""), "/bin/sh"):
        # lexists: a link in there may be absolute, and would be followed among our own files.
        if shell.startswith("/") and os.path.lexists(root + shell):
            return shell
    raise ToolMissingError(
        "sh",
        message=f"There is no shell in {text}: its files hold neither $SHELL nor /bin/sh.",
        next_step=f"k8scap enter {text} (its network only, with the tools of this machine)",
    )


# ---- what is refused ----


def _require_kinds(namespaces: Sequence[str]) -> None:
    unknown = [kind for kind in namespaces if kind not in KINDS]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)} is no namespace: there are {', '.join(KINDS)}.",
            next_step="k8scap enter --help",
        )
    if not namespaces:
        raise UsageError("No namespace was named to be entered.", next_step="k8scap enter --help")


def _require_ids(**ids: int | None) -> None:
    for option, number in ids.items():
        if number is not None and number < 0:
            raise UsageError(f"{option} takes a number from 0 on, not {number}.", next_step="id -u; id -g")


def _require_process(text: str, pid: int | None, *, wants: str) -> int:
    if pid is None:
        raise UsageError(
            f"{text} is a network namespace and has no process to take {wants} from.",
            next_step=f"ip netns pids {text.partition('/')[2]}, then k8scap enter pid/N",
        )
    return pid


def _require_known_to_kernel(pid: int, kinds: Sequence[str]) -> None:
    missing = [kind for kind in kinds if not os.path.lexists(f"/proc/{pid}/ns/{KINDS[kind]}")]
    if missing:
        raise UsageError(
            f"This kernel has no {', '.join(missing)} namespaces.", next_step=f"ls /proc/{pid}/ns"
        )
