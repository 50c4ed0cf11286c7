"""What a user asked for ("500MB", 30, "eth0") → a CaptureSpec that holds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

from k8scap.errors import FilterError, UsageError
from k8scap.model import CaptureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_SECONDS = 60.0
MAX_SNAPLEN = 262_144  # tcpdump's own; also what a snaplen of 0 means to it
SMALLEST_FILE = 1_000  # bytes: a pcap header and a few packets

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_INTERFACE = re.compile(r"[^\s/-][^\s/]{0,14}")  # what the kernel takes, and no option
_HELP = "k8scap capture --help"

Seconds = float | Literal["auto"] | None


def parse_size(size: str | int, *, what: str = "size") -> int:
    """Bytes: 500_000_000 and "500MB" are the same, "1MiB" is 1,048,576. Raises UsageError."""
    match = _SIZE.fullmatch(str(size).strip())
    if isinstance(size, bool) or match is None:
        raise UsageError(f"{what} {size!r} is not a size: write 500MB, 1GB, 64MiB or bytes.", next_step=_HELP)
    base = 1024 if match["binary"] else 1000
    count = int(float(match["number"]) * base ** _POWERS[match["unit"].lower()])
    if count < SMALLEST_FILE:
        raise UsageError(
            f"{what} {size!r} is too small: {SMALLEST_FILE} bytes at the least.", next_step=_HELP
        )
    return count


def build(
    *,
    filter: str = "",  # noqa: A002 - tcpdump's word
    exact_filter: bool = False,
    interface: str | Sequence[str] | None = None,
    seconds: Seconds = "auto",
    packets: int | None = None,
    size: str | int | None = "500MB",
    snaplen: int = 0,
    ring: int | tuple[int, str | int] | None = None,
    command: Sequence[str] | None = None,
) -> CaptureSpec:
    """Check and normalize; raises UsageError (FilterError for a filter that cannot be an argument).

    `seconds` "auto" is 60, or as long as `command` runs. A ring bounds the disk by itself: N files of
    `size` each (or a tuple of files and bytes a file), and `size` ends nothing.
    """
    file_size = None if size is None else parse_size(size)
    whole_ring = _ring(ring, file_size)
    return CaptureSpec(
        filter=_filter(filter),
        exact_filter=exact_filter,
        interfaces=_interfaces(interface),
        seconds=_seconds(seconds, command),
        packets=None if packets is None else _count(packets, "packets", least=1),
        size=None if whole_ring else file_size,
        snaplen=_count(snaplen, "snaplen", least=0, most=MAX_SNAPLEN),
        ring=whole_ring,
    )


def _filter(text: str) -> str:
    if "\0" in text:
        raise FilterError("A filter cannot hold a NUL character.", filter=text, next_step="man pcap-filter")
    return text.strip()


def _interfaces(given: str | Sequence[str] | None) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for name in names:
        if not _INTERFACE.fullmatch(name):
            raise UsageError(f"{name!r} cannot be an interface's name.", next_step="k8scap netns TARGET")
    return tuple(dict.fromkeys(names))


def _seconds(seconds: Seconds, command: Sequence[str] | None) -> float | None:
    if seconds == "auto":
        return None if command else DEFAULT_SECONDS
    if seconds is None:
        return None
    if isinstance(seconds, bool | str) or not math.isfinite(seconds) or seconds <= 0:
        raise UsageError(f"seconds must be a number above 0, not {seconds!r}.", next_step=_HELP)
    return float(seconds)


def _count(value: int, what: str, *, least: int, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most and value > most):
        span = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise UsageError(f"{what} must be a whole number {span}, not {value!r}.", next_step=_HELP)
    return value


def _ring(ring: int | tuple[int, str | int] | None, file_size: int | None) -> tuple[int, int] | None:
    if ring is None:
        return None
    files, each = ring if isinstance(ring, tuple) else (ring, file_size)
    if each is None:
        raise UsageError("A ring needs the size of a file.", next_step="add --size 100MB")
    return _count(files, "ring", least=2), parse_size(each, what="ring's size")
