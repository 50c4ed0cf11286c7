"""What tests of captures look at from outside: capinfos, tshark, the process list."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def count_packets(*files: Path | str) -> int:
    """What capinfos counts; fails where it finds a file cut off or broken in any way."""
    total = 0
    for file in files:
        done = subprocess.run(
            ["capinfos", "-M", "-c", str(file)], capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), f"capinfos on {file}: {done.stderr}"
        total += int(re.search(r"Number of packets:\s+(\d+)", done.stdout)[1])
    return total


def tshark_complaint(file: Path) -> str:
    """What tshark has against a file; empty when it reads it to the end."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-T", "fields", "-e", "frame.number"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    ours = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    return "\n".join(ours) if ours or done.returncode == 0 else f"it ended with {done.returncode}"


def processes_with(word: str) -> list[str]:
    """The command lines (of others than this process) that hold a word."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and word in (line := _command_line(folder)):
                found.append(line)
    return found


def _command_line(folder: Path) -> str:
    return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def wait_until(condition: Callable[[], Any], *, seconds: float = 5.0) -> Any:
    """The condition's value once it is true, or its last one."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


POWERLESS = ("setpriv", "--bounding-set=-all", "--")


def python(code: str, *words: str, run_by: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[Any]:
    """A Python of its own that runs `code`."""
    return subprocess.Popen([*run_by, sys.executable, "-c", textwrap.dedent(code), *words], **options)
