"""A launcher of `k8scap-extcap` in Wireshark's folder of capture programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import ToolMissingError, UsageError
from k8scap.private_file import told
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from k8scap.runner import Runner

_LAUNCHER = """#!{python}
import sys

from k8scap.wireshark.extcap import main

sys.exit(main())
"""


def install(folder: str | None = None, *, runner: Runner | None = None) -> Path:
    """Write the launcher into `folder` (default: Wireshark's personal one).

    It runs this Python's k8scap. Raises ToolMissingError where tshark, which knows the folder, is missing,
    NotPermittedError and UsageError where it cannot be written.
    """
    target = Path(folder).expanduser() if folder else _extcap_folder(runner or LocalRunner())
    name, text = "k8scap-extcap", _LAUNCHER.format(python=sys.executable)
    if os.name == "nt":
        name = "k8scap-extcap.bat"
        text = f'@echo off\r\n"{sys.executable}" -m k8scap.wireshark.extcap %*\r\n'
    launcher = target / name
    try:
        target.mkdir(parents=True, exist_ok=True)
        launcher.unlink(missing_ok=True)
        launcher.write_text(text, encoding="utf-8")
        launcher.chmod(0o755)
    except OSError as error:
        raise told(launcher, error) from None
    return launcher


def _extcap_folder(runner: Runner) -> Path:
    if runner.which("tshark") is None:
        raise ToolMissingError("tshark", next_step="apt-get install tshark, or name the folder")
    lines = runner.run(["tshark", "-G", "folders"], timeout=30).stdout.decode("utf-8", "replace").splitlines()
    folders = dict(line.split(":", 1) for line in lines if ":" in line)
    if personal := folders.get("Personal Extcap path", "").strip():
        return Path(personal)
    if configuration := folders.get("Personal configuration", "").strip():
        return Path(configuration) / "extcap"  # where Wireshark 4.0 looks, though it does not say so
    raise UsageError(
        "tshark does not say where Wireshark looks for capture programs.",
        next_step="k8scap wireshark --install-extcap DIR",
    )
