"""Numba kernels: compiled once on a machine, and kept in the user's cache folder.

A kernel is found by its own source and the processor; the parts that it calls lie in other files, and Numba's
settings (NUMBA_BOUNDSCHECK) in none: the folder's name has both.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.parser.kernel_cache import KernelCache, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

_MARKER = "compiled"
_PROBE = 1 << 20


def kernel(function: Callable[..., Any]) -> Any:
    """A function that Python calls: compiled with all its parts, from and into the cache folder.

    It holds no lock while it runs. Without a folder that can be written it is compiled in every process.
    """
    return _compiled(function, nogil=True)


def short_kernel(function: Callable[..., Any]) -> Any:
    """A `kernel` of a few microseconds, which keeps the lock: giving it away would take longer."""
    return _compiled(function, nogil=False)


def _compiled(function: Callable[..., Any], *, nogil: bool) -> Any:
    import numba

    dispatcher = numba.njit(nogil=nogil, error_model="numpy", _nrt=False)(function)
    if dispatcher is not function:  # as it is with NUMBA_DISABLE_JIT
        dispatcher._cache = KernelCache(function, shelf())  # noqa: SLF001 - as its enable_caching() does
    return dispatcher


def part(function: Callable[..., Any]) -> Any:
    """A function that only kernels call: compiled into each of them, without an entrance from Python."""
    import numba

    return numba.njit(
        nogil=True,
        error_model="numpy",
        _nrt=False,
        forceinline=True,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
    )(function)


@cache
def shelf() -> Shelf:
    """What holds the compiled kernels of this process's k8scap."""
    return Shelf(cache_folder())


@cache
def cache_folder() -> Path | None:
    """Where compiled kernels lie, made if need be; None where none lie ready and nothing can be written."""
    import platformdirs

    if not Path(__file__).with_suffix(".py").is_file():
        return None  # without its sources, one version cannot be told from the next
    folder = Path(platformdirs.user_cache_dir("k8scap", appauthor=False)) / _key()
    return folder if _lie_ready(folder) or _can_be_written(folder) else None


def compiled() -> bool:
    """Whether the kernels of this version lie ready on this machine."""
    folder = cache_folder()
    return folder is not None and _lie_ready(folder)


def remember_compiled() -> None:
    """Write down that everything has been compiled, where that can be written."""
    if (folder := cache_folder()) is not None:
        with suppress(OSError):
            (folder / _MARKER).touch()


def _lie_ready(folder: Path) -> bool:
    """A folder in an image may be whole and yet not be for writing: all is there, so nothing will be."""
    try:
        return (folder / _MARKER).exists()
    except OSError:
        return False


def _can_be_written(folder: Path) -> bool:
    """A full disk still takes an empty file: the probe is of a kernel's size."""
    probe = folder / f"probe-{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(_PROBE))
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return False
    return True


@cache
def _key() -> str:
    """Of k8scap's kernels' sources, Numba, Python and the setting that changes what is compiled."""
    import numba

    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    bounds = "-boundscheck" if numba.config.BOUNDSCHECK else ""
    return f"{digest.hexdigest()[:16]}-numba{numba.__version__}-python{python}{bounds}"
