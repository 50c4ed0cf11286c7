"""Packets tables of several points as one, whichever engines they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_FAMILIES = {
    **dict.fromkeys(("src", "dst", "outer_src", "outer_dst"), "address"),
    **dict.fromkeys(("src_mac", "dst_mac"), "mac"),
}
"""Columns of one family share their categories, so that they can be compared."""


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables (of the same columns) one after the other, their categories united."""
    import pandas as pd

    if len(tables) == 1:
        return tables[0]
    words: dict[str, dict[str, None]] = {}
    columns = [name for name, dtype in tables[0].dtypes.items() if dtype == "category"]
    for table in tables:
        for name in columns:
            known = words.setdefault(_family(name), {})
            known.update(dict.fromkeys(table[name].cat.categories))
    dtypes = {
        family: pd.CategoricalDtype(pd.Index(list(known), dtype="str")) for family, known in words.items()
    }
    united = {name: dtypes[_family(name)] for name in columns}
    return pd.concat([table.astype(united) for table in tables])


def _family(name: object) -> str:
    return _FAMILIES.get(str(name), str(name))
