"""Display filters' syntax (man wireshark-filter, 4.0; what tshark 4.0 does where that is silent).

Not in it, and so left to tshark: functions, slices, layers, arithmetic, `contains`, `matches`, strings,
fields compared with fields, and `all … in {…}` (which is about each element by itself). 4.0 knows no xor, and
no value on the left.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError

from k8scap.parser.where.expression import And, Compare, Exists, Not, Or
from k8scap.parser.where.fields import FIELDS
from k8scap.parser.where.literals import number_of, span_of

if TYPE_CHECKING:
    from k8scap.parser.where.expression import Expression, Quantifier, Span
    from k8scap.parser.where.fields import Field

    _Part = tuple[Expression, int]

_LONGEST = 10_000
_DEEPEST = 16
"""Wireshark's own parser gives up at some depth; nobody means more than this."""

_GRAMMAR = r"""
start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: _factor (_AND _factor)*
_factor: negation | group | _test
negation: _NOT _factor
group: "(" disjunction ")"

_test: exists | compare | member | no_member
exists: field [_BITAND WORD]
compare: [QUANTIFIER] field [_BITAND WORD] COMPARISON WORD
member: field _IN _set
no_member: field _NOT _IN _set
field: WORD
_set: "{" element ("," element)* "}"
element: WORD [".." WORD]

COMPARISON.3: /===|!==|==|!=|~=|>=|<=|>|<|(?:eq|any_eq|ne|all_ne|all_eq|any_ne|gt|ge|lt|le)(?![\w:\/+.-])/
_OR.2: /\|\||or(?![\w:\/+.-])/
_AND.2: /&&|and(?![\w:\/+.-])/
_NOT.2: /!|not(?![\w:\/+.-])/
_IN.2: /in(?![\w:\/+.-])/
_BITAND.2: /&(?!&)|bitwise_and(?![\w:\/+.-])/
QUANTIFIER.2: /(?:any|all)(?![\w:\/+.-])/
WORD: /[A-Za-z0-9_:\/+-]+(?:\.[A-Za-z0-9_:\/+-]+)*/
%ignore /[ \t\n]+/
"""
"""A word ends where Wireshark's does: `eq80` is no comparison."""

_EQUAL: dict[str, tuple[Quantifier, bool]] = {
    "eq": ("any", False), "any_eq": ("any", False), "==": ("any", False),
    "all_eq": ("all", False), "===": ("all", False),
    "ne": ("all", True), "all_ne": ("all", True), "!=": ("all", True),
    "any_ne": ("any", True), "!==": ("any", True), "~=": ("any", True),
}  # fmt: skip
"""Which of a frame's values are meant, and whether they must differ."""
_ORDER = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def parse(text: str) -> Expression | None:
    """The filter's tree; None for what is no filter, or more than is known here."""
    if len(text) > _LONGEST:
        return None
    try:
        return cast("Expression", _parser().parse(text))  # what `_Tree.start` made of it
    except LarkError:
        return None


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_Tree(), maybe_placeholders=True)


class _BeyondError(LarkError):
    """The filter asks for something that only tshark knows."""


def _beyond() -> NoReturn:
    raise _BeyondError


@v_args(inline=True)
class _Tree(Transformer[Token, Any]):
    """Builds the tree while the parser reads, so that nothing recurses over what strangers nested.

    Every part of an expression comes with its depth.
    """

    def start(self, part: _Part) -> Expression:
        return part[0]

    def disjunction(self, *parts: _Part) -> _Part:
        return Or(tuple(part for part, _ in parts)), _deeper(*parts)

    def conjunction(self, *parts: _Part) -> _Part:
        return And(tuple(part for part, _ in parts)), _deeper(*parts)

    def negation(self, part: _Part) -> _Part:
        return Not(part[0]), _deeper(part)

    def group(self, part: _Part) -> _Part:
        return part[0], _deeper(part)

    def field(self, name: str) -> Field:
        return FIELDS.get(name) or _beyond()

    def exists(self, field: Field, bits: str | None) -> _Part:
        if bits is None:
            return Exists(field), 0
        return Compare(field, "any", ((0, 0),), outside=True, bits=_bits(field, bits)), 0

    def compare(
        self, quantifier: Quantifier | None, field: Field, bits: str | None, operator: str, word: str
    ) -> _Part:
        mask = None if bits is None else _bits(field, bits)
        if operator in _EQUAL:
            usual, outside = _EQUAL[operator]
            spans: tuple[Span, ...] = (span_of(field, word) or _beyond(),)
            return Compare(field, _plain(quantifier) or usual, spans, outside, mask), 0
        spans = (_beside(_number(field, word), _ORDER.get(operator, operator)),)
        return Compare(field, _plain(quantifier) or "any", spans, bits=mask), 0

    def member(self, field: Field, *spans: tuple[str, str | None]) -> _Part:
        return Compare(field, "any", tuple(_element(field, *words) for words in spans)), 0

    def no_member(self, field: Field, *spans: tuple[str, str | None]) -> _Part:
        return Not(self.member(field, *spans)[0]), 1

    def element(self, first: str, last: str | None) -> tuple[str, str | None]:
        return first, last


def _deeper(*parts: _Part) -> int:
    depth = 1 + max(depth for _, depth in parts)
    return depth if depth <= _DEEPEST else _beyond()


def _plain(quantifier: str | None) -> Quantifier | None:
    return None if quantifier is None else "any" if quantifier == "any" else "all"


def _number(field: Field, word: str) -> int:
    number = number_of(field, word)
    return _beyond() if number is None else number


def _bits(field: Field, word: str) -> int:
    return _number(field, word) if field.kind == "uint" else _beyond()


def _beside(number: int, operator: str) -> Span:
    ends = {
        ">": (number + 1, None),
        ">=": (number, None),
        "<": (None, number - 1),
        "<=": (None, number),
    }
    return ends[operator]


def _element(field: Field, first: str, last: str | None) -> Span:
    if last is not None:
        return _number(field, first), _number(field, last)
    return span_of(field, first) or _beyond()
