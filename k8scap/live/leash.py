"""Commands that do not outlive us, kill -9 included."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Between fork and prctl there is a moment in which our death goes unnoticed by the new process. So, once
# PDEATHSIG is set, it looks whether it is still our child, and only then becomes the command.
_STILL_OURS = "import os, sys; os.getppid() == int(sys.argv[1]) and os.execvp(sys.argv[2], sys.argv[2:])"


def bound_to_us(command: Sequence[str], *, signal: str = "KILL") -> list[str]:
    """`command` as one to which the kernel sends `signal` when the thread that started it ends.

    All of it is exec: the child's PID is the command's own. The thread, not the process (prctl(2),
    PR_SET_PDEATHSIG): start it from one that stays.
    """
    check = [sys.executable, "-I", "-S", "-c", _STILL_OURS, str(os.getpid())] if sys.executable else []
    return ["setpriv", "--pdeathsig", signal, "--", *check, *command]
