"""A file that only its owner reads, there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import IO, TYPE_CHECKING

from k8scap.errors import DiskFullError, K8scapError, NotPermittedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file (0600) to write bytes to; it takes the place of `path` at the block's end, without errors.

    Raises UsageError, NotPermittedError or DiskFullError where it cannot be written; an OSError that names
    another file passes.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", next_step=f"name a file: {path / 'capture.pcapng'}")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", next_step=f"mkdir -p {path.parent}")
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)  # whatever stands there, with whatever rights, is not written to
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        if error.filename not in {None, str(draft), str(path)}:
            raise
        raise told(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def told(path: Path, error: OSError) -> K8scapError:
    """Why a file could not be written, as our own error."""
    if error.errno in _FULL:
        return DiskFullError(f"The disk is full: {path} was not written.", next_step=f"df -h {path.parent}")
    if error.errno in _FORBIDDEN:
        return NotPermittedError(f"{path} may not be written here.", next_step=f"ls -ld {path.parent}")
    return UsageError(f"{path} cannot be written: {error.strerror}.", next_step=f"ls -ld {path.parent}")
