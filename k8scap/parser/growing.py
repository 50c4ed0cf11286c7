"""Arrays that grow at their end, and the pandas columns made of them without a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.parser.decode.facts import ABSENT
from k8scap.parser.storing import (
    highest,
    store_bit,
    store_codes,
    store_nullable,
    store_seconds,
    store_truths,
)

if TYPE_CHECKING:
    from k8scap.schema import Column

_SECOND = 1_000_000_000


class Growing:
    """One array; room that was not filled costs nothing, since nobody has touched its pages."""

    def __init__(self, dtype: Any, capacity: int) -> None:
        self._capacity = max(capacity, 64)
        self._array = np.empty(self._capacity, dtype)
        self.count = 0

    def room(self, more: int) -> np.ndarray:
        """The next `more` places, to be filled."""
        needed = self.count + more
        if needed > self._capacity:
            self._capacity = max(needed, self._capacity * 3 // 2)
            larger = np.empty(self._capacity, self._array.dtype)
            larger[: self.count] = self._array[: self.count]
            self._array = larger
        place = self._array[self.count : needed]
        self.count = needed
        return place

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    def widen(self, dtype: np.dtype[Any]) -> None:
        """Hold larger numbers from now on."""
        wider = np.empty(self._capacity, dtype)
        wider[: self.count] = self._array[: self.count]
        self._array = wider

    def array(self) -> np.ndarray:
        return self._array[: self.count]


class Plain:
    """Numbers that are always there."""

    def __init__(self, column: Column, capacity: int) -> None:
        self._time = column.dtype.startswith("datetime64")
        self._values = Growing(np.int64, capacity)

    def add(self, numbers: np.ndarray) -> None:
        self._values.room(len(numbers))[:] = numbers

    def column(self) -> Any:
        import pandas as pd

        values = self._values.array()
        return pd.DatetimeIndex(values.view("M8[ns]"), tz="UTC") if self._time else values


class Nullable:
    """Numbers or truths that may be absent: values and mask of a pandas array."""

    def __init__(self, column: Column, capacity: int) -> None:
        self._truth = column.dtype == "boolean"
        width = "bool" if self._truth else column.dtype.lower()
        self._values, self._mask = Growing(width, capacity), Growing(bool, capacity)

    def add(self, numbers: np.ndarray) -> None:
        values, mask = self._values.room(len(numbers)), self._mask.room(len(numbers))
        (store_truths if self._truth else store_nullable)(numbers, values, mask)

    def column(self) -> Any:
        import pandas as pd

        kind = pd.arrays.BooleanArray if self._truth else pd.arrays.IntegerArray
        return kind(self._values.array(), self._mask.array())


class Seconds:
    """Nanoseconds as floating-point seconds, each the nearest there is."""

    def __init__(self, column: Column, capacity: int) -> None:
        del column
        self._values = Growing(np.float64, capacity)

    def add(self, numbers: np.ndarray) -> None:
        values = self._values.room(len(numbers))
        if store_seconds(numbers, values):
            values[:] = [np.nan if n == ABSENT else int(n) / _SECOND for n in numbers]

    def column(self) -> Any:
        return self._values.array()


class Verdict:
    """One bit of the analysis."""

    def __init__(self, bit: int, capacity: int) -> None:
        self._bit = bit
        self._values = Growing(bool, capacity)

    def add(self, numbers: np.ndarray) -> None:
        store_bit(numbers, self._bit, self._values.room(len(numbers)))

    def column(self) -> Any:
        return self._values.array()


class Codes:
    """Codes of a categorical column, as one source numbers them; `renumber` gives those of the table."""

    def __init__(self, column: Column, capacity: int) -> None:
        del column
        self._values = Growing(np.int8, capacity)
        self._begun = 0

    def add(self, numbers: np.ndarray) -> None:
        self._widen(int(highest(numbers)))
        store_codes(numbers, self._values.room(len(numbers)))

    def renumber(self, codes: np.ndarray) -> None:
        """Give what was added since the last time the numbers in `codes` (-1 stays)."""
        self._widen(int(codes.max(initial=0)))
        added = self._values.array()[self._begun :]
        if len(codes) and not np.array_equal(codes, np.arange(len(codes))):
            added[:] = np.append(codes, np.int32(-1))[added]
        self._begun = self._values.count

    def _widen(self, code: int) -> None:
        """As narrow as the codes allow: most captures have few addresses."""
        while code > np.iinfo(self._values.dtype).max:
            self._values.widen(np.dtype(f"int{self._values.dtype.itemsize * 16}"))

    def column_of(self, dtype: Any) -> Any:
        import pandas as pd

        return pd.Categorical.from_codes(self._values.array(), dtype=dtype, validate=False)


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
