"""Display filters: checked by tshark before anything is read, joined, and made from times."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from k8scap.errors import FilterError, UsageError
from k8scap.parser.reference.tshark import Run, blocks, command
from k8scap.parser.where import compile_filter

_NO_PACKETS = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_filter(where: str) -> None:
    """Raise FilterError, with tshark's own words, where `where` is no display filter.

    It need not be asked about a filter that the packets table can answer.
    """
    if where and compile_filter(where) is None and (complaint := _complaint(where)):
        raise FilterError(
            f"tshark refuses the filter {where!r}: {complaint}",
            filter=where,
            next_step="man wireshark-filter",
        )


@cache
def _complaint(where: str) -> str:
    """What tshark says of a filter, asked with a capture of no packets."""
    if "\0" in where or any("\ud800" <= character <= "\udfff" for character in where):
        return "it holds a character that no command can be given."
    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        empty = Path(folder) / "empty.pcap"
        empty.write_bytes(_NO_PACKETS)
        run = Run()
        for _ in blocks(command(empty, [], where=where), run=run):
            pass
    return (run.complaints or ["it does not compile."])[0] if run.returncode else ""


def both(first: str, second: str) -> str:
    """The frames that both filters let pass; an empty one lets all pass."""
    return f"({first}) && ({second})" if first and second else first or second


def span(between: tuple[datetime | str, datetime | str] | None) -> tuple[int, int] | None:
    """Two times as nanoseconds since 1970.

    Raises UsageError for a time without a zone: whose clock it is would be a guess.
    """
    if between is None:
        return None
    start, end = (_nanoseconds(_time(value)) for value in between)
    if end < start:
        raise UsageError("between ends before it starts.", next_step="between=(earlier, later)")
    return start, end


def within(between: tuple[int, int] | None) -> str:
    """The filter for frames from the first time to the second (nanoseconds), both included."""
    if between is None:
        return ""
    start, end = between
    return f"frame.time_epoch >= {_decimal(start)} && frame.time_epoch <= {_decimal(end)}"


def _time(value: datetime | str) -> datetime:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise UsageError(f"{value!r} is no time.", next_step='between=("2026-01-31T10:00:00Z", …)') from None
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise UsageError(f"{value!r} has no time zone.", next_step='between=("2026-01-31T10:00:00Z", …)')
    return time


def _nanoseconds(time: datetime) -> int:
    """Pandas' Timestamp, a datetime too, knows nanoseconds that `timedelta` does not."""
    whole = (time - _EPOCH) // timedelta(microseconds=1)
    return whole * 1000 + int(getattr(time, "nanosecond", 0))


def _decimal(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"{sign}{seconds}.{rest:09d}"
