"""Compiled kernels on disk: what is damaged counts as absent, and what cannot be kept is not.

This stands where Numba's own cache stands, which raises whatever reading half a file raises, and what a full
disk does, loads from no folder that it cannot write, and may give one process's code to another: two that
compile for different types at once take the same number for their files, and share one index.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECKSUM = 16


class Shelf:
    """A folder of compiled kernels (None: there is none), a file each, with its checksum before it.

    `missed` counts those that were asked for and not there, and so are compiled; `on_miss` is called before.
    `lost` counts those that could not be kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.missed = 0
        self.lost = 0
        self.on_miss: Callable[[], None] | None = None

    def miss(self) -> None:
        """Something is going to be compiled."""
        self.missed += 1
        if self.on_miss is not None:
            self.on_miss()

    def read(self, name: str) -> bytes | None:
        """What was kept under a name; None where that is nothing, or not what was written."""
        if self.folder is None:
            return None
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        checksum, kept = content[:_CHECKSUM], content[_CHECKSUM:]
        return kept if checksum == _checksum(kept) else None

    def write(self, name: str, content: bytes) -> None:
        """Keep it. Whoever reads meanwhile sees what was there before, or all of it."""
        if self.folder is None:
            self.lost += 1
            return
        unfinished = self.folder / f"{name}.{os.getpid()}-{secrets.token_hex(4)}"
        try:
            unfinished.write_bytes(_checksum(content) + content)
            unfinished.replace(self.folder / name)
        except OSError:
            self.lost += 1
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


class KernelCache:
    """One kernel's place on a shelf, by its source, its arguments' types and the processor.

    Its methods are those of `numba.core.caching.Cache`: a dispatcher calls them before and after it compiles.
    """

    def __init__(self, function: Callable[..., Any], shelf: Shelf) -> None:
        self._name = function.__qualname__
        self._line = function.__code__.co_firstlineno
        self._source = _source(function) if shelf.folder is not None else ""
        self._shelf = shelf

    @property
    def cache_path(self) -> str | None:
        """For the dispatcher's statistics."""
        return None if self._shelf.folder is None else str(self._shelf.folder)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The kernel compiled for such arguments; None where it must be compiled."""
        from numba.core.compiler import CompileResult

        context.refresh()
        kept = self._shelf.read(self._file(signature, context.codegen()))
        if kept is not None:
            with suppress(Exception):  # another Numba's, say: it is compiled anew, and written over
                parts = pickle.loads(kept)  # noqa: S301 - from a folder that is the user's, as Numba does
                return CompileResult._rebuild(context, *parts)  # noqa: SLF001 - there is no other way
        self._shelf.miss()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, unless it holds addresses of this process."""
        from numba.core.serialize import dumps

        if not result.library.has_dynamic_globals:
            content = dumps(result._reduce())  # noqa: SLF001 - there is no other way
            self._shelf.write(self._file(signature, result.codegen), content)

    def enable(self) -> None:
        """It always is."""

    def disable(self) -> None:
        """Nothing asks for it."""

    def flush(self) -> None:
        """What is compiled anew is written over what is there."""

    def _file(self, signature: Any, codegen: Any) -> str:
        told = (self._source, self._line, signature, codegen.magic_tuple())
        return f"{self._name}-{hashlib.sha256(repr(told).encode()).hexdigest()[:24]}"


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM).digest()


def _source(function: Callable[..., Any]) -> str:
    return hashlib.sha256(Path(function.__code__.co_filename).read_bytes()).hexdigest()
