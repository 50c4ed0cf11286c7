"""A capture as one self-contained HTML file: what was found, the evidence, the next command to type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import DiskFullError, K8scapError, NotPermittedError, UsageError

if TYPE_CHECKING:
    from k8scap.analysis import Capture

__all__ = ["report"]


def report(cap: Capture, path: str | os.PathLike[str]) -> Path:
    """Write the report of `cap` to `path` (readable by the owner only) and return that path.

    The file asks nothing of any network and holds no payload. A report that stood there is replaced
    only once the new one is whole. Raises UsageError, NotPermittedError or DiskFullError where it
    cannot be written.
    """
    from k8scap.html_report.page import render

    target = Path(path).expanduser()
    _check(target)
    _write(target, render(cap))
    return target


def _check(target: Path) -> None:
    """Before the work, not after it: a folder cannot be a report, nor can one that is not there hold it."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", next_step=f"-o {target / 'report.html'}")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", next_step=f"mkdir -p {target.parent}")


def _write(target: Path, html: str) -> None:
    draft = target.with_name(f".{target.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(html)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _told(target, error) from None


def _told(target: Path, error: OSError) -> K8scapError:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The disk is full: {target} was not written.", next_step=f"df -h {target.parent}"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotPermittedError(f"{target} may not be written here.", next_step=f"ls -ld {target.parent}")
    return UsageError(f"{target} cannot be written: {error.strerror}.", next_step="another -o FILE")
