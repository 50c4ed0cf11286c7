"""A display filter, compiled for the packets table: `compile_filter`, `Where`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from k8scap.parser.where.expression import Expression
    from k8scap.parser.where.fields import Field


@dataclass(frozen=True)
class Judgement:
    """What a filter says of a table's rows; `mask` and `unsure` are bool[rows] and never both true.

    For the `unsure` rows tshark must be asked: with these frames alone where `alone` holds, else with the
    whole capture, because frames before them matter to the answer.
    """

    mask: np.ndarray
    unsure: np.ndarray
    alone: bool


@dataclass(frozen=True)
class Where:
    """A display filter that the packets table can answer; `text` is its words."""

    text: str
    expression: Expression

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of `schema.PACKETS` that the answer needs, the index `number` among them."""
        from k8scap.parser.where.fields import OWNER_COLUMNS
        from k8scap.parser.where.unseen import COLUMNS, TAG_COLUMNS
        from k8scap.schema import PACKET_COLUMNS

        needed: set[str] = set()
        for field in self._fields:
            needed.update(field.columns, OWNER_COLUMNS[field.owner])
            if field.layer != "frame":
                needed.update(COLUMNS)
            if field.layer == "tag":
                needed.update(TAG_COLUMNS)
        return tuple(name for name in PACKET_COLUMNS if name in needed)

    def judge(self, table: pd.DataFrame) -> Judgement:
        """Which rows pass, and which tshark must be asked about. Raises SchemaError for a missing column."""
        from k8scap.parser.where.evaluation import Evaluation
        from k8scap.parser.where.rows import Rows
        from k8scap.schema import require

        require(table, self.columns, what=f"the filter {self.text!r}")
        evaluation = Evaluation(Rows(table))
        certain, possible = evaluation.bounds(self.expression)
        unsure = possible & ~certain
        return Judgement(certain, unsure, alone=evaluation.alone(unsure, self._fields))

    def mask(self, table: pd.DataFrame) -> np.ndarray:
        """The rows that surely pass, bool[rows]."""
        return self.judge(table).mask

    def unsure(self, table: pd.DataFrame) -> np.ndarray:
        """The rows whose frames tshark must be asked about, bool[rows]."""
        return self.judge(table).unsure

    @cached_property
    def _fields(self) -> frozenset[Field]:
        from k8scap.parser.where.expression import fields_of

        return frozenset(fields_of(self.expression))


def compile_filter(text: str) -> Where | None:
    """The filter, where the packets table holds an exact answer (but for the rows it calls unsure).

    None for everything else: fields that the table lacks, functions, slices, and what is no filter at all.
    """
    from k8scap.parser.where.grammar import parse

    expression = parse(text)
    return None if expression is None else Where(text, expression)
