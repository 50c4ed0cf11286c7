"""Any table's addresses by name: who they were at each row's time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.schema import Column

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.names import Names

ENDS = ("src", "dst")
_NAN = "NaN"
TIMES = ("time", "start", "request_start")
"""A row's time is the first of these columns that its table has: when it was, or began."""

NAME_COLUMNS: tuple[Column, ...] = (
    Column(
        "src_name",
        "category",
        "who src was at the row's time; src where nobody named it",
        absent=_NAN,
    ),
    Column("dst_name", "category", "who dst was", absent=_NAN),
)
"""What stands behind src and dst in a capture's tables."""

DETAIL_COLUMNS: tuple[Column, ...] = (
    Column("src_workload", "category", "what made src's pod: deploy/checkout", absent=_NAN),
    Column("dst_workload", "category", "what made dst's pod", absent=_NAN),
    Column("src_node", "category", "the node that src is, or is on", absent=_NAN),
    Column("dst_node", "category", "the node that dst is, or is on", absent=_NAN),
    Column("src_zone", "category", "that node's zone", absent=_NAN),
    Column("dst_zone", "category", "that node's zone", absent=_NAN),
)
"""What stands behind all others, a pair each where any name knows it of anybody."""


def naming(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """`table` with `NAME_COLUMNS` behind its src and dst, and those of `DETAIL_COLUMNS` that names know.

    Rows keep their order and index; name columns that stand there already are made anew. A table without
    any of `TIMES` gets the last names known. Raises SchemaError where src or dst is missing.
    """
    from k8scap.schema import require

    require(table, ENDS, what="naming")
    added = [column.name for column in (*NAME_COLUMNS, *DETAIL_COLUMNS)]
    bare = table.drop(columns=[column for column in added if column in table])
    times = next((bare[column] for column in TIMES if column in bare), None)
    for end in ENDS:
        at = list(bare.columns).index(end) + 1
        bare.insert(at, f"{end}_name", names.column(bare[end], times))
    details = {
        f"{end}_{which}": names.detail(which, bare[end], times)
        for which in names.known_details
        for end in ENDS
    }
    return bare.assign(**details)
