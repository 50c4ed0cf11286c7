"""Chunks → the table: which decoder fills which column, and the growing columns themselves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from k8scap.parser.reference import columns as text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from k8scap.parser.layers import Stack
    from k8scap.parser.reference.chunk import Chunk
    from k8scap.parser.source import Source
    from k8scap.schema import Column

_ADDRESSES = ("src", "dst", "outer_src", "outer_dst")
_TUNNEL_IDS = {"vxlan": "vxlan.vni", "geneve": "geneve.vni", "gtp": "gtp.teid"}


class Builder:
    """Grows the columns chunk by chunk; `table()` is the packets table."""

    def __init__(self, wanted: Sequence[Column]) -> None:
        self._wanted = wanted
        self._parts: dict[str, list[Any]] = defaultdict(list)
        addresses = text.Vocabulary()
        self._words = {
            c.name: addresses if c.name in _ADDRESSES else text.Vocabulary()
            for c in wanted
            if c.dtype == "category"
        }

    def add(self, chunk: Chunk, source: Source) -> None:
        for column in self._wanted:
            self._parts[column.name].append(self._decode(column, chunk, source))

    def table(self) -> pd.DataFrame:
        """The packets table, indexed by `number`."""
        import pandas as pd

        frame = pd.DataFrame({c.name: self._assemble(c) for c in self._wanted}, copy=False)
        return frame.set_index("number")

    def _decode(self, column: Column, chunk: Chunk, source: Source) -> Any:
        if column.dtype == "category":
            return self._words[column.name].encode(_words(column, chunk, source))
        if column.name in _NUMBERS:
            return _narrowed(_NUMBERS[column.name](chunk, column), column)
        values = text.coalesce(chunk, column)
        if column.dtype == "bool":
            return values.is_valid().to_numpy(zero_copy_only=False)
        if column.dtype in _BY_DTYPE:
            return _BY_DTYPE[column.dtype](values)
        return _narrowed(text.integers(values), column)

    def _assemble(self, column: Column) -> Any:
        import numpy as np
        import pandas as pd

        parts = self._parts.pop(column.name, [])
        if column.dtype == "category":
            return pd.Categorical.from_codes(_joined(parts, np.int32), dtype=self._words[column.name].dtype())
        if column.dtype == "boolean":
            return pd.arrays.BooleanArray(*_masked(parts, column))
        if column.dtype[0] == "I":
            return pd.arrays.IntegerArray(*_masked(parts, column))
        if column.dtype == "int64":
            return _masked(parts, column)[0]
        if column.dtype.startswith("datetime64"):
            return pd.DatetimeIndex(_joined(parts, np.int64).view("M8[ns]"), tz="UTC")
        return _joined(parts, np.dtype(column.dtype))


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    import numpy as np

    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _narrowed(found: tuple[np.ndarray, np.ndarray], column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Values in the column's own width, and their mask: what does not fit (malformed frames) is absent."""
    values, mask = found
    narrow = values.astype(_width(column))
    return narrow, mask | (narrow != values)


def _masked(parts: list[tuple[np.ndarray, np.ndarray]], column: Column) -> tuple[np.ndarray, np.ndarray]:
    values, masks = ([part[i] for part in parts] for i in (0, 1))
    return _joined(values, _width(column)), _joined(masks, bool)


def _width(column: Column) -> str:
    """`Int16` → `int16`, `boolean` → `bool`: NumPy's name of what a nullable column holds."""
    return "bool" if column.dtype == "boolean" else column.dtype.lower()


def _words(column: Column, chunk: Chunk, source: Source) -> Any:
    """The strings of a categorical column."""
    import pyarrow as pa

    if column.name == "point":
        return pa.array([source.point] * len(chunk))
    if column.name == "protocol":
        return _spread(chunk, lambda stack: stack.inner.protocol or None)
    if column.name == "tunnel":
        return _tunnels(chunk)
    if column.name == "direction":
        return text.directions(chunk)
    if column.name == "interface":
        manifest = source.manifest
        return text.interfaces(
            chunk, names=manifest.interfaces if manifest else {}, only=_only_interface(source)
        )
    return text.coalesce(chunk, column)


def _only_interface(source: Source) -> str:
    name = source.manifest.interface if source.manifest else ""
    return "" if name == "any" or "," in name else name


def _spread(chunk: Chunk, answer: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    answers, of = chunk.per_stack(answer)
    return pc.take(pa.array(answers, pa.string()), pa.array(of))


def _tunnels(chunk: Chunk) -> Any:
    """`vxlan:42`, `gre/ipip`: names from the stack, numbers from their fields."""
    import numpy as np
    import pyarrow as pa

    stacks, of = chunk.per_stack(lambda stack: stack)
    words = np.full(len(chunk), None, dtype=object)
    for number, stack in enumerate(stacks):
        if stack.tunnels:
            rows = np.flatnonzero(of == number)
            words[rows] = _tunnel_names(chunk, stack, rows)
    return pa.array(words, pa.string())


def _tunnel_names(chunk: Chunk, stack: Stack, rows: np.ndarray) -> list[str]:
    names = []
    for name, nth in stack.tunnels:
        if name in _TUNNEL_IDS:
            ids, absent = text.integers(chunk.nth(_TUNNEL_IDS[name], nth, rows))
            names.append([name if no else f"{name}:{i}" for i, no in zip(ids, absent, strict=True)])
        else:
            names.append([name] * len(rows))
    return ["/".join(parts) for parts in zip(*names, strict=True)]


def _fragment_offset(chunk: Chunk, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """On the wire, and in Wireshark's fields, it counts eights of bytes."""
    units, absent = text.integers(text.coalesce(chunk, column))
    return units * 8, absent


def _payload_length(chunk: Chunk, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """UDP's length counts its own header of 8 bytes (0: a jumbogram, or a header that lies)."""
    import numpy as np

    tcp, no_tcp = text.integers(chunk.values("tcp.len", column.layer))
    udp, no_udp = text.integers(chunk.values("udp.length", column.layer))
    return np.where(no_tcp, udp - 8, tcp), no_tcp & (no_udp | (udp < 8))


def _checksum(chunk: Chunk, column: Column) -> tuple[np.ndarray, np.ndarray]:
    return text.checksums(text.coalesce(chunk, column))


_NUMBERS = {
    "fragment_offset": _fragment_offset,
    "payload_length": _payload_length,
    "ip_checksum_ok": _checksum,
    "transport_checksum_ok": _checksum,
}
_BY_DTYPE = {
    "datetime64[ns, UTC]": text.nanoseconds,
    "boolean": text.truths,
    "float64": text.floats,
}
