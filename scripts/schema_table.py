"""Write docs/schema.md from k8scap/schema.py and docs/tables.md from k8scap/tables, the single sources.

With --check, say whether the files are up to date (exit 1 where one is not).
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from k8scap.parser.where.fields import FIELDS
from k8scap.schema import CHECKSUM_PREFERENCES, PACKETS, REFERENCE_PREFERENCES, Column
from k8scap.tables.naming import DETAIL_COLUMNS, NAME_COLUMNS

DOCS = Path(__file__).parent.parent / "docs"
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
DERIVED = {
    "cap.conversations": "conversations",
    "cap.round_trips": "round_trips",
    "cap.retransmissions": "retransmissions",
    "cap.losses": "loss",
    "cap.reorderings": "reorderings",
    "cap.duplicates": "duplicates",
    "cap.dialogues": "dialogues",
    "cap.exchanges": "exchanges",
    "cap.hops": "sidecar",
    "cap.requests": "requests",
    "cap.lookups": "lookups",
    "cap.protocols": "protocols",
    'cap.throughput("100ms")': "throughput",
    "k8scap.compare(before, after)": "changes",
    "k8scap.compare(cap, by=…)": "outliers",
}
TABLES = """# The derived tables

Each is a pandas DataFrame of exactly these columns, made from [the packets table](schema.md) when it is first
asked for. A capture's own tables also have who the addresses were: {names} behind `src` and `dst`, and
where any name knows one, {details} behind all other columns ([names](names.md)). The docstrings of the
modules under `k8scap/tables` say what each is, by which definition.
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


def tables_page() -> str:
    """The whole of docs/tables.md."""
    names, details = (
        ", ".join(f"`{column.name}`" for column in columns) for columns in (NAME_COLUMNS, DETAIL_COLUMNS)
    )
    parts = [TABLES.format(names=names, details=details)]
    for said, module in DERIVED.items():
        columns = import_module(f"k8scap.tables.{module}").COLUMNS
        head = "| column | dtype | unit | absent | meaning |\n| --- | --- | --- | --- | --- |\n"
        parts.append(f"\n## `{said}`\n\n{head}" + "".join(_derived(column) for column in columns))
    return "".join(parts)


def _derived(column: Column) -> str:
    name, dtype, unit, absent, _, meaning = _cells(column)
    return f"| {name} | {dtype} | {unit} | {absent} | {meaning} |\n"


def _preferences(preferences: dict[str, str]) -> str:
    return ", ".join(f"`{name}:{value}`" for name, value in preferences.items())


def _cells(column: Column) -> tuple[str, ...]:
    fields = ", ".join(f"`{field}`" for field in column.fields)
    absent = column.absent if column.absent == "never" else f"`{column.absent}`"
    return f"`{column.name}`", f"`{column.dtype}`", column.unit, absent, fields, column.meaning


def main() -> int:
    old = []
    for name, text in (("schema.md", page()), ("tables.md", tables_page())):
        path = DOCS / name
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            old.append(f"docs/{name}")
    print(f"{' and '.join(old)} is old: python scripts/schema_table.py" if old else "All is up to date.")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
