"""Wireshark itself: where it is, and opening a file in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import ToolMissingError
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from k8scap.runner import Runner

NAMES_SHOWN = ("-N", "mn")
"""Names of MAC addresses, as ever, and of addresses: from the file, as nobody else is asked (no N, no d)."""


def open_in_wireshark(path: Path, *, runner: Runner | None = None) -> int:
    """Open a capture file, and wait until Wireshark is closed; gives its exit code.

    Raises ToolMissingError where there is no Wireshark.
    """
    runner = runner or LocalRunner()
    program = find_wireshark(runner)
    if program is None:
        raise ToolMissingError(
            "wireshark",
            message=f"There is no Wireshark here to open {path.name} in.",
            next_step=_how_to_install(),
        )
    return runner.interact([program, *NAMES_SHOWN, "-r", str(path)])


def find_wireshark(runner: Runner) -> str | None:
    """On the PATH, or where its installers put it on macOS and Windows."""
    if found := runner.which("wireshark"):
        return found
    elsewhere = [Path("/Applications/Wireshark.app/Contents/MacOS/Wireshark")]
    if programs := os.environ.get("PROGRAMFILES"):
        elsewhere.append(Path(programs) / "Wireshark" / "Wireshark.exe")
    return next((str(path) for path in elsewhere if path.is_file()), None)


def _how_to_install() -> str:
    if sys.platform == "darwin":
        return "brew install --cask wireshark"
    return "winget install WiresharkFoundation.Wireshark" if os.name == "nt" else "apt-get install wireshark"
