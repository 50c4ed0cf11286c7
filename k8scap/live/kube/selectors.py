"""Label selectors: as text, and as objects have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?"
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = _PREFIX + _WORD
_VALUE = rf"(?:{_WORD})?"
_SET = rf"\(\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*\)"
_RULE = rf"\s*(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==|=|!=)\s*{_VALUE}|\s+(?:in|notin)\s*{_SET})?)\s*"
_SELECTOR = re.compile(rf"{_RULE}(?:,{_RULE})*")
_LONGEST = 4096


def check(selector: str) -> None:
    """Raise UsageError where it is not a label selector as kubectl's -l takes it."""
    if len(selector) > _LONGEST or not _SELECTOR.fullmatch(selector):
        shown = selector if len(selector) <= _LONGEST else f"{selector[:60]}…"
        raise UsageError(
            f"{shown!r} is not a label selector: it is written KEY=VALUE, KEY!=VALUE, KEY, !KEY, "
            "KEY in (A,B) or KEY notin (A,B), with commas between several.",
            next_step="kubectl get pods --show-labels",
        )


def text(selector: Mapping[str, Any]) -> str:
    """A LabelSelector object as the API's query has it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator = rule["key"], rule["operator"]
        values = ",".join(rule.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(operator, f"!{key}"))
    return ",".join(parts)
