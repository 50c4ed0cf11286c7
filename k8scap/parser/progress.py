"""A progress bar for what takes more than a second, where somebody watches."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def counting(total: int | None) -> Iterator[Callable[[int], object]]:
    """Count packets, of `total` where it is known; shows after one second, on terminals and in notebooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm.auto complains where ipywidgets are missing, and does without
        from tqdm.auto import tqdm

        bar = tqdm(
            total=total,
            desc="reading",
            unit=" packets",
            unit_scale=True,
            delay=1,
            leave=False,
            disable=False if "ipykernel" in sys.modules else None,
        )
    with bar:
        yield bar.update
