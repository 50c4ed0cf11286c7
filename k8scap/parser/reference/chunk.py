"""A block of tshark's lines, as Arrow columns, and the occurrence of a field that counts in each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.parser.layers import TAGS, read_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from k8scap.parser.layers import Stack

AGGREGATOR = "|"
FORMAT = ("-E", "separator=/t", "-E", "occurrence=a", "-E", f"aggregator={AGGREGATOR}", "-E", "quote=n")
PROTOCOLS = "frame.protocols"

_ONCE_AT_MOST = ("tcp.options.", "tcp.analysis.")
"""Fields that a header may lack: with several headers in a frame nobody can tell whose they are."""


class Chunk:
    """Some frames' fields.

    Where a frame has several headers of a kind, `values` picks the one that the column's layer asks for.
    """

    def __init__(self, block: bytes, fields: Sequence[str], stacks: dict[str, Stack]) -> None:
        import pyarrow as pa
        from pyarrow import csv

        if not block.isascii():  # an interface's name may hold any bytes
            block = block.decode("utf-8", "replace").encode()
        self._table = csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(
                column_names=list(fields), block_size=len(block) + 1, use_threads=False
            ),
            parse_options=csv.ParseOptions(
                delimiter="\t", quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(fields, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        self._stacks, self._of = self._read_stacks(stacks)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def _read_stacks(self, known: dict[str, Stack]) -> tuple[list[Stack], np.ndarray]:
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(pc.fill_null(self.first(PROTOCOLS), ""))
        for protocols in encoded.dictionary.to_pylist():
            if protocols not in known:
                known[protocols] = read_stack(protocols)
        return [known[p] for p in encoded.dictionary.to_pylist()], encoded.indices.to_numpy()

    def per_stack(self, answer: Callable[[Stack], Any]) -> tuple[list[Any], np.ndarray]:
        """What `answer` says of each distinct stack, and which of the answers each frame has."""
        return [answer(stack) for stack in self._stacks], self._of

    def first(self, name: str) -> Any:
        """The field as it stands (all occurrences in one string), null where absent."""
        return self._table.column(name).combine_chunks()

    def values(self, name: str, layer: str) -> Any:
        """The occurrence that counts, as an Arrow string array, null where there is none."""
        import numpy as np

        if layer == "frame":
            return self.first(name)
        answers, of = self.per_stack(lambda stack: _occurrence(stack, name, layer))
        return pick(self.first(name), np.array(answers, dtype=np.int64)[of])

    def nth(self, name: str, which: int, rows: np.ndarray) -> Any:
        """The occurrence `which` of a field, in those rows only."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        return pick(pc.take(self.first(name), pa.array(rows)), np.full(len(rows), which))


def pick(values: Any, which: np.ndarray) -> Any:
    """Of each joined value the occurrence `which`; null where it is -1, or there are not so many."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring(values, AGGREGATOR)).as_py():
        return pc.if_else(pa.array(which == 0), values, None)
    lists = pc.split_pattern(values, AGGREGATOR)
    starts = lists.offsets.to_numpy()[: len(lists)]
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    there = (which >= 0) & (which < lengths)
    positions = pa.array(np.where(there, starts + which, 0), mask=~there)
    return pc.take(lists.values, positions)


def _occurrence(stack: Stack, name: str, layer: str) -> int:
    """Which occurrence of the field `name` counts in frames of this stack; -1 for none."""
    header = _header(name)
    if layer == "link":
        return 0 if _outermost(stack, header) else -1
    if layer == "outer":
        return stack.outer.found.get(header, -1) if stack.tunnels else -1
    if header in stack.repeated and name.startswith(_ONCE_AT_MOST):
        return -1
    return stack.inner.found.get(header, -1)


def _outermost(stack: Stack, header: str) -> bool:
    """Whether the frame itself has this link header; of several VLAN tags the first one counts."""
    found = stack.outer.found
    first_tag = next((name for name in found if name in TAGS), None)
    return header in found and (header not in TAGS or header == first_tag)


def _header(name: str) -> str:
    """The layer that a field belongs to: `ipv6.fraghdr.offset` → `ipv6.fraghdr`, `tcp.seq` → `tcp`."""
    return "ipv6.fraghdr" if name.startswith("ipv6.fraghdr.") else name.partition(".")[0]
