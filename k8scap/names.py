"""Addresses → names, over time, so that tables speak of `checkout → redis`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from k8scap.model import NameEntry


class Names:
    """What is known of who an address was. An address nobody named is its own name."""

    def __init__(self, entries: Iterable[NameEntry] = ()) -> None:
        self.entries = tuple(entries)
        self._of: dict[str, list[NameEntry]] = {}
        for entry in self.entries:
            self._of.setdefault(entry.address, []).append(entry)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def of(self, address: str, time: datetime | None = None) -> str:
        """The name of `address` at `time` (None: the last one known)."""
        entries = self._of.get(address, [])
        if time is not None:
            entries = [e for e in entries if _holds(e, time)]
        if not entries:
            return address
        entry = entries[-1]
        return f"{entry.namespace}/{entry.name}" if entry.namespace else entry.name

    def column(self, addresses: pd.Series) -> pd.Series:
        """A column of addresses as a column of names (strings; absent stays absent)."""
        unique = addresses.dropna().unique()
        return addresses.astype("object").map({a: self.of(str(a)) for a in unique})


def _holds(entry: NameEntry, time: datetime) -> bool:
    return (entry.start is None or entry.start <= time) and (entry.end is None or time <= entry.end)
