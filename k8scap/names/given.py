"""What a user gives as `names=`: names at hand, files that name, or the capture itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from k8scap.errors import UsageError
from k8scap.model import NameEntry
from k8scap.names.addresses import is_address
from k8scap.names.files import read_names
from k8scap.names.over_time import Names

Given: TypeAlias = Names | Mapping[str, str] | str | Path

CAPTURE = "capture"
"""The word for: learn them from the capture itself."""


def names_given(given: Given | Sequence[Given] | None) -> tuple[Names, bool]:
    """The user's names, what was given first being the strongest; and whether the capture is to be asked.

    Raises UsageError for what is none of these, UnreadableFileError for a file.
    """
    several = isinstance(given, Sequence) and not isinstance(given, str)
    every: Sequence[Any] = cast("Sequence[Any]", given) if several else () if given is None else (given,)
    names = Names()
    for one in every:
        if one != CAPTURE:
            names = names.over(_names(one))
    return names, any(one == CAPTURE for one in every)


def _names(given: Any) -> Names:
    if isinstance(given, Names):
        return given
    if isinstance(given, Mapping):
        wrong = [str(address) for address in given if not is_address(str(address))]
        if wrong:
            raise UsageError(f"{wrong[0]!r:.80} is no address.", next_step='names={"10.0.0.7": "redis"}')
        return Names(NameEntry(address=str(a), name=str(n), source="user") for a, n in given.items())
    if isinstance(given, str | Path):
        return Names(read_names(given))
    raise UsageError(f"{given!r:.80} names no addresses.", next_step='names="names.json"')
