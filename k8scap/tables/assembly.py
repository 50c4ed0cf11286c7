"""Arrays → a table with exactly its declared columns, dtypes and order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.schema import Column

ABSENT = -(2**63)
"""What stands in an int64 array where there is nothing: <NA> or NaT in the table (pandas' own NaT)."""


def assemble(columns: Sequence[Column], values: Mapping[str, Any]) -> pd.DataFrame:
    """A table of `columns`, in their order, from arrays of equal length; its index is a RangeIndex.

    int64 arrays become times (nanoseconds since 1970, UTC) or nullable integers where the column says so,
    `ABSENT` becoming NaT or <NA>. Categorical arrays keep their categories.
    """
    import pandas as pd

    return pd.DataFrame({column.name: _typed(values[column.name], column.dtype) for column in columns})


def _typed(values: Any, dtype: str) -> Any:
    import numpy as np
    import pandas as pd

    if dtype == "category":
        return values if isinstance(values, pd.Categorical) else pd.Categorical(values)
    if dtype.startswith("datetime64"):
        return pd.DatetimeIndex(np.asarray(values, dtype=np.int64).view("M8[ns]"), tz="UTC")
    if dtype[0] == "I":
        return _nullable(np.asarray(values), dtype)
    return pd.array(values, dtype=dtype) if dtype == "str" else np.asarray(values).astype(dtype)


def _nullable(values: npt.NDArray[np.int64], dtype: str) -> pd.api.extensions.ExtensionArray:
    import numpy as np
    import pandas as pd

    absent = values == ABSENT
    return pd.arrays.IntegerArray(np.where(absent, 0, values).astype(dtype.lower()), absent)


def integers(series: pd.Series, *, absent: int = ABSENT) -> npt.NDArray[np.int64]:
    """A column of integers as int64, `absent` where there is nothing."""
    import numpy as np

    return series.to_numpy(dtype=np.int64, na_value=absent)


def nanoseconds(series: pd.Series) -> npt.NDArray[np.int64]:
    """A column of times as nanoseconds since 1970 (int64, `ABSENT` for NaT)."""
    import numpy as np

    times: npt.NDArray[np.int64] = np.asarray(series.dt.tz_convert("UTC"), dtype="M8[ns]").view(np.int64)
    return times


def milliseconds(nanosecond_spans: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Spans of nanoseconds as milliseconds, NaN for `ABSENT`."""
    import numpy as np

    return np.where(nanosecond_spans == ABSENT, np.nan, nanosecond_spans / 1e6)
