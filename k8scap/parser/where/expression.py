"""A display filter as a tree: tests of fields, joined by not, and, or."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap.parser.where.fields import Field

Quantifier = Literal["any", "all"]
Span = tuple[int | None, int | None]
"""Two ends, both included; None: no end."""


@dataclass(frozen=True)
class Exists:
    """Whether a frame has the field."""

    field: Field


@dataclass(frozen=True)
class Compare:
    """Whether any (or all) of a frame's values of the field lie in one of the spans, or `outside` them all.

    Where there are `bits`, it is the value's bits among them that are looked at. A frame without the field
    never passes.
    """

    field: Field
    quantifier: Quantifier
    spans: tuple[Span, ...]
    outside: bool = False
    bits: int | None = None


@dataclass(frozen=True)
class Not:
    part: Expression


@dataclass(frozen=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    parts: tuple[Expression, ...]


Expression = Exists | Compare | Not | And | Or


def fields_of(expression: Expression) -> Iterator[Field]:
    """Every field that is asked of."""
    if isinstance(expression, Exists | Compare):
        yield expression.field
    else:
        for part in (expression.part,) if isinstance(expression, Not) else expression.parts:
            yield from fields_of(part)
