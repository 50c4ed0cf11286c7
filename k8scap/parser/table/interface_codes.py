"""Which interface each frame was captured on, where the file or its manifest tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.decode.facts import ABSENT
from k8scap.parser.table.places import PLACES

if TYPE_CHECKING:
    from k8scap.parser.columnar import Frames
    from k8scap.parser.records.pcapng_blocks import Interface
    from k8scap.parser.source import Source

_COOKED_2 = 276


class InterfaceCodes:
    """One source's interfaces' names, numbered as they turn up; `interfaces` grows as the file is read."""

    def __init__(self, source: Source, interfaces: list[Interface]) -> None:
        self._source = source
        self._interfaces = interfaces
        self._numbers: dict[str, int] = {}
        self._only = self._number(source.only_interface)
        self._codes = np.empty(0, np.int64)
        self._has_indices = False

    def add_words(self, words: list[str]) -> None:
        """Append the names that `words` lacks."""
        words += list(self._numbers)[len(words) :]

    def codes(self, frames: Frames) -> np.ndarray:
        """Pcapng's name; a cooked capture's index by the manifest's table; the one interface captured on.

        int64, one a frame, or one for all; -1 where nobody knows.
        """
        self._take_new()
        if len(self._codes) == 1 and not self._has_indices:
            return self._codes
        codes: np.ndarray = self._codes[frames.block.interface]
        if self._has_indices:
            indices = frames.numbers[PLACES["ifindex"], : len(codes)]
            for index in np.unique(indices):
                if index != ABSENT and (name := self._source.interface_names.get(str(index))):
                    codes[indices == index] = self._number(name)
        return codes

    def _take_new(self) -> None:
        new = self._interfaces[len(self._codes) :]
        if new:
            numbers = [self._number(i.name) if i.name else self._only for i in new]
            self._codes = np.append(self._codes, np.array(numbers, np.int64))
            self._has_indices |= any(i.link_type == _COOKED_2 for i in new)

    def _number(self, name: str | None) -> int:
        return self._numbers.setdefault(name, len(self._numbers)) if name else -1
