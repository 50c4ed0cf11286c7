"""What a capture shows while it runs: packets, bytes, drops, and how long it still has."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8scap.live.session import LiveCapture

_SILENT_SECONDS = 1.0
_REFRESH_SECONDS = 0.25


def show(live: LiveCapture, *, progress: bool | None) -> None:
    """Wait for the capture's end behind a tqdm bar (on stderr, or in the notebook).

    None shows it where somebody looks: in a terminal or a notebook, from the second second on.
    """
    if progress is False or live.wait(_SILENT_SECONDS):
        live.wait()
        return
    if progress is None and not _somebody_looks():
        live.wait()
        return
    _follow_with_bar(live)


def _follow_with_bar(live: LiveCapture) -> None:
    bar = _bar(live.seconds)
    try:
        while not live.wait(_REFRESH_SECONDS):
            _show(bar, live)
        _show(bar, live)
    finally:
        bar.close()


def _show(bar: Any, live: LiveCapture) -> None:
    counters = live.counters
    elapsed = time.monotonic() - live.started_at
    bar.n = min(elapsed, live.seconds) if live.seconds else elapsed
    bar.set_postfix_str(
        f"{counters.on_disk + counters.rotated_away:,} packets, {size_text(live.bytes)}, "
        f"{counters.dropped or 0:,} dropped"
    )


def _bar(seconds: float | None) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ipywidgets is not there: then the bar is text, which will do
        from tqdm.auto import tqdm

    layout = "{desc}: {n:.0f}/{total:.0f} s {bar}{postfix}" if seconds else "{desc}: {n:.0f} s{postfix}"
    return tqdm(desc="capturing", total=seconds, bar_format=layout, file=sys.stderr, leave=False)


def size_text(count: int) -> str:
    """1_234_567 → "1.2 MB"."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _somebody_looks() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
