"""Which rows of the packets table the list shows, in which order, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.browser import columns
from k8scap.browser.colours import kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.browser.marks import Marks

    Ints = npt.NDArray[np.int64]


class View:
    """The rows of a capture's packets that a filter lets pass, in the order that was asked for.

    `rows` are positions in `cap.packets` (int64). Frames of several capture points stand by time.
    """

    def __init__(self, cap: Capture) -> None:
        self._cap = cap
        self._packets = cap.packets
        times = self._packets["time"].to_numpy(dtype="M8[ns]")
        self._start = int(times.min().view(np.int64)) if len(times) and not np.isnat(times).all() else 0
        self._all = np.arange(len(times))
        if len(cap.points) > 1:
            self._all = np.argsort(times, kind="stable")
        self.names: tuple[str, ...] = columns.DEFAULT
        if len(cap.points) > 1:
            self.names = ("point", *self.names)
        self._passing = self._all
        self.sorting: tuple[str, bool] | None = None
        self.rows: Ints = self._all
        self.classes: dict[tuple[str, int], str] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def show(self, passing: Ints | None) -> None:
        """Show these positions (rising) only, or all."""
        if passing is None:
            self._passing = self._all
        elif len(self._cap.points) > 1:
            kept = np.zeros(len(self._all), bool)
            kept[passing] = True
            self._passing = self._all[kept[self._all]]
        else:
            self._passing = passing
        self._order()

    def sort(self, name: str, *, descending: bool) -> None:
        """By a column, equal rows as they were; "" goes back to the order of capture."""
        self.sorting = (name, descending) if name else None
        self._order()

    @property
    def passing(self) -> Ints:
        """The rows shown, in the packets table's order."""
        return np.sort(self._passing)

    def _order(self) -> None:
        self.rows = self._passing
        if self.sorting is None:
            return
        name, descending = self.sorting
        column = {"utc": "time", "src_address": "src", "dst_address": "dst"}.get(name, name)
        keys = _keys(self._packets, column)[self._passing]
        order = np.argsort(-keys if descending else keys, kind="stable")
        self.rows = self._passing[order]

    def place(self, position: int) -> int:
        """Where a row of the packets table stands in the list; -1 where it is not shown."""
        if self.sorting is None and len(self._cap.points) == 1:
            at = int(np.searchsorted(self.rows, position))
            return at if at < len(self.rows) and self.rows[at] == position else -1
        found = np.flatnonzero(self.rows == position)
        return int(found[0]) if len(found) else -1

    def block(self, first: int, end: int, marks: Marks) -> dict[str, Any]:
        """Rows `first` to before `end` for the page: their cells, colours, marks and positions."""
        chosen = self.rows[max(first, 0) : end]
        rows = self._cap.named(_fewer_categories(self._packets.iloc[chosen]))
        keys = list(zip(rows["point"].astype(str), rows.index.tolist(), strict=True))
        classes = [self.classes.get(key, "") for key in keys]
        notes = [marks.note(key) for key in keys]
        return {
            "first": max(first, 0),
            "cells": columns.cells(
                self.names,
                rows,
                start=self._start,
                deltas=self._deltas(max(first, 0), chosen),
                classes=classes,
                notes=notes,
            ),
            "kinds": kinds(rows, classes),
            "marks": [key in marks for key in keys],
            "notes": notes,
        }

    def _deltas(self, first: int, chosen: Ints) -> Ints:
        """Since the row above, nanoseconds; 0 for the first."""
        if not len(chosen):
            return np.zeros(0, np.int64)
        before = self.rows[first - 1] if first else chosen[0]
        times = self._packets["time"].iloc[np.append(before, chosen)].to_numpy(dtype="M8[ns]").view(np.int64)
        return np.diff(times)

    def row(self, position: int) -> dict[str, Any]:
        """One row of the packets table by column, `number` among them."""
        piece = self._packets.iloc[[position]]
        return {**{name: piece[name].iloc[0] for name in piece.columns}, "number": int(piece.index[0])}


def _keys(packets: pd.DataFrame, column: str) -> npt.NDArray[np.float64] | Ints:
    """Numbers that sort as a column does; what is absent comes last."""
    if column == "number":
        return packets.index.to_numpy().astype(np.int64)
    values = packets[column]
    if column == "time":
        return values.to_numpy(dtype="M8[ns]").view(np.int64)
    if values.dtype == "category":
        texts = [str(text) for text in values.cat.categories]
        rank = np.empty(len(texts) + 1, np.int64)
        rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
        rank[-1] = len(texts)
        return rank[values.cat.codes.to_numpy()]
    return values.to_numpy(dtype=np.float64, na_value=np.inf)


def _fewer_categories(rows: pd.DataFrame) -> pd.DataFrame:
    """Their categories are those of a million rows: naming some should not pass over all."""
    few = {name: rows[name].cat.remove_unused_categories() for name in ("src", "dst")}
    return rows.assign(**few)


def positions(packets: pd.DataFrame, point: str, numbers: Sequence[int] | Ints) -> Ints:
    """Where frames of a point stand in the packets table; those that are not there are left out."""
    found = np.flatnonzero((packets["point"] == point).to_numpy() & packets.index.isin(numbers))
    return found.astype(np.int64)
