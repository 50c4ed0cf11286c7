"""Which packets a plot's marks stand for, so that a box drawn on it is a table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer]


@dataclass(frozen=True)
class Marks:
    """Marks in the Axes' own units, one array element a mark: at `x`, from `low` to `high`.

    `points` and `numbers` name each mark's frame.
    """

    x: Floats
    low: Floats
    high: Floats
    points: npt.NDArray[np.object_]
    numbers: Ints


_MARKS: WeakKeyDictionary[Axes, list[Marks]] = WeakKeyDictionary()
_STARTS: WeakKeyDictionary[Axes, pd.Timestamp] = WeakKeyDictionary()


def stands_for(
    ax: Axes, rows: pd.DataFrame, *, x: Numbers, low: Numbers, high: Numbers | None = None
) -> None:
    """Say that marks on `ax` stand for these rows' frames (columns or index: point, number)."""
    import numpy as np

    numbers = rows.get("number", rows.index)
    marks = Marks(
        np.asarray(x, np.float64),
        np.asarray(low, np.float64),
        np.asarray(low if high is None else high, np.float64),
        rows["point"].to_numpy(dtype=object),
        np.asarray(numbers, np.int64),
    )
    _MARKS.setdefault(ax, []).append(marks)


def starts_at(ax: Axes, start: pd.Timestamp) -> None:
    """Say what time 0 on the x axis is; its unit is a second."""
    _STARTS[ax] = start


def inside(ax: Axes, packets: pd.DataFrame, x: tuple[float, float], y: tuple[float, float]) -> pd.DataFrame:
    """The packets (rows of `packets`) whose marks lie in a box on `ax`.

    Where a view's marks stand for no single packets (throughput, say), those of the box's time.
    Raises UsageError for a plot that has no time on its x axis.
    """
    import numpy as np
    import pandas as pd

    from k8scap.errors import UsageError

    if marks := _MARKS.get(ax):
        keep = np.zeros(len(packets), bool)
        points = packets["point"].astype(object).to_numpy()
        for some in marks:
            hit = (some.x >= x[0]) & (some.x <= x[1]) & (some.high >= y[0]) & (some.low <= y[1])
            for point in np.unique(some.points[hit].astype(str)):
                wanted = some.numbers[hit & (some.points == point)]
                keep |= packets.index.isin(wanted) & (points == point)
        return packets[keep]
    if ax not in _STARTS:
        raise UsageError(
            "A box on this plot stands for no packets: it has no time on its x axis.",
            next_step="k8scap.plot.interactive(k8scap.plot.latency, cap)",
        )
    first, last = (_STARTS[ax] + pd.Timedelta(seconds=seconds) for seconds in x)
    return packets[packets["time"].between(first, last)]
