"""What a capture was narrowed to, in words: the filter and the times, and that nothing passes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from k8scap.cards.markup import printable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING_LEFT = "No frame was left to look at: that nothing was found says nothing."


def narrowed_to(cap: Any) -> str:
    """`the filter tcp.port==80, from 2026-01-31 10:00:00 to 2026-01-31 10:05:00 UTC`; empty for all of it."""
    where, between = cap.selection.where, cap.selection.between
    parts = [f"the filter {printable(where)}"] if where else []
    if between is not None:
        start, end = map(_time, between)
        parts.append(f"{'' if where else 'the times '}from {start} to {end} UTC")
    return ", ".join(parts)


def none_passes(cap: Any) -> str:
    """Says that no frame is left, and of how many: the files are read again for that."""
    return f"No frame passes {narrowed_to(cap)}: {cap.frames_read:,} frames were read."


def _time(nanoseconds: int) -> str:
    time = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    shown = f"{time:%Y-%m-%d %H:%M:%S.%f}"
    return shown.rstrip("0").removesuffix(".") if time.microsecond else shown.partition(".")[0]
