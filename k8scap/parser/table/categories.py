"""Categories of a table's columns: a word is made once, and has one code in all columns of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_ADDRESSES = ("src", "dst", "outer_src", "outer_dst")
_MACS = ("src_mac", "dst_mac")


def family(column: str) -> str:
    """Columns of one family share their categories."""
    if column in _ADDRESSES:
        return "address"
    return "mac" if column in _MACS else column


class Categories:
    """A word keeps its code, from source to source and from piece to piece."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {}
        self._dtypes: dict[str, Any] = {}
        self.begin_source()

    def begin_source(self) -> None:
        """What comes has numbers of its own."""
        self._words: dict[str, list[str]] = {}
        self._taken: dict[str, np.ndarray] = {}

    def codes(self, name: str, add_words: Callable[[list[str]], None]) -> np.ndarray:
        """The code for each of the source's numbers, int32; `add_words` appends the words that are new."""
        words = self._words.setdefault(name, [])
        add_words(words)
        taken = self._taken.setdefault(name, np.empty(0, np.int32))
        if len(words) > len(taken):
            known = self._codes.setdefault(name, {})
            new = [known.setdefault(word, len(known)) for word in words[len(taken) :]]
            self._taken[name] = taken = np.append(taken, np.array(new, np.int32))
        return taken

    def dtype(self, name: str) -> Any:
        """The dtype that has all words so far, in the order of their codes."""
        import pandas as pd

        words = self._codes.get(name, {})
        if name not in self._dtypes or len(self._dtypes[name].categories) != len(words):
            self._dtypes[name] = pd.CategoricalDtype(pd.Index(list(words), dtype="str"))
        return self._dtypes[name]
