"""Write docs/schema.md from k8scap/schema.py, the single source.

With --check, say whether the file is up to date (exit 1 where it is not).
"""

from __future__ import annotations

import sys
from pathlib import Path

from k8scap.parser.where.fields import FIELDS
from k8scap.schema import CHECKSUM_PREFERENCES, PACKETS, REFERENCE_PREFERENCES, Column
from k8scap.tables.naming import DETAIL_COLUMNS, NAME_COLUMNS

PAGE = Path(__file__).parent.parent / "docs" / "schema.md"
HEAD = """# The packets table

`cap.packets` is a pandas DataFrame, one row a frame, indexed by `number`. Where a frame has several headers
of a kind (tunnels), those of the innermost packet count, unless the meaning says otherwise; headers that ICMP
errors quote never do. Absent integers and booleans are `<NA>` (pandas' nullable types), never a magic number.

The values are those of tshark 4.0 with `-n`, an empty configuration folder and these preferences:
{preferences}. The checksum columns are asked for with {checksums};
over 1,452 public captures that changed no other column.

| column | dtype | unit | absent | Wireshark field | meaning |
| --- | --- | --- | --- | --- | --- |
"""
NAMES = """
Who the addresses were at each row's time is in `cap.named(cap.packets)` (`k8scap packets --with-names`):
{names} behind `src` and `dst`, and where any name knows one, {details}
behind all other columns. A capture's other tables have these columns as they are. [Names](names.md) tells
where they come from.
"""
FILTERS = """
## Display filters over it

`load(where=)`, `Capture.select()` and `--where` take Wireshark's display filters. Those over the fields
below are answered from the table: comparisons, `in {{…}}` with ranges and networks, `&`, `any` and `all`,
`and`, `or`, `not` and parentheses, with Wireshark's meaning of a field that occurs twice. tshark is asked
about frames with more headers than the table holds (tunnels, quotes in ICMP errors, what tunnels through UDP
and TCP), about them alone where their answer needs no other frame; and about any other filter, over the
whole capture.

{fields}.
"""


def page() -> str:
    """The whole of docs/schema.md."""
    head = HEAD.format(
        preferences=_preferences(REFERENCE_PREFERENCES), checksums=_preferences(CHECKSUM_PREFERENCES)
    )
    table = "".join(f"| {' | '.join(_cells(column))} |\n" for column in PACKETS)
    names, details = (
        ", ".join(f"`{column.name}`" for column in columns) for columns in (NAME_COLUMNS, DETAIL_COLUMNS)
    )
    said = NAMES.format(names=names, details=details)
    return head + table + said + FILTERS.format(fields=", ".join(f"`{name}`" for name in sorted(FIELDS)))


def _preferences(preferences: dict[str, str]) -> str:
    return ", ".join(f"`{name}:{value}`" for name, value in preferences.items())


def _cells(column: Column) -> tuple[str, ...]:
    fields = ", ".join(f"`{field}`" for field in column.fields)
    absent = column.absent if column.absent == "never" else f"`{column.absent}`"
    return f"`{column.name}`", f"`{column.dtype}`", column.unit, absent, fields, column.meaning


def main() -> int:
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
    print(
        "docs/schema.md is up to date."
        if current
        else "docs/schema.md is old: python scripts/schema_table.py"
    )
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
