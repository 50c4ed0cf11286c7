"""The packet list's columns: what each shows of some rows, and the filter that a cell stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from k8scap.browser.filtering import quoted
from k8scap.browser.info import infos
from k8scap.errors import FilterError, UsageError
from k8scap.parser.filters import check_filter
from k8scap.schema import PACKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT = ("number", "time", "src", "dst", "protocol", "length", "info")
_TITLES = {
    "number": "No.", "time": "Time", "utc": "Time (UTC)", "delta": "Delta", "src": "Source",
    "dst": "Destination", "src_address": "Source address", "dst_address": "Destination address",
    "protocol": "Protocol", "length": "Length", "info": "Info", "note": "Note", "loss_class": "Loss class",
}  # fmt: skip
_WIDTHS = {
    "number": 74, "time": 104, "utc": 190, "delta": 96, "src": 190, "dst": 190, "protocol": 78, "length": 62,
    "point": 120, "note": 180, "src_mac": 140, "dst_mac": 140,
}  # fmt: skip
_NARROW, _WIDE = 90, 150
_RIGHT = frozenset({"number", "time", "delta", "length"})
_MADE = ("utc", "delta", "src_address", "dst_address", "info", "note", "loss_class")
_WORDS = frozenset({"interface"})
"""Columns whose values are text to Wireshark."""
_NO_FILTER = frozenset({"time", "direction", "payload_length", "ip_checksum_ok", "transport_checksum_ok"})
_SORTABLE = frozenset({c.name for c in PACKETS} - {"src", "dst"}) | {"src", "dst", "utc"}
_VERDICTS = tuple(c.name for c in PACKETS if c.layer == "analysis" and c.dtype == "bool")

COLUMNS = (*DEFAULT, *_MADE[:4], "note", "loss_class", *(
    c.name for c in PACKETS if c.name not in {*DEFAULT, *_VERDICTS}
))  # fmt: skip
"""All that the table has; `=` and a Wireshark field's name is a column that tshark fills as it is seen."""
FIELD = "="


def check_field(name: str) -> None:
    """Raise UsageError where Wireshark has no such field."""
    known = re.fullmatch(r"[A-Za-z][\w.-]*", name) is not None
    if known:
        try:
            check_filter(name)  # a field's name is a filter, too
        except FilterError:
            known = False
    if not known:
        raise UsageError(f"Wireshark has no field {name!r}.", next_step="tshark -G fields | grep NAME")


def described(names: Sequence[str]) -> list[dict[str, Any]]:
    """The columns for the page: title, width in pixels (0: what is left), side, whether it can be sorted."""
    right = {c.name for c in PACKETS if c.dtype[:1] in "iIf"} | _RIGHT
    return [
        {
            "name": name,
            "title": name[1:] if name.startswith(FIELD) else _TITLES.get(name, name.replace("_", " ")),
            "width": 0 if name == "info" else _WIDTHS.get(name, _WIDE if name.startswith(FIELD) else _NARROW),
            "right": name in right,
            "sortable": name in _SORTABLE,
        }
        for name in names
    ]


def cells(
    names: Sequence[str],
    rows: pd.DataFrame,
    *,
    start: int,
    deltas: np.ndarray,
    classes: list[str],
    notes: list[str],
) -> list[list[str]]:
    """Text of each row's cells, a list a row.

    `rows` is a piece of a capture's named packets; `start` the first frame's time and `deltas` the times
    since the row shown before (int64, nanoseconds), `classes` and `notes` one a row.
    """
    given = {"loss_class": classes, "note": notes}
    columns = [
        given[name] if name in given else _column(name, rows, start, deltas, classes) for name in names
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(name: str, rows: pd.DataFrame, start: int, deltas: np.ndarray, classes: list[str]) -> list[str]:
    if name == "info":
        return infos(rows, classes)
    if name.startswith(FIELD):
        return [""] * len(rows)
    if name in {"time", "delta"}:
        return _seconds(_nanoseconds(rows) - start if name == "time" else deltas, _nanoseconds(rows))
    if name == "utc":
        return list(rows["time"].dt.strftime("%Y-%m-%d %H:%M:%S.%f").fillna(""))
    if name in {"src", "dst"}:
        return _texts(rows[f"{name}_name"])
    return _texts(rows.index.to_series() if name == "number" else rows[name.removesuffix("_address")])


def _nanoseconds(rows: pd.DataFrame) -> np.ndarray:
    return rows["time"].to_numpy(dtype="M8[ns]").view(np.int64)


def _seconds(values: np.ndarray, times: np.ndarray) -> list[str]:
    """Seconds to the microsecond; empty where a frame has no time."""
    there = times != np.iinfo(np.int64).min
    return [f"{v / 1e9:.6f}" if ok else "" for v, ok in zip(values.tolist(), there.tolist(), strict=True)]


def _texts(column: pd.Series) -> list[str]:
    values = column.astype(object).where(column.notna(), "").tolist()
    return [f"{v:.6f}" if isinstance(v, float) else str(v) for v in values]


def cell_filter(name: str, row: dict[str, Any]) -> str:
    """The display filter for frames with this row's value in this column; empty where there is none."""
    column = name.removesuffix("_address")
    value = row.get(column)
    if isinstance(value, str) and column in {"src", "dst", "protocol"}:
        family = "ipv6" if ":" in value else "ip"
        return value.lower() if column == "protocol" else f"{family}.{column} == {value}"
    field = _field(column, str(row.get("protocol", "")).lower())
    if not field or value is False or pd.isna(value):
        return ""
    if value is True:
        return field
    return f"{field} == {quoted(str(value)) if column in _WORDS else value}"


def _field(column: str, protocol: str) -> str:
    """Wireshark's name of what a column holds: of several, that of the frame's protocol."""
    fields = next((c.fields for c in PACKETS if c.name == column and c.name not in _NO_FILTER), ())
    own = [field for field in fields if field.startswith(f"{protocol}.")]
    if len(fields) > 1 and column in {"src_port", "dst_port", "stream", "payload_length"}:
        return own[0] if own else ""
    return next(iter(own or fields), "")
