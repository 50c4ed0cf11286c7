"""A plot of a million marks that is drawn in no time: of those that fall on one pixel, one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

FEWEST = 2_000
"""Artists with fewer marks are left as they are."""


def thin(ax: Axes) -> None:
    """Have each drawing of `ax` show what of its marks can be told apart, where it is looked at.

    Lines keep the first, last, highest and lowest point in each column of pixels; marks and bars one in each
    cell. What is drawn looks as all would.
    """
    from matplotlib.artist import Artist

    thinned = list(_thinned(ax))

    class Thinner(Artist):
        def draw(self, _: Any) -> None:
            for one in thinned:
                one.show(ax)

    if thinned:
        first = Thinner()
        first.set_zorder(-1e9)
        ax.add_artist(first)


def _thinned(ax: Axes) -> Iterator[_Line | _Dots | _Bars]:
    from matplotlib.collections import PathCollection

    for line in ax.lines:
        x = np.asarray(line.get_xdata(orig=False), np.float64)
        if len(x) > FEWEST:
            yield _Bars(line) if len(x) % 3 == 0 and np.isnan(x[2::3]).all() else _Line(line)
    for collection in ax.collections:
        if isinstance(collection, PathCollection) and collection.get_array() is None:
            dots = _Dots(collection)
            if len(dots) > FEWEST:
                yield dots


class _Line:
    """A line or steps through points whose x never falls."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._x = np.asarray(line.get_xdata(orig=False), np.float64)
        self._y = np.asarray(line.get_ydata(orig=False), np.float64)
        self._rises = bool((np.diff(self._x) >= 0).all())

    def show(self, ax: Axes) -> None:
        if not self._rises:
            return
        low, high = sorted(ax.get_xlim())
        first = max(int(np.searchsorted(self._x, low)) - 1, 0)
        last = min(int(np.searchsorted(self._x, high, side="right")) + 1, len(self._x))
        x, y = self._x[first:last], self._y[first:last]
        column = _pixels(ax, x, y)[0]
        keep = _extremes(column, y)
        self._line.set_data(x[keep], y[keep])


class _Dots:
    """Marks of one look."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._offsets = np.asarray(collection.get_offsets(), np.float64)

    def __len__(self) -> int:
        return len(self._offsets)

    def show(self, ax: Axes) -> None:
        x, y = self._offsets.T
        seen = np.flatnonzero(_within(ax.get_xlim(), x) & _within(ax.get_ylim(), y))
        keep = seen[_one_a_cell(*_pixels(ax, x[seen], y[seen]))]
        self._collection.set_offsets(self._offsets[keep])


class _Bars:
    """Upright bars of one look, as `canvas.bars` draws them."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._x = np.asarray(line.get_xdata(orig=False), np.float64)[::3]
        self._ends = np.asarray(line.get_ydata(orig=False), np.float64).reshape(-1, 3)[:, :2]

    def show(self, ax: Axes) -> None:
        low, high = self._ends.min(axis=1), self._ends.max(axis=1)
        bottom, top = sorted(ax.get_ylim())
        seen = np.flatnonzero(_within(ax.get_xlim(), self._x) & (high >= bottom) & (low <= top))
        column, lower = _pixels(ax, self._x[seen], low[seen])
        upper = _pixels(ax, self._x[seen], high[seen])[1]
        keep = seen[_one_a_cell(column, lower * 65_536 + upper)]
        self._line.set_data(*between_gaps(self._x[keep], low[keep], high[keep]))


def between_gaps(x: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Bars as one broken line: x and y of lower end, upper end and a gap for each."""
    gaps = np.full(len(x), np.nan)
    return np.column_stack([x, x, gaps]).ravel(), np.column_stack([low, high, gaps]).ravel()


def _within(limits: tuple[float, float], values: Floats) -> npt.NDArray[np.bool_]:
    low, high = sorted(limits)
    within: npt.NDArray[np.bool_] = (values >= low) & (values <= high)
    return within


def _pixels(ax: Axes, x: Floats, y: Floats) -> tuple[Ints, Ints]:
    """Columns and rows of the picture, clipped to what a picture can have."""
    with np.errstate(all="ignore"):
        places = ax.transData.transform(np.column_stack([x, y]))
    places = np.nan_to_num(places, nan=-1, posinf=32_000, neginf=-1)
    columns, rows = np.clip(places, -1, 32_000).astype(np.int64).T
    return columns, rows


def _one_a_cell(column: Ints, row: Ints) -> Ints:
    """Indices (rising) of the first mark in each cell."""
    _, first = np.unique(column << 36 | row & (2**36 - 1), return_index=True)
    return np.sort(first).astype(np.int64)


def _extremes(column: Ints, y: Floats) -> Ints:
    """Indices (rising) of the first, last, highest and lowest point in each column; columns never fall."""
    if not len(y):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    ends = np.append(starts[1:], len(y)) - 1
    by_height = np.lexsort([y, column])
    return np.unique(np.concatenate([starts, ends, by_height[starts], by_height[ends]])).astype(np.int64)
