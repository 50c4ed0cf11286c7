"""Columns that grow at their end together, and the pandas ones made of them without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.parser.decode.facts import ABSENT
from k8scap.parser.table import storing as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.schema import Column

_SMALLEST = 64
_SECOND = 1_000_000_000
_LARGE_PAGE = 2 << 20


class Columns:
    """A table's columns, all of one length: `add` takes numbers, and each column stores them in its way.

    `places` says which row of the numbers each column takes; columns that share a row are told apart by
    their `bits`. The arrays are zeroed; room that was not filled costs nothing, since nobody has touched its
    pages.
    """

    def __init__(
        self, columns: Sequence[Column], places: Sequence[int], bits: Sequence[int], capacity: int
    ) -> None:
        self._columns = tuple(columns)
        self._at = {column.name: c for c, column in enumerate(self._columns)}
        self._capacity = max(capacity, _SMALLEST)
        self._plan = np.zeros((len(self._columns), s.PLAN_SIZE), np.int64)
        self._plan[:, s.PLACE], self._plan[:, s.BIT] = places, bits
        self._plan[:, s.KIND] = [_kind(column) for column in self._columns]
        self._values = [_zeros(self._capacity, _width(column)) for column in self._columns]
        self._masks = [
            _zeros(self._capacity if kind in (s.NULLABLE, s.TRUTH) else 0, bool)
            for kind in self._plan[:, s.KIND]
        ]
        self._begun = 0
        self.count = 0
        self._find_addresses()

    def add(self, numbers: np.ndarray, count: int) -> None:
        """Take the first `count` of each row of `numbers`, int64[places, …], contiguous."""
        self._make_room(count)
        self._plan[:, s.VALUES] = self._values_at + self.count * self._plan[:, s.WIDTH]
        self._plan[:, s.MASK] = self._masks_at + self.count
        if s.store(self._plan, numbers, count):
            for c in np.flatnonzero(self._plan[:, s.TROUBLE]):
                self._store_again(int(c), numbers[self._plan[c, s.PLACE], :count])
        self.count += count

    def renumber(self, name: str, codes: np.ndarray) -> None:
        """Give a column's codes since the last `end_source` the numbers in `codes` (-1 stays)."""
        c = self._at[name]
        self._widen(c, int(codes.max(initial=0)))
        added = self._values[c][self._begun : self.count]
        if len(codes) and not np.array_equal(codes, np.arange(len(codes))):
            added[:] = np.append(codes, np.int32(-1))[added]

    def end_source(self) -> None:
        """What comes from now on has codes of its own."""
        self._begun = self.count

    def column(self, name: str, dtype: Any = None) -> Any:
        """The column for pandas; `dtype` of a categorical one."""
        import pandas as pd

        c = self._at[name]
        values, mask = self._values[c][: self.count], self._masks[c][: self.count]
        kind = self._plan[c, s.KIND]
        if kind == s.CODE:
            return pd.Categorical.from_codes(values, dtype=dtype, validate=False)
        if kind == s.NULLABLE:
            return pd.arrays.IntegerArray(values, mask)
        if kind == s.TRUTH:
            return pd.arrays.BooleanArray(values, mask)
        if self._columns[c].dtype.startswith("datetime64"):
            return pd.DatetimeIndex(values.view("M8[ns]"), tz="UTC")
        return values

    def _make_room(self, more: int) -> None:
        if self.count + more <= self._capacity:
            return
        self._capacity = max(self.count + more, self._capacity * 3 // 2)
        for arrays in (self._values, self._masks):  # one by one: each old one is let go before the next
            for c, array in enumerate(arrays):
                arrays[c] = self._moved(array, array.dtype) if len(array) else array
        self._find_addresses()

    def _moved(self, array: np.ndarray, dtype: Any) -> np.ndarray:
        larger = _zeros(self._capacity, dtype)
        larger[: self.count] = array[: self.count]
        return larger

    def _find_addresses(self) -> None:
        self._plan[:, s.WIDTH] = [array.itemsize for array in self._values]
        self._values_at = np.array([array.ctypes.data for array in self._values], np.int64)
        self._masks_at = np.array([array.ctypes.data for array in self._masks], np.int64)

    def _store_again(self, c: int, numbers: np.ndarray) -> None:
        """Codes go into a wider column; large times are divided one by one, each to the nearest float."""
        room = slice(self.count, self.count + len(numbers))
        if self._plan[c, s.KIND] == s.CODE:
            self._widen(c, int(numbers.max()))
            self._values[c][room] = np.maximum(numbers, -1)
        else:
            self._values[c][room] = [np.nan if n == ABSENT else int(n) / _SECOND for n in numbers]

    def _widen(self, c: int, code: int) -> None:
        """As narrow as the codes allow: most captures have few addresses."""
        size = self._values[c].itemsize
        while code >= 1 << (8 * size - 1):
            size *= 2
        if size > self._values[c].itemsize:
            self._values[c] = self._moved(self._values[c], f"int{8 * size}")
            self._find_addresses()


def _zeros(count: int, dtype: Any) -> np.ndarray:
    """Zeros that begin where one of the machine's large pages does, and have the last one to themselves.

    Fetching memory in small pages takes longer than filling it; NumPy asks for large ones from 4 MB on, and
    the machine gives them for whole ones only.
    """
    size = count * np.dtype(dtype).itemsize
    if size < _LARGE_PAGE // 2:
        return np.zeros(count, dtype)
    block = np.zeros(size + 2 * _LARGE_PAGE, np.uint8)
    first = -block.ctypes.data % _LARGE_PAGE
    return block[first : first + size].view(dtype)


def _kind(column: Column) -> int:
    if column.dtype == "category":
        return s.CODE
    kinds = {"bool": s.FLAG, "boolean": s.TRUTH, "float64": s.SECONDS}
    plain = column.dtype in ("int64", "datetime64[ns, UTC]")
    return kinds.get(column.dtype, s.PLAIN if plain else s.NULLABLE)


def _width(column: Column) -> str:
    """What a column's numbers are stored in; codes begin as narrow as can be."""
    if column.dtype == "category":
        return "int8"
    if column.dtype in ("bool", "boolean"):
        return "bool"
    return "int64" if column.dtype.startswith("datetime64") else column.dtype.lower()


class Numbers:
    """Frame numbers: a range for as long as they are one."""

    def __init__(self) -> None:
        self._first = 1
        self._following = 1
        self._parts: list[np.ndarray] | None = None

    def add(self, first: int, count: int, rows: np.ndarray | None) -> None:
        """`count` frames from number `first` on, or those of them that `rows` (counted from 0) names."""
        if self._following == self._first:
            self._first = self._following = first
        if self._parts is None and rows is None and first == self._following:
            self._following += count
            return
        if self._parts is None:
            self._parts = [np.arange(self._first, self._following)]
        self._parts.append(np.arange(first, first + count) if rows is None else first + rows)

    def index(self) -> Any:
        import pandas as pd

        if self._parts is None:
            return pd.RangeIndex(self._first, self._following, name="number")
        return pd.Index(np.concatenate(self._parts), name="number")
