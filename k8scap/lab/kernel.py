"""What the lab asks of the Linux kernel itself: namespaces, capabilities, and an end when its parent ends."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
from pathlib import Path

from k8scap.errors import NotPermittedError

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_NEEDED_CAPABILITIES = (12, 13, 21)  # NET_ADMIN, NET_RAW, SYS_ADMIN: see capabilities(7)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def may_make_networks() -> bool:
    """Whether this process holds the capabilities that the lab needs: root's, or a user namespace's."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))
    return all(effective >> number & 1 for number in _NEEDED_CAPABILITIES)


def enter_new_network() -> None:
    """Leave this network namespace for a new, nameless one that lives as long as this process.

    `os.unshare` came with Python 3.12 only. Raises NotPermittedError.
    """
    if _libc().unshare(_CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise NotPermittedError(
            f"A network namespace cannot be made here: {reason}.",
            next_step="run the lab as root, or where user namespaces are allowed "
            "(sysctl user.max_user_namespaces).",
        )


def die_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `number` to this process when its parent ends, however that ends."""
    _libc().prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), number)


def ask_to_be_prompt() -> None:
    """Wake up when asked to, not up to 50 µs later (the kernel's slack), and before others where allowed."""
    _libc().prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with contextlib.suppress(OSError):  # root's privilege
        os.nice(-10)
