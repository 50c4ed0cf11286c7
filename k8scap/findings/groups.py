"""Who is spoken of by name, and who only as one of many: a port scan must not make 60,000 findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.findings.evidence import display_filter
from k8scap.findings.intervals import union_seconds
from k8scap.findings.steps import all_conversations
from k8scap.findings.verdict import found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

MAX_GROUPS = 50


def largest(rows: pd.DataFrame, keys: list[str]) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The groups of `rows` with the same `keys`, the largest first, and the rows of those past MAX_GROUPS.

    An address that changed hands makes several groups.
    """
    ids = rows.groupby(_with_names(rows, keys), observed=True).ngroup()
    chosen = ids.value_counts().index[:MAX_GROUPS]
    return [rows[ids == group] for group in chosen], rows[~ids.isin(chosen)]


def like(rows: pd.DataFrame, first: pd.Series, keys: list[str]) -> pd.DataFrame:
    """Those of `rows` that are of the group of the row `first`."""
    for key in _with_names(rows, keys):
        rows = rows[rows[key] == first[key]]
    return rows


def finder(rows: pd.DataFrame, keys: list[str]) -> Callable[[pd.Series], pd.DataFrame]:
    """`like` for many groups of the same `rows`: each is found without looking at all rows again."""
    names = _with_names(rows, keys)
    places: Mapping[Any, Any] = rows.groupby(names, observed=True).indices
    return lambda first: rows.take(places.get(tuple(first[name] for name in names), []))


def _with_names(rows: pd.DataFrame, keys: list[str]) -> list[str]:
    return [*keys, *(name for key in keys if (name := f"{key}_name") in rows)]


def many_more(
    rule: str,
    case: Case,
    rows: pd.DataFrame,
    *,
    keys: list[str],
    deed: str,
    times: tuple[str, str],
    frames: Iterable[Any],
    thresholds: Mapping[str, float],
) -> list[Finding]:
    """One finding for all `rows` that `largest` left over; none where it left none.

    `deed` is what the `keys` did ("servers kept requests waiting"), `times` the columns of each row's
    start and end.
    """
    if rows.empty:
        return []
    start, end, shown = rows[times[0]], rows[times[1]], list(frames)
    count = rows.groupby(_with_names(rows, keys), observed=True).ngroups
    more = found(
        rule,
        case,
        title=f"{count:,} more {deed}, {len(rows):,} times in all",
        severity="warning",
        certainty=0.6,
        consistent_with=("scan", "wide-outage"),
        destination=f"{count:,} more {deed.split(maxsplit=1)[0]}",
        span=(start.min(), end.max()),
        affected=len(rows),
        total=len(rows),
        seconds_lost=union_seconds(start, end),
        thresholds=thresholds,
        frames=shown,
        display_filter=display_filter(shown, streams=rows["stream"]),
        next_step=all_conversations(case),
    )
    return [more]
