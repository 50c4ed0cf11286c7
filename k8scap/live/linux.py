"""Numbers of Linux, where tcpdump runs, whatever system we are on ourselves."""

from __future__ import annotations

from enum import IntEnum


class LinuxSignal(IntEnum):
    """signal(7), x86 and ARM. Python's own `signal` has those of the system that it runs on, or none."""

    INT = 2
    KILL = 9
    USR1 = 10
