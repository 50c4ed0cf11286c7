"""From tshark's text to typed columns: one decoder a kind of column, fed chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from k8scap.parser.reference.chunk import Chunk
    from k8scap.schema import Column

CHECKSUM_BAD, CHECKSUM_GOOD = "0", "1"
_UNNAMED = "unknown"
"""What Wireshark calls a pcapng interface that has no name."""
_TRUE = ("1", "True")
_SECOND = 1_000_000_000
_HIGHEST_SECOND = 9_223_372_025


class Vocabulary:
    """The categories of a categorical column, numbered as they turn up."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, values: Any) -> np.ndarray:
        """Arrow strings → codes (int32), -1 where null."""
        import numpy as np
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(values)
        codes = self.codes(encoded.dictionary.to_pylist())
        codes = np.append(codes, np.int32(-1))
        taken: np.ndarray = codes[pc.fill_null(encoded.indices, len(codes) - 1).to_numpy()]
        return taken

    def codes(self, words: list[str | None]) -> np.ndarray:
        import numpy as np

        numbers = (-1 if word is None else self._codes.setdefault(word, len(self._codes)) for word in words)
        return np.fromiter(numbers, dtype=np.int32, count=len(words))

    def dtype(self) -> Any:
        import pandas as pd

        return pd.CategoricalDtype(pd.Index(list(self._codes), dtype="str"))


def integers(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Arrow strings, decimal or 0x…, → (int64 values, mask of the absent ones)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        numbers = pc.cast(values, pa.int64())
    except pa.ArrowInvalid:
        numbers = pa.array([_integer(text) for text in values.to_pylist()], pa.int64())
    return pc.fill_null(numbers, 0).to_numpy(), numbers.is_null().to_numpy(zero_copy_only=False)


def _integer(text: str | None) -> int | None:
    try:
        number = int(text or "", 0)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def floats(values: Any) -> np.ndarray:
    """Arrow strings → float64, NaN where absent."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers: np.ndarray = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def nanoseconds(values: Any) -> np.ndarray:
    """`1467818432.675392000` → int64 nanoseconds, digit by digit (a float would round them).

    A file may count more than a second's worth of fractions: they are added on. What is no time, or no
    datetime64[ns] can hold, becomes NaT.
    """
    import numpy as np
    import pyarrow.compute as pc

    parts = pc.extract_regex(values, r"^(?P<sign>-?)(?P<seconds>\d{1,10})\.(?P<fraction>\d{9,10})$")
    seconds, absent = integers(pc.struct_field(parts, "seconds"))
    fraction, _ = integers(pc.struct_field(parts, "fraction"))
    before_1970 = pc.equal(pc.struct_field(parts, "sign"), "-")
    negative = pc.fill_null(before_1970, fill_value=False).to_numpy(zero_copy_only=False)
    garbage = absent | (seconds > _HIGHEST_SECOND) | (negative & (fraction >= _SECOND))
    whole = np.minimum(seconds, _HIGHEST_SECOND) * _SECOND + fraction
    return np.where(garbage, np.iinfo(np.int64).min, np.where(negative, -whole, whole))


def coalesce(chunk: Chunk, column: Column, fields: tuple[str, ...] = ()) -> Any:
    """The column's value from whichever of its fields the frame has."""
    import pyarrow.compute as pc

    values = [chunk.values(name, column.layer) for name in fields or column.fields]
    return values[0] if len(values) == 1 else pc.coalesce(*values)


def truths(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Tshark's booleans (`1`/`0`; `True`/`False` from 4.2 on) → (bool values, mask of the absent ones)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    true = pc.is_in(values, pa.array(_TRUE))
    return true.to_numpy(zero_copy_only=False), values.is_null().to_numpy(zero_copy_only=False)


def checksums(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checksum states → (good?, mask): absent where Wireshark could not verify, or none was sent."""
    import pyarrow as pa
    import pyarrow.compute as pc

    good = pc.equal(pc.fill_null(values, ""), CHECKSUM_GOOD).to_numpy(zero_copy_only=False)
    known = pc.is_in(values, pa.array([CHECKSUM_BAD, CHECKSUM_GOOD])).to_numpy(zero_copy_only=False)
    return good, ~known


def directions(chunk: Chunk) -> Any:
    """`in` and `out`: cooked captures say who a packet was for, pcapng has flags."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cooked = chunk.values("sll.pkttype", "frame")
    flags, unknown = integers(chunk.values("frame.packet_flags_direction", "frame"))
    flags = pa.array(flags, mask=unknown)
    incoming = pc.or_(
        pc.is_in(cooked, pa.array(["0", "1", "2"])), pc.fill_null(pc.equal(flags, 1), fill_value=False)
    )
    outgoing = pc.or_(pc.is_in(cooked, pa.array(["4"])), pc.fill_null(pc.equal(flags, 2), fill_value=False))
    return pc.if_else(incoming, "in", pc.if_else(outgoing, "out", pa.scalar(None, pa.string())))


def interfaces(chunk: Chunk, *, names: Mapping[str, str], only: str) -> Any:
    """Pcapng's name; a cooked capture's index by the manifest's table; the one interface captured on."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = chunk.values("frame.interface_name", "frame")
    given = pc.if_else(pc.equal(given, _UNNAMED), pa.scalar(None, pa.string()), given)
    index = chunk.values("sll.ifindex", "frame")
    named = pa.array([names.get(i) if i else None for i in index.to_pylist()], pa.string())
    return pc.coalesce(given, named, pa.scalar(only or None, pa.string()))
