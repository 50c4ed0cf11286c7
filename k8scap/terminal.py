"""What a terminal shows: findings as text, tables as columns, and a table's way into a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from k8scap.model import Finding

ROWS_SHOWN = 60


def findings_text(findings: Sequence[Finding]) -> str:
    """Found first, then what could not be judged, then what was ruled out."""
    from k8scap.cards.finding import text_of_all

    return f"\n{text_of_all(findings)}"


def write_table(table: pd.DataFrame, *, form: str, output: str | None) -> None:
    """Write `table` to `output` (None: stdout); a terminal's table is cut, and says so.

    Raises UsageError where parquet was asked for without a file.
    """
    if form == "parquet":
        if output is None:
            raise UsageError("Parquet is not for a terminal.", next_step="add -o table.parquet")
        table.to_parquet(output)
        return
    if output is None:
        sys.stdout.write(as_text(table, form=form, rows=ROWS_SHOWN))
        return
    Path(output).write_text(as_text(table, form=form, rows=None), encoding="utf-8")


def as_text(table: pd.DataFrame, *, form: str, rows: int | None) -> str:
    """`table` as csv, json (a list of objects, times in ISO 8601) or columns for people (first `rows`)."""
    plain = table.reset_index() if table.index.name else table
    if form == "csv":
        return plain.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%f%z")
    if form == "json":
        return plain.to_json(orient="records", date_format="iso", date_unit="ns") + "\n"
    if plain.empty:
        return "(no rows)\n"
    shown = _without_echoes(plain if rows is None else plain.head(rows))
    text = shown.dropna(axis="columns", how="all").to_string(index=False, na_rep="", max_colwidth=40)
    left = len(plain) - len(shown)
    return text + (f"\n({left} more rows: --format csv shows all)\n" if left else "\n")


def _without_echoes(table: pd.DataFrame) -> pd.DataFrame:
    """Without name columns that only repeat the addresses beside them: nobody is named there."""
    named = [end for end in ("src", "dst") if f"{end}_name" in table]
    texts = table.astype("object")
    echoes = [f"{end}_name" for end in named if texts[f"{end}_name"].equals(texts[end])]
    return table.drop(columns=echoes)
