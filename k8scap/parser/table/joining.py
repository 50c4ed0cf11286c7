"""Packets tables of several points as one, whichever engines they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.parser.table.categories import family

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables (of the same columns) one after the other, their categories united."""
    import pandas as pd

    if len(tables) == 1:
        return tables[0]
    words: dict[str, dict[str, None]] = {}
    columns = [str(name) for name, dtype in tables[0].dtypes.items() if dtype == "category"]
    for table in tables:
        for name in columns:
            known = words.setdefault(family(name), {})
            known.update(dict.fromkeys(table[name].cat.categories))
    dtypes = {name: pd.CategoricalDtype(pd.Index(list(known), dtype="str")) for name, known in words.items()}
    united = {name: dtypes[family(name)] for name in columns}
    return pd.concat([table.astype(united) for table in tables])
