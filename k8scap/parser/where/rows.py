"""A packets table as NumPy arrays, each column unpacked once however often a filter asks for it."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.parser.where.literals import END_OF_SECONDS

if TYPE_CHECKING:
    import pandas as pd

_LAST_NEEDED = {"TCP": "dst_port", "UDP": "dst_port", "ICMP": "icmp_code", "ICMPv6": "icmp_code"}
_WHOLE_ARP = 42
"""Ethernet's header, and ARP of Ethernet and IPv4."""
_NAT = np.iinfo(np.int64).min
_EXACT = 4_000_000 * 10**9
"""Up to here, nanoseconds can be had back from float64 seconds."""


class Rows:
    """A table's columns; `values` and `present` have one element a row."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self._values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._codes: dict[str, np.ndarray] = {}
        self._protocols: dict[tuple[str, ...], np.ndarray] = {}
        self._numbers: dict[tuple[int, str], tuple[Any, list[int | None]]] = {}

    def __len__(self) -> int:
        return len(self.table)

    def numbers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column's integers (times and seconds: nanoseconds; verdicts: 0 and 1), and where it has any."""
        if name not in self._values:
            self._values[name] = self._unpack(name)
        return self._values[name]

    def _unpack(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name == "number" and name not in self.table:
            return self.table.index.to_numpy(), np.ones(len(self), bool)
        column = self.table[name]
        dtype: Any = column.dtype
        kind = dtype.kind
        if kind == "M":
            times = column.astype("int64").to_numpy()
            return times, times != _NAT
        if kind == "f":
            seconds = column.to_numpy()
            return np.rint(np.nan_to_num(seconds) * 1e9).astype(np.int64), ~np.isnan(seconds)
        if isinstance(dtype, np.dtype):
            return column.to_numpy(), np.ones(len(self), bool)
        narrow = dtype.numpy_dtype
        return column.to_numpy(dtype=narrow, na_value=narrow.type(0)), column.notna().to_numpy()

    def inexact(self, name: str) -> np.ndarray:
        """Rows whose time Wireshark may compare otherwise: it is none, before 1970 or after 2038.

        Or whose seconds are too many for their nanoseconds to be known.
        """
        values, there = self.numbers(name)
        inexact: np.ndarray
        if self.table[name].dtype.kind == "M":
            inexact = ~there | (values < 0) | (values >= END_OF_SECONDS)
        else:
            inexact = there & (np.abs(values) > _EXACT)
        return inexact

    def present(self, name: str) -> np.ndarray:
        """Rows in which a column has something."""
        if name in self.table and self.table[name].dtype == "category":
            return self.codes(name) >= 0
        return self.numbers(name)[1]

    def codes(self, name: str) -> np.ndarray:
        """Which category each row has; -1: none."""
        if name not in self._codes:
            self._codes[name] = self.table[name].cat.codes.to_numpy()
        return self._codes[name]

    def words(self, name: str) -> list[str]:
        return [str(word) for word in self.table[name].cat.categories]

    def spread(self, name: str, chosen: list[bool]) -> np.ndarray:
        """What is said of a column's categories, for each row; False where it has none."""
        taken: np.ndarray = np.array([*chosen, False], bool)[self.codes(name)]
        return taken

    def category_numbers(self, name: str, kind: str) -> list[int | None]:
        """The categories as numbers of that kind of address; None where one is of another kind."""
        categories = self.table[name].cat.categories
        key = (id(categories), kind)
        if key not in self._numbers:
            self._numbers[key] = (categories, [_READ[kind](word) for word in categories])
        return self._numbers[key][1]

    def is_protocol(self, *names: str) -> np.ndarray:
        if names not in self._protocols:
            chosen = [word in names for word in self.words("protocol")]
            self._protocols[names] = self.spread("protocol", chosen)
        return self._protocols[names]

    @cached_property
    def _families(self) -> dict[str, np.ndarray]:
        six = [":" in word for word in self.words("src")]
        return {"IPv6": self.spread("src", six), "IPv4": self.spread("src", [not is_six for is_six in six])}

    def owned(self, owner: str) -> np.ndarray | None:
        """Rows whose columns speak of a protocol's fields; None: all.

        Of a header that is cut off too early Wireshark shows nothing, not even its protocol.
        """
        if not owner:
            return None
        if owner in ("IPv4", "IPv6"):
            return self._families[owner]
        if owner == "Ethernet":
            return self.codes("dst_mac") >= 0
        if owner == "ARP":
            whole = self.numbers("captured_length")[0] >= _WHOLE_ARP
        else:
            whole = self.present(_LAST_NEEDED[owner])
        owned: np.ndarray = self.is_protocol(owner) & whole
        return owned


def _ipv4(word: str) -> int | None:
    return None if ":" in word else int(ipaddress.IPv4Address(word))


def _ipv6(word: str) -> int | None:
    return int(ipaddress.IPv6Address(word)) if ":" in word else None


def _ether(word: str) -> int:
    return int(word.replace(":", ""), 16)


_READ = {"ipv4": _ipv4, "ipv6": _ipv6, "ether": _ether}
