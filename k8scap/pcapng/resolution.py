"""Who the addresses in some frames were: what a pcapng, which knows no times, can say of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.model import NameEntry
    from k8scap.names import Names

COLUMNS = ("src", "dst", "outer_src", "outer_dst")


class HeldNames:
    """The names that held for frames' addresses, counted as pieces of the packets table are added."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._frames: dict[str, Counter[int]] = defaultdict(Counter)
        self.addresses: set[str] = set()

    def add(self, packets: pd.DataFrame) -> None:
        """Count a piece's addresses, each under the entry that holds at its frame's time."""
        import numpy as np

        for column in COLUMNS:
            if column not in packets:
                continue
            known = packets[column].astype("category")
            codes = known.cat.codes.to_numpy("int64")
            frames = np.bincount(codes[codes >= 0], minlength=len(known.cat.categories))
            for code in np.flatnonzero(frames).tolist():
                address, count = str(known.cat.categories[code]), int(frames[code])
                self.addresses.add(address)
                spans = self._names.spans(address)
                if len(spans) == 1:
                    self._frames[address][spans[0][1]] += count
                elif spans:
                    self._add_by_time(address, packets["time"][codes == code])

    def _add_by_time(self, address: str, times: pd.Series) -> None:
        import numpy as np

        spans = self._names.spans(address)
        starts = np.array([start for start, _ in spans], np.int64)
        moments = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("M8[ns]").view(np.int64)
        held = np.maximum(np.searchsorted(starts, moments, side="right") - 1, 0)
        for place, count in zip(*np.unique(held, return_counts=True), strict=True):
            self._frames[address][spans[int(place)][1]] += int(count)

    @property
    def entries(self) -> tuple[NameEntry, ...]:
        """Every entry that held for a frame."""
        places = sorted({place for counted in self._frames.values() for place in counted})
        return tuple(self._names.entries[place] for place in places)

    def pairs(self) -> list[tuple[str, str]]:
        """(address, name), each address once: under the name that held for most of its frames."""
        return [(address, counted[0][0]) for address, counted in self._by_name()]

    def changes(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """Addresses that changed hands, with (name, frames), the most first."""
        return [(address, counted) for address, counted in self._by_name() if len(counted) > 1]

    def packed(self) -> frozenset[bytes]:
        """The addresses that have a name, as bytes."""
        return frozenset(ip_address(address).packed for address, _ in self.pairs())

    def _by_name(self) -> list[tuple[str, list[tuple[str, int]]]]:
        told = []
        for address, counted in sorted(self._frames.items()):
            names = Counter[str]()
            for place, frames in counted.items():
                if shown := self._names.shown[place]:
                    names[shown] += frames
            if names and _is_address(address):
                told.append((address, names.most_common()))
        return told


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
