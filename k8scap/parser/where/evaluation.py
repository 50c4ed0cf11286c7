"""A filter's tree over a table's rows.

What tshark would say of a row lies between two answers: `certain` (it surely passes) and `possible` (it may
pass). They differ only where a frame may have headers that the table does not hold.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from k8scap.parser.where.expression import And, Compare, Exists, Not
from k8scap.parser.where.unseen import Unseen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap.parser.where.expression import Expression, Span
    from k8scap.parser.where.fields import Field
    from k8scap.parser.where.rows import Rows


class Bounds(NamedTuple):
    """Two masks; the same object where nothing is unsure."""

    certain: np.ndarray
    possible: np.ndarray


class Evaluation:
    """Answers expressions over one table."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.unseen = Unseen(rows)

    def bounds(self, expression: Expression) -> Bounds:
        if isinstance(expression, Exists):
            return self._exists(expression.field)
        if isinstance(expression, Compare):
            return self._compare(expression)
        if isinstance(expression, Not):
            certain, possible = self.bounds(expression.part)
            return _same(~certain) if certain is possible else Bounds(~possible, ~certain)
        join = np.logical_and if isinstance(expression, And) else np.logical_or
        return reduce(lambda a, b: _joined(join, a, b), map(self.bounds, expression.parts))

    def alone(self, unsure: np.ndarray, fields: frozenset[Field]) -> bool:
        """Whether tshark can tell of these frames without the others.

        A time that it may compare otherwise is not changed either by writing it to another file.
        """
        if not unsure.any():
            return True
        if any(field.context for field in fields):
            return False
        if any(field.kind == "seconds" for field in fields) and (unsure & self._rows.inexact("time")).any():
            return False
        return all(field.layer == "frame" for field in fields) or not (unsure & self.unseen.entangled).any()

    def _exists(self, field: Field) -> Bounds:
        there = self._none()
        for _, present in self._occurrences(field):
            there |= present
        return _known(there, self.unseen.of(field.layer))

    def _compare(self, test: Compare) -> Bounds:
        unsure = self.unseen.of(test.field.layer)
        inexact = self._inexact(test.field)
        some, there, every = self._none(), self._none(), ~self._none()
        for name, present in self._occurrences(test.field):
            holds = self._holds(test, name)
            some |= holds & present
            every &= holds | ~present
            there |= present
        if inexact is not None:
            some &= ~inexact
            every |= inexact
            unsure = inexact if unsure is None else inexact | unsure
        if test.quantifier == "any":
            return _known(some, unsure)
        if unsure is None:
            return _same(every & there)
        return Bounds(every & there & ~unsure, every & (there | unsure))

    def _none(self) -> np.ndarray:
        return np.zeros(len(self._rows), bool)

    def _inexact(self, field: Field) -> np.ndarray | None:
        """Rows whose own value of the field cannot be compared here; None where there are none."""
        if field.kind != "seconds":
            return None
        inexact = self._rows.inexact(field.columns[0])
        return inexact if inexact.any() else None

    def _occurrences(self, field: Field) -> Iterator[tuple[str, np.ndarray]]:
        """A field's columns, and the rows in which each has a value of it."""
        if field.owner == "nobody":
            return
        owned = self._rows.owned(field.owner)
        if not field.columns:
            yield "", ~self._none() if owned is None else owned
        for name in field.columns:
            present = self._rows.present(name)
            if field.kind == "label":
                present = self._rows.numbers(name)[0].astype(bool)
            yield name, present if owned is None else present & owned

    def _holds(self, test: Compare, name: str) -> np.ndarray:
        """Rows whose value in that column lies in the spans (or outside); anything where there is none."""
        if test.field.kind in ("ipv4", "ipv6", "ether"):
            numbers = self._rows.category_numbers(name, test.field.kind)
            chosen = [n is not None and _in_spans(n, test.spans) for n in numbers]
            inside = self._rows.spread(name, chosen)
        else:
            inside = _inside(_values(test, self._rows.numbers(name)[0]), test.spans)
        return ~inside if test.outside else inside


def _known(own: np.ndarray, unsure: np.ndarray | None) -> Bounds:
    """Of a test that one value is enough for: what the table shows is sure, wherever more may be hidden."""
    return _same(own) if unsure is None else Bounds(own, own | unsure)


def _same(mask: np.ndarray) -> Bounds:
    return Bounds(mask, mask)


def _joined(join: np.ufunc, first: Bounds, second: Bounds) -> Bounds:
    certain = join(first.certain, second.certain)
    if first.certain is first.possible and second.certain is second.possible:
        return _same(certain)
    return Bounds(certain, join(first.possible, second.possible))


def _values(test: Compare, column: np.ndarray) -> np.ndarray:
    """The field's values, as Wireshark has them, from the column's."""
    field = test.field
    if field.bits:
        column = (column & field.bits != 0).astype(np.int8)
    if field.per != 1:
        column = column // field.per
    if field.plus:
        column = column + field.plus
    if test.bits is not None:
        column = column.astype(np.int64) & test.bits
    return column


def _inside(values: np.ndarray, spans: tuple[Span, ...]) -> np.ndarray:
    inside = np.zeros(len(values), bool)
    for low, high in spans:
        if low is not None and low == high:
            inside |= values == low
        else:
            inside |= _within(values, low, high)
    return inside


def _within(values: np.ndarray, low: int | None, high: int | None) -> np.ndarray:
    above: np.ndarray = values >= low if low is not None else np.ones(len(values), bool)
    if high is not None:
        above &= values <= high
    return above


def _in_spans(number: int, spans: tuple[Span, ...]) -> bool:
    return any((low is None or low <= number) and (high is None or number <= high) for low, high in spans)
