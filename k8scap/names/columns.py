"""Names for a whole column of addresses at once: a million rows in a fraction of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from k8scap.names.over_time import Names

    Ints = npt.NDArray[np.int64]

_NOBODY = -1


def name_column(names: Names, addresses: pd.Series, times: pd.Series | None) -> pd.Series:
    """Each row's name at its time, its address where nobody named it (categories); absent stays absent."""
    known = addresses.astype("category")
    texts = [str(address) for address in known.cat.categories]
    codes = np.asarray(known.cat.codes, dtype=np.int64)
    entry = _entries(names, codes, texts, times)
    named = np.array([bool(name) for name in names.shown], dtype=bool)
    shown = (entry != _NOBODY) & named[entry] if len(named) else np.zeros(len(entry), dtype=bool)
    labels = np.where(shown, entry, np.where(codes < 0, _NOBODY, codes + len(named)))
    return _decoded(labels, [*names.shown, *texts], addresses)


def detail_column(names: Names, which: str, addresses: pd.Series, times: pd.Series | None) -> pd.Series:
    """Each row's workload, node or zone at its time (categories); absent where none is known."""
    known = addresses.astype("category")
    texts = [str(address) for address in known.cat.categories]
    entry = _entries(names, np.asarray(known.cat.codes, dtype=np.int64), texts, times)
    details = names.details(which)
    told = np.array([bool(detail) for detail in details], dtype=bool)
    labels = np.where((entry != _NOBODY) & told[entry], entry, _NOBODY) if len(told) else entry
    return _decoded(labels, details, addresses)


def _entries(names: Names, codes: Ints, texts: Sequence[str], times: pd.Series | None) -> Ints:
    """Each row's place in the names' entries, -1 where nobody named it; without a time the last one known."""
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(texts))).tolist() if names else []
    spans = {code: found for code in used if (found := names.spans(texts[code]))}
    last = np.full(len(texts) + 1, _NOBODY, dtype=np.int64)  # the one more is for code -1, absent
    for code, found in spans.items():
        last[code] = found[-1][1]
    entry = last[codes]
    changing = {code: found for code, found in spans.items() if len(found) > 1}
    if changing and times is not None:
        _by_time(entry, codes, _nanoseconds(times), changing)
    return entry


def _by_time(entry: Ints, codes: Ints, times: Ints, spans: dict[int, list[tuple[int, int]]]) -> None:
    """Correct the rows of addresses that changed hands.

    One search for all of them: address and time make one key, times being numbered in their order.
    """
    code = np.repeat(np.array(list(spans), np.int64), [len(found) for found in spans.values()])
    start = np.array([start for found in spans.values() for start, _ in found], np.int64)
    place = np.array([place for found in spans.values() for _, place in found], np.int64)
    moments = np.unique(start)
    key = code * (len(moments) + 1) + np.searchsorted(moments, start, side="right")
    order = np.argsort(key)
    changing = np.zeros(int(code.max()) + 2, dtype=bool)
    changing[code] = True
    rows = np.flatnonzero(changing[np.minimum(codes, len(changing) - 1)])
    rows = rows[times[rows] != pd.NaT.value]
    wanted = codes[rows] * (len(moments) + 1) + np.searchsorted(moments, times[rows], side="right")
    entry[rows] = place[order][np.searchsorted(key[order], wanted, side="right") - 1]


def _nanoseconds(times: pd.Series) -> Ints:
    """Since 1970; a column without a zone is in UTC."""
    aware = times if times.dt.tz is not None else times.dt.tz_localize("UTC")
    return np.asarray(aware.dt.tz_convert("UTC"), dtype="M8[ns]").view(np.int64)


def _decoded(labels: Ints, texts: Sequence[str], like: pd.Series) -> pd.Series:
    """Labels as categories of those texts that occur, equal texts one category; -1 is absent."""
    used = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=len(texts))).tolist()
    categories = list(dict.fromkeys(texts[label] for label in used))
    code_of = {text: code for code, text in enumerate(categories)}
    code = np.full(len(texts) + 1, -1, dtype=np.int64)
    code[used] = [code_of[texts[label]] for label in used]
    values = pd.Categorical.from_codes(code[labels], categories=pd.Index(categories, dtype="str"))
    return pd.Series(values, index=like.index)
