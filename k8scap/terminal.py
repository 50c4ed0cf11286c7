"""What a terminal shows: findings as text, tables as columns, and a table's way into a file."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from k8scap.model import Finding

WIDTH = 100
ROWS_SHOWN = 60


def findings_text(findings: Iterable[Finding]) -> str:
    """Found first, numbered from 1, then what could not be judged, then what was ruled out."""
    by_status: dict[str, list[Finding]] = {"found": [], "not_judged": [], "ruled_out": []}
    for finding in findings:
        by_status[finding.status].append(finding)
    numbered = enumerate(by_status["found"], start=1)
    parts = [found_text(finding, number=number) for number, finding in numbered] or [
        "Nothing was found that these rules look for."
    ]
    if by_status["not_judged"]:
        parts.append("\n".join(["Not judged:", *(_line(f, f.reason) for f in by_status["not_judged"])]))
    if by_status["ruled_out"]:
        parts.append("\n".join(["Ruled out:", *(_line(f, "") for f in by_status["ruled_out"])]))
    return "\n" + "\n\n".join(parts)


def found_text(finding: Finding, *, number: int) -> str:
    """One finding: a headline and what a reader needs to believe it and go on."""
    rows = {
        "between": " → ".join(_printable(end) for end in (finding.source, finding.destination) if end),
        "affected": f"{finding.affected} of {finding.total}, {finding.seconds_lost:.3g} s lost",
        "consistent with": ", ".join(finding.consistent_with),
        "frames": _frames(finding),
        "show them": finding.display_filter,
        "next": finding.next_step,
    }
    head = f"{number}. {finding.severity.upper()}  {finding.rule}: {_printable(finding.title)}"
    body = (f"  {name:16}{_printable(value)}" for name, value in rows.items() if value)
    return "\n".join([*textwrap.wrap(head, WIDTH), *body])


def _frames(finding: Finding) -> str:
    first = ", ".join(map(str, finding.frames[:8]))
    more = finding.frame_count - min(len(finding.frames), 8)
    return f"{first} and {more} more" if more > 0 else first


def _line(finding: Finding, reason: str) -> str:
    more = f" ({reason})" if reason and reason not in finding.title else ""
    text = f"{finding.rule}: {finding.title}{more}"
    return textwrap.fill(_printable(text), WIDTH, initial_indent="  ", subsequent_indent="    ")


def _printable(text: str) -> str:
    """What came from the wire cannot move the terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


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
