"""What is known of who an address was, and when."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

from k8scap.names.addresses import canonical
from k8scap.names.shown import LEARNT, plain, shown
from k8scap.names.spans import claim, nanoseconds, spans

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from k8scap.model import NameEntry

DETAILS = ("workload", "node", "zone")
"""What an entry may know beside the name."""


class Names:
    """What is known of who an address was. An address nobody named is its own name.

    `entries` are the first layer, `weaker` those that count where it says nothing. Which of an address's
    entries counts at a time: what was told (by the user, by a manifest) before what was learnt from the
    capture (`pcapng`, `dns`, `tls`), which only names whom nobody told of. Among them the one that holds at
    that time; of several the first layer's, then a node's (its hostNetwork pods share its address), then the
    one that began last. Where none holds, the nearest in time.
    """

    def __init__(self, entries: Iterable[NameEntry] = (), *weaker: Iterable[NameEntry]) -> None:
        self.layers: tuple[tuple[NameEntry, ...], ...] = tuple(tuple(layer) for layer in (entries, *weaker))
        self.entries: tuple[NameEntry, ...] = tuple(entry for layer in self.layers for entry in layer)
        self._spans: dict[str, list[tuple[int, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __repr__(self) -> str:
        return f"<Names: {len(self.entries):,} entries for {len(self._places):,} addresses>"

    def over(self, weaker: Names) -> Names:
        """These names, and the weaker ones where these say nothing of an address at a time."""
        return Names(*self.layers, *weaker.layers)

    def entry(self, address: str, time: datetime | None = None) -> NameEntry | None:
        """Who `address` was at `time` (None: the last one known); None where nobody named it."""
        found = self.spans(str(address))
        if not found:
            return None
        if time is None or time != time:  # noqa: PLR0124 (NaT is unlike itself)
            return self.entries[found[-1][1]]
        return self.entries[found[bisect_right(found, nanoseconds(time), key=itemgetter(0)) - 1][1]]

    def of(self, address: str, time: datetime | None = None) -> str:
        """The name of `address` at `time` (None: the last one known)."""
        entry = self.entry(address, time)
        return (shown(entry) if entry else "") or str(address)

    def column(self, addresses: pd.Series, times: pd.Series | None = None) -> pd.Series:
        """A column of addresses as one of names (categories), by each row's time; absent stays absent."""
        from k8scap.names.columns import name_column

        return name_column(self, addresses, times)

    def detail(self, which: str, addresses: pd.Series, times: pd.Series | None = None) -> pd.Series:
        """What is known of addresses beside the name ("workload", "node", "zone"): categories, or NaN."""
        from k8scap.names.columns import detail_column

        return detail_column(self, which, addresses, times)

    def spans(self, address: str) -> list[tuple[int, int]]:
        """(from when, place in `entries`) of an address, every time covered; empty where nobody named it."""
        if (known := self._spans.get(address)) is None:
            places = self._places.get(canonical(address), [])
            told = [place for place in places if self._rank[place] >= 0]
            known = self._spans[address] = spans([self._claim(place) for place in told or places])
        return known

    @cached_property
    def shown(self) -> list[str]:
        """How each of `entries` is written."""
        return [shown(entry) for entry in self.entries]

    def details(self, which: str) -> list[str]:
        """What each of `entries` knows beside the name, "" where nothing."""
        if which == "workload":
            return [plain(entry.workload) for entry in self.entries]
        nodes = [entry.name if entry.kind == "node" else entry.node for entry in self.entries]
        if which == "node":
            return [plain(node) for node in nodes]
        zones = {e.name: e.zone for e in self.entries if e.kind == "node" and e.zone}
        return [plain(e.zone or zones.get(n, "")) for e, n in zip(self.entries, nodes, strict=True)]

    @cached_property
    def known_details(self) -> tuple[str, ...]:
        """Those of `DETAILS` that any entry knows."""
        return tuple(which for which in DETAILS if any(self.details(which)))

    def _claim(self, place: int) -> tuple[int, int, int, int]:
        entry = self.entries[place]
        return claim(abs(self._rank[place]), entry.start, entry.end, place)

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for place, entry in enumerate(self.entries):
            places.setdefault(canonical(entry.address), []).append(place)
        return places

    @cached_property
    def _rank(self) -> list[int]:
        """The smaller, the stronger; negative where the name was learnt."""
        return [
            -1 - LEARNT.index(entry.source) if entry.source in LEARNT else 2 * layer + (entry.kind != "node")
            for layer, entries in enumerate(self.layers)
            for entry in entries
        ]
