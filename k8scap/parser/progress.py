"""A progress bar for what takes more than a second, where somebody watches."""

from __future__ import annotations

import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE_S = 1


@contextmanager
def counting(total: int | None) -> Iterator[Callable[[int], object]]:
    """Count packets, of `total` where it is known; shows after one second, on terminals and in notebooks."""
    count = _Count(total)
    try:
        yield count.add
    finally:
        count.close()


class _Count:
    """Counts by itself at first: importing a bar takes longer than reading a small capture."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._done = 0
        self._begun = time.monotonic()
        self._bar: Any = None

    def add(self, packets: int) -> None:
        self._done += packets
        if self._bar is not None:
            self._bar.update(packets)
        elif time.monotonic() - self._begun > _PATIENCE_S:
            self._bar = _bar(self._total, self._done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(total: int | None, done: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm.auto complains where ipywidgets are missing, and does without
        from tqdm.auto import tqdm

        return tqdm(
            total=total,
            initial=done,
            desc="reading",
            unit=" packets",
            unit_scale=True,
            leave=False,
            disable=False if "ipykernel" in sys.modules else None,
        )
