"""Tables as people read them: headings with units, and text in every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

ABSENT = "–"  # noqa: RUF001 (an en dash is what stands for nothing in a table)


@dataclass(frozen=True)
class Heading:
    """A column's head: its words and the unit of its numbers; numbers stand on the right."""

    text: str
    unit: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table for the page: `left_out` rows did not fit; `empty` is said where there is none."""

    title: str
    note: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    empty: str = ""


@dataclass(frozen=True)
class Cell:
    """One column of a sheet: its head, and how it is said of a row (an itertuples row)."""

    heading: Heading
    say: Callable[[Any], str]


def sheet(
    rows: pd.DataFrame, cells: Sequence[Cell], *, title: str, note: str, limit: int, empty: str
) -> Sheet:
    """The first `limit` of `rows`, said cell by cell."""
    said = tuple(tuple(cell.say(row) for cell in cells) for row in rows.head(limit).itertuples())
    headings = tuple(cell.heading for cell in cells)
    return Sheet(title, note, headings, said, max(len(rows) - limit, 0), empty)


def text(heading: str, say: Callable[[Any], str]) -> Cell:
    return Cell(Heading(heading), say)


def number(heading: str, column: str, *, unit: str = "", digits: int = 0) -> Cell:
    """A column of numbers, thousands apart; absent ones as a dash."""
    return Cell(
        Heading(heading, unit, numeric=True), lambda row: quantity(getattr(row, column), digits=digits)
    )


def quantity(value: Any, *, digits: int = 0) -> str:
    """`4,312`, `0.4`; a dash for NaN and <NA>."""
    return ABSENT if absent(value) else f"{value:,.{digits}f}"


def clock(value: Any) -> str:
    """`20:52:01.123456`, of a time in UTC; a dash for NaT."""
    return ABSENT if absent(value) else f"{value:%H:%M:%S.%f}"


def absent(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))
