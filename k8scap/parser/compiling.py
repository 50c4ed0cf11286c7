"""Numba kernels: compiled once on a machine, and kept in the user's cache folder.

Numba keys its cache by source file and processor, not by the kernels that a kernel calls, nor by its own
settings (a warm cache ignores NUMBA_BOUNDSCHECK): the folder's name does that.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARKER = "compiled"


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

    folder = cache_folder()
    with _numba_cache(folder):
        return numba.njit(nogil=nogil, cache=folder is not None, error_model="numpy", _nrt=False)(function)


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
def cache_folder() -> Path | None:
    """Where compiled kernels lie, made if need be; None where nothing can be written."""
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("k8scap", appauthor=False)) / _key()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return folder


def compiled() -> bool:
    """Whether the kernels of this version lie ready on this machine."""
    folder = cache_folder()
    return folder is not None and (folder / _MARKER).exists()


def remember_compiled() -> None:
    """Write down that everything has been compiled."""
    if (folder := cache_folder()) is not None:
        (folder / _MARKER).touch()


@cache
def _key() -> str:
    """Of k8scap's kernels' sources, Numba, Python and the setting that its cache overlooks."""
    import numba

    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    bounds = "-boundscheck" if numba.config.BOUNDSCHECK else ""
    return f"{digest.hexdigest()[:16]}-numba{numba.__version__}-python{python}{bounds}"


@contextmanager
def _numba_cache(folder: Path | None) -> Iterator[None]:
    """Numba reads its setting when a function is decorated: other packages' kernels keep their own."""
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        yield
    finally:
        config.CACHE_DIR = before
