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
_FARTHEST = 1 << 15
"""Pixels that a picture has at most, either way."""
_MOST_CELLS = 4_000_000


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
            yield _Bars(ax, line) if len(x) % 3 == 0 and np.isnan(x[2::3]).all() else _Line(ax, line)
    for collection in ax.collections:
        if isinstance(collection, PathCollection) and collection.get_array() is None:
            dots = _Dots(ax, collection)
            if len(dots) > FEWEST:
                yield dots


class _Places:
    """Where marks stand, in the axes' scales (a logarithmic one undone once): x, and one or two heights."""

    def __init__(self, ax: Axes, x: Floats, *heights: Floats) -> None:
        scaled = [ax.transScale.transform(np.column_stack([x, height])) for height in heights]
        self._x = np.ascontiguousarray(scaled[0][:, 0])
        self._heights = [np.ascontiguousarray(both[:, 1]) for both in scaled]
        self._rises = bool((np.diff(self._x) >= 0).all())

    def part(self, ax: Axes, *, beside: int = 0) -> slice:
        """The marks from the first to the last that is seen, and so many on either side."""
        (left, _), (right, _) = ax.transScale.transform(np.column_stack([ax.get_xlim(), ax.get_ylim()]))
        if not self._rises:
            return slice(0, len(self._x))
        low, high = sorted((left, right))
        first = int(np.searchsorted(self._x, low)) - beside
        return slice(max(first, 0), int(np.searchsorted(self._x, high, side="right")) + beside)

    def pixels(self, ax: Axes, part: slice) -> list[Ints]:
        """Columns of the picture, and rows for each height; 0 for what lies far outside."""
        matrix = (ax.transLimits + ax.transAxes).get_matrix()
        values = [self._x[part] * matrix[0, 0] + matrix[0, 2]]
        values += [height[part] * matrix[1, 1] + matrix[1, 2] for height in self._heights]
        return [_whole(value) for value in values]


class _Line:
    """A line or steps through points whose x never falls."""

    def __init__(self, ax: Axes, line: Any) -> None:
        self._line = line
        self._x = np.asarray(line.get_xdata(orig=False), np.float64)
        self._y = np.asarray(line.get_ydata(orig=False), np.float64)
        self._places = _Places(ax, self._x, self._y)
        self._rises = bool((np.diff(self._x) >= 0).all())

    def show(self, ax: Axes) -> None:
        if self._rises:
            part = self._places.part(ax, beside=1)
            column, _ = self._places.pixels(ax, part)
            x, y = self._x[part], self._y[part]
            keep = _extremes(column, y)
            self._line.set_data(x[keep], y[keep])


class _Dots:
    """Marks of one look."""

    def __init__(self, ax: Axes, collection: Any) -> None:
        self._collection = collection
        self._offsets = np.asarray(collection.get_offsets(), np.float64)
        self._places = _Places(ax, *self._offsets.T)
        width = float(np.sqrt(np.min(collection.get_sizes(), initial=1e4))) * ax.figure.dpi / 72
        self._cell = max(1, int(width / 2))

    def __len__(self) -> int:
        return len(self._offsets)

    def show(self, ax: Axes) -> None:
        part = self._places.part(ax)
        column, row = (pixels // self._cell for pixels in self._places.pixels(ax, part))
        self._collection.set_offsets(self._offsets[part][_one_a_cell(column, row)])


class _Bars:
    """Upright bars of one look, as `canvas.bars` draws them."""

    def __init__(self, ax: Axes, line: Any) -> None:
        self._line = line
        self._x = np.asarray(line.get_xdata(orig=False), np.float64)[::3]
        ends = np.asarray(line.get_ydata(orig=False), np.float64).reshape(-1, 3)[:, :2]
        self._low, self._high = ends.min(axis=1), ends.max(axis=1)
        self._places = _Places(ax, self._x, self._low, self._high)

    def show(self, ax: Axes) -> None:
        part = self._places.part(ax)
        column, low, high = self._places.pixels(ax, part)
        keep = _one_a_cell(column, low * _FARTHEST + high)
        bars = (values[part][keep] for values in (self._x, self._low, self._high))
        self._line.set_data(*between_gaps(*bars))


def between_gaps(x: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Bars as one broken line: x and y of lower end, upper end and a gap for each."""
    gaps = np.full(len(x), np.nan)
    return np.column_stack([x, x, gaps]).ravel(), np.column_stack([low, high, gaps]).ravel()


def _whole(values: Floats) -> Ints:
    """Pixels as whole numbers from 0 on, of what is far outside the nearest."""
    with np.errstate(invalid="ignore"):
        clipped = np.clip(np.nan_to_num(values, nan=0.0), 0, _FARTHEST - 1)
    return clipped.astype(np.int64)


def _one_a_cell(column: Ints, row: Ints) -> Ints:
    """Indices (rising) of one mark in each cell."""
    if not len(column):
        return np.zeros(0, np.int64)
    cell = column * (int(row.max()) + 1) + row
    if int(cell.max()) < _MOST_CELLS:
        there = np.full(int(cell.max()) + 1, -1, np.int64)
        there[cell] = np.arange(len(cell))
        return np.sort(there[there >= 0])
    return np.sort(np.unique(cell, return_index=True)[1]).astype(np.int64)


def _extremes(column: Ints, y: Floats) -> Ints:
    """Indices (rising) of the first, last, highest and lowest point in each column; columns never fall."""
    if not len(y):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    ends = np.append(starts[1:], len(y)) - 1
    by_height = np.lexsort([y, column])
    return np.unique(np.concatenate([starts, ends, by_height[starts], by_height[ends]])).astype(np.int64)
