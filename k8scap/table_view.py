"""A table as people read it: units under the names, numbers they can compare, rows they can search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.cards import markup

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.schema import Column

ROWS_SHOWN = 20
ROWS_SEARCHED = 2000
"""As many go to the browser; they are not saved in the notebook."""

DIGITS = 4
_ENDS = ("src", "dst")


def show(table: pd.DataFrame, *, rows: int = ROWS_SHOWN, search: bool = False) -> TableView:
    """`table` for reading: the columns' own names, their units, and what each means under the pointer.

    Left out are columns without any value, and names that only repeat the addresses. The first `rows` are
    shown, and saved with a notebook. With `search` all can be searched and sorted while the kernel runs (up
    to `ROWS_SEARCHED`; by itables, which asks nothing of any network). The table stays as it is, as
    `view.table`.
    """
    return TableView(table, rows=rows, search=search)


class TableView:
    """What `show` gives; `table` is the DataFrame."""

    def __init__(self, table: pd.DataFrame, *, rows: int = ROWS_SHOWN, search: bool = False) -> None:
        self.table = table
        self._rows = rows
        self._search = search

    def __repr__(self) -> str:
        from k8scap.tables.declared import declared

        plain = _plain(self.table.head(self._rows))
        said = _for_reading(plain, declared(map(str, plain.columns)))
        left = len(self.table) - len(said)
        more = f"\n({left:,} more rows: view.table has all)" if left > 0 else ""
        return f"{markup.printable_lines(said.to_string(index=False)) if len(said) else '(no rows)'}{more}"

    def _repr_html_(self) -> str:
        if self.table.empty:
            return markup.page_part(markup.table_part("<p>No rows.</p>"))
        return markup.page_part(markup.table_part(self._grid(), self._more()))

    def _ipython_display_(self) -> None:
        """A searchable table is gone with its kernel: what is saved stands below it, folded."""
        from IPython.display import display

        if not self._search or self.table.empty:
            display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)  # type: ignore[no-untyped-call]
            return
        folded = markup.folded("The first rows, as they are saved with the notebook", self._grid())
        saved = {"text/plain": repr(self), "text/html": markup.page_part(markup.table_part(folded))}
        display(self._searchable())  # type: ignore[no-untyped-call]
        display(saved, raw=True)  # type: ignore[no-untyped-call]

    def _grid(self) -> str:
        from k8scap.tables.declared import declared

        plain = _plain(self.table.head(self._rows))
        meant = declared(map(str, plain.columns))
        said, numeric = _for_reading(plain, meant), _numeric(plain)
        headings = [
            markup.Heading(str(name), _unit(meant, name), str(name) in numeric, _meaning(meant, name))
            for name in said.columns
        ]
        return markup.grid(headings, said.to_numpy().tolist())

    def _more(self) -> str:
        left = len(self.table) - self._rows
        if left <= 0:
            return ""
        return (
            f"<p class='k8scap-soft'>{left:,} more rows. <code>show(table, search=True)</code> searches.</p>"
        )

    def _searchable(self) -> Any:
        from itables.widget import ITable

        shown = _sortable(_without_echoes(_plain(self.table.head(ROWS_SEARCHED))))
        left = len(self.table) - len(shown)
        return ITable(
            shown,
            caption=f"The first {len(shown):,} of {len(self.table):,} rows" if left > 0 else "",
            showIndex=False,
            maxBytes=0,
            pageLength=self._rows,
            lengthMenu=[10, 20, 50, 100],
            scrollX=True,
            allow_html=False,
            classes="display compact nowrap",
        )


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The index as a column, where it has a name."""
    return table.reset_index() if table.index.name else table


def _without_echoes(table: pd.DataFrame) -> pd.DataFrame:
    """Without what says nothing: empty columns, and names that repeat the addresses beside them."""
    kept = table.dropna(axis="columns", how="all")
    echoes = [
        f"{end}_name"
        for end in _ENDS
        if f"{end}_name" in kept and end in kept
        and kept[f"{end}_name"].astype("object").equals(kept[end].astype("object"))
    ]  # fmt: skip
    return kept.drop(columns=echoes)


def _for_reading(table: pd.DataFrame, meant: dict[str, Column]) -> pd.DataFrame:
    """Every value as text; thousands stand apart in amounts, not in ports and other numbers that name."""
    amounts = {name for name, column in meant.items() if column.unit}

    def said(column: pd.Series) -> pd.Series:
        apart = column.name in amounts
        return column.astype("object").map(lambda value: _said(value, apart=apart))

    kept = _without_echoes(_plain(table))
    return kept.apply(said).astype("object").fillna("")


def _sortable(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers stay numbers, rounded as they are read; times and the rest are text."""
    from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

    def column(values: pd.Series) -> pd.Series:
        if is_float_dtype(values):
            return values.map(_rounded, na_action="ignore").astype("float64")
        if is_integer_dtype(values) and not is_bool_dtype(values):
            return values
        return values.astype("object").map(lambda value: _said(value, apart=False)).fillna("")

    return table.apply(column)


def _numeric(table: pd.DataFrame) -> set[str]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return {str(n) for n in table.columns if is_numeric_dtype(table[n]) and not is_bool_dtype(table[n])}


def _said(value: Any, *, apart: bool) -> str:
    """`1,234` (or `1234`), `0.0326`, `2026-01-31 10:00:00.123456`, `yes`; nothing where there is nothing."""
    import numpy as np
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else ""
    if isinstance(value, int | np.integer):
        return f"{value:,}" if apart else str(value)
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{_rounded(float(value)):,}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return markup.printable(str(value))


def _rounded(value: float) -> float:
    """To `DIGITS` digits, but never whole units away."""
    import math

    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(DIGITS - 1 - math.floor(math.log10(abs(value))), 0))


def _unit(meant: dict[str, Column], name: str) -> str:
    column = meant.get(name)
    if column is None:
        return ""
    return "UTC" if column.dtype.startswith("datetime64") else str(column.unit)


def _meaning(meant: dict[str, Column], name: str) -> str:
    return str(meant[name].meaning) if name in meant else ""
