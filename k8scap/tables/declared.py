"""Which of our tables a DataFrame is, and what its columns mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8scap.schema import Column

MODULES = (
    *("conversations", "round_trips", "retransmissions", "loss", "reorderings", "duplicates", "exchanges"),
    *("dialogues", "sidecar", "requests", "lookups", "throughput", "protocols"),
)


def declared(names: Iterable[str]) -> dict[str, Column]:
    """The declaration of each of these columns, from the table that has most of them; unknown ones lack.

    Rows may have been chosen and columns dropped or added: what is left tells it still.
    """
    from importlib import import_module

    from k8scap.schema import PACKETS
    from k8scap.tables.naming import DETAIL_COLUMNS, NAME_COLUMNS

    wanted = set(names)
    tables = [PACKETS, *(import_module(f"k8scap.tables.{module}").COLUMNS for module in MODULES)]
    best = max(tables, key=lambda columns: _share(wanted, columns))
    known = {column.name: column for column in (*best, *NAME_COLUMNS, *DETAIL_COLUMNS)}
    return {name: known[name] for name in wanted & known.keys()}


def _share(wanted: set[str], columns: tuple[Column, ...]) -> tuple[int, float]:
    met = sum(column.name in wanted for column in columns)
    return met, met / len(columns)
