"""Where recordings go: their folder, names that nobody has yet, and a reserve for a disk that fills up."""

from __future__ import annotations

import itertools
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import DiskFullError, NotPermittedError, UsageError
from k8scap.recording import recording_name, rotation_order

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
RESERVE_BYTES = 1 << 20  # what a manifest with some hours of evidence takes
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}")
_MOST_OF_A_SUBJECT = 100  # a pod's own name, up to 253, and the time come behind it
_LIKE_A_RING_FILE = re.compile(r".*\.\d{4,}")


class Place:
    """A recording's place: NAME.pcap and NAME.json in `folder`, held by a reserve file until `release`.

    The reserve is what the manifest is written from when the disk is full, and, made with O_EXCL, what
    keeps two captures from taking the same name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.manifest = folder / f"{name}.json"
        self.reserve = reserve_path(folder, name)

    def take(self) -> bool:
        """Whether the name was free and is ours now. Raises DiskFullError, NotPermittedError."""
        if self.manifest.exists() or files_of(self.folder, self.name):
            return False
        try:
            fd = os.open(self.reserve, _NEW, 0o600)
        except FileExistsError:
            return False
        except OSError as error:
            raise unwritable(self.folder, error) from None
        try:
            _fill(fd)
        except OSError as error:
            self.release()
            raise unwritable(self.folder, error) from None
        finally:
            os.close(fd)
        return True

    def release(self) -> None:
        self.reserve.unlink(missing_ok=True)


def _fill(fd: int) -> None:
    """Have the disk set the reserve aside; raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
    else:  # macOS, Windows
        os.write(fd, bytes(RESERVE_BYTES))


def reserve_path(folder: Path, name: str) -> Path:
    return folder / f".{name}.reserve"


def files_of(folder: Path, name: str) -> list[Path]:
    """The capture files that a recording of this name has in `folder`, oldest first."""
    files = (path for path in folder.glob(f"{name}*.pcap") if recording_name(path) == name)
    return sorted(files, key=rotation_order)


def take_places(
    folder: Path, name: str, endings: Sequence[str], *, over_all: bool = False
) -> tuple[Place, ...]:
    """One place an ending: NAME, or NAME.ENDING; all with -2, -3 … behind NAME where one of them is taken.

    With `over_all` NAME itself is taken too, and comes first.
    """
    parts = _different([in_a_name(ending) if ending else "" for ending in endings])
    for attempt in itertools.count(1):
        base = name if attempt == 1 else f"{name}-{attempt}"
        several = [f"{base}.{ending}" if ending else base for ending in parts]
        places = [Place(folder, n) for n in ([base, *several] if over_all else several)]
        taken: list[Place] = []
        try:
            for place in places:
                if not place.take():
                    break
                taken.append(place)
            else:
                return tuple(taken)
        except BaseException:
            _release(taken)
            raise
        _release(taken)
    raise AssertionError("there is always another number")


def in_a_name(text: str) -> str:
    """What a file's name may hold of `text`, and no end that looks like a ring's."""
    part = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    return f"x{part}" if not part or part.isdecimal() else part


def _different(parts: Sequence[str]) -> list[str]:
    """The parts, with a number behind those that have come before."""
    different: dict[str, None] = {}
    for part in parts:
        numbered = itertools.chain([part], (f"{part}-{n}" for n in itertools.count(2)))
        different[next(p for p in numbered if p not in different)] = None
    return list(different)


def folder_and_name(
    output: str | os.PathLike[str] | None, name: str | None, asked: Sequence[str]
) -> tuple[Path, str]:
    """The folder, and the recording's name: given, else what was asked for and the time (UTC).

    `output` is a folder (made, for the owner only, where it is missing), or a file NAME.pcap in one.
    Raises UsageError for a name that cannot be a recording's.
    """
    folder = Path(output or ".").expanduser().absolute()  # the process may change its folder meanwhile
    if folder.suffix == ".pcap" and not folder.is_dir():
        folder, name = folder.parent, name or folder.stem
    name = _default_name(asked) if name is None else name.removesuffix(".pcap")
    if not _NAME.fullmatch(name) or _LIKE_A_RING_FILE.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a recording: letters, digits and ._@+- do, but no end like .0001.",
            next_step="--name web-incident",
        )
    return folder, name


def make_folder(folder: Path) -> None:
    """Make what is missing of `folder`, for the owner only. Raises UsageError, NotPermittedError."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        for part in reversed(missing):
            part.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", next_step="-o DIR")


def unwritable(folder: Path, error: OSError) -> Exception:
    """The error that an OSError on writing into `folder` amounts to."""
    import errno

    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"There is no room on the disk of {folder}.", next_step=f"df -h {folder}")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return NotPermittedError(
            f"{folder} cannot be written to: {error.strerror}.", next_step="-o DIR, with a folder of yours"
        )
    return UsageError(f"{folder} cannot be written to: {error.strerror}.", next_step="-o DIR")


def _default_name(asked: Sequence[str]) -> str:
    subject = "+".join(in_a_name(text) for text in asked)[:_MOST_OF_A_SUBJECT]
    return f"{subject}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _release(places: Sequence[Place]) -> None:
    for place in places:
        place.release()
